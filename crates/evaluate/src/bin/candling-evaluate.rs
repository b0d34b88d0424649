//! The program `candling-evaluate`, which runs the stage `evaluate`.

use std::process::ExitCode;

use artifacts::stage;
use evaluate::cli::evaluate;

fn main() -> ExitCode {
    stage::run_program("evaluate", std::env::args_os(), evaluate)
}
