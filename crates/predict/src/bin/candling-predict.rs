//! The program `candling-predict`.

use std::process::ExitCode;

use artifacts::stage;
use predict::cli::predict;

fn main() -> ExitCode {
    stage::run_program("predict", std::env::args_os(), predict)
}
