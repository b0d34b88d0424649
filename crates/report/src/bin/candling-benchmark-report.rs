//! The program `candling-benchmark-report`, which makes the page of a benchmark.

use std::process::ExitCode;

use artifacts::stage;
use report::cli::benchmark_report;

fn main() -> ExitCode {
    stage::run_program("benchmark-report", std::env::args_os(), benchmark_report)
}
