//! The program `candling-benchmark`, which lists the images of a benchmark of the field.

use std::process::ExitCode;

use artifacts::stage;
use judge::cli::benchmark;

fn main() -> ExitCode {
    stage::run_program("benchmark", std::env::args_os(), benchmark)
}
