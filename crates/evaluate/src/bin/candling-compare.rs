//! The program `candling-compare`, which writes `compare.json`.

use std::process::ExitCode;

use artifacts::stage;
use evaluate::cli::compare;

fn main() -> ExitCode {
    stage::run_program("compare", std::env::args_os(), compare)
}
