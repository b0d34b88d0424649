//! The program `candling-export`, which writes a trained model for other programs.

use std::process::ExitCode;

use artifacts::stage;
use export::cli::export;

fn main() -> ExitCode {
    stage::run_program("export", std::env::args_os(), export)
}
