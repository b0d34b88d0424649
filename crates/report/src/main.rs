//! `candling-report`: the report stage as a program.

use std::process::ExitCode;

use artifacts::config::Override;
use artifacts::names;
use artifacts::stage::{self, StageArgs};
use clap::Parser;
use report::Report;

/// Make the report of a run: an HTML page that works offline, its figures as SVG and PNG, its numbers as CSV, and a
/// model card
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    stage: StageArgs,
    /// The heading of the page; short for --set report.title=TITLE
    #[arg(long, value_name = "TITLE")]
    title: Option<String>,
}

fn main() -> ExitCode {
    let Args { stage, title } = Args::parse();
    let title = title.map(|title| Override::of_option(names::REPORT, "title", title, "--title"));
    stage::main::<Report>(&stage, title.into_iter().collect())
}
