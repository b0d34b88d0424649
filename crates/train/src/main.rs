//! The program `candling-train`.

use std::process::ExitCode;

use artifacts::{names, stage};
use train::cli::train;

fn main() -> ExitCode {
    stage::run_program(names::TRAIN, std::env::args_os(), train)
}
