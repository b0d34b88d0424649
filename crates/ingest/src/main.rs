//! The program `candling-ingest`.

use std::process::ExitCode;

use artifacts::{names, stage};
use ingest::cli::ingest;

fn main() -> ExitCode {
    stage::run_program(names::INGEST, std::env::args_os(), ingest)
}
