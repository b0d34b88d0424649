//! The program `candling-compare-report`, which makes the page of a comparison.

use std::process::ExitCode;

use artifacts::stage;
use report::cli::compare_report;

fn main() -> ExitCode {
    stage::run_program("compare-report", std::env::args_os(), compare_report)
}
