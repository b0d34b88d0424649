//! `candling-report`: the report stage as a program.

use std::process::ExitCode;

use artifacts::stage::{self, StageArgs};
use clap::Parser;
use report::Report;

/// Make the report of a run: an HTML page that works offline, its figures as SVG and PNG with their numbers as CSV, and a
/// model card
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    stage: StageArgs,
}

fn main() -> ExitCode {
    stage::main::<Report>(&Args::parse().stage, Vec::new())
}
