//! The program `candling-judge`, which evaluates predictions that any detector wrote to a file.

use std::process::ExitCode;

use artifacts::stage;
use judge::cli::judge;

fn main() -> ExitCode {
    stage::run_program("judge", std::env::args_os(), judge)
}
