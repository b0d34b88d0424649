//! The program `candling-report`.

use std::process::ExitCode;

use artifacts::{names, stage};
use report::cli::report;

fn main() -> ExitCode {
    stage::run_program(names::REPORT, std::env::args_os(), report)
}
