//! The program `candling-ingest`.

use std::process::ExitCode;

use artifacts::config::Override;
use artifacts::names;
use artifacts::stage::{self, StageArgs};
use clap::Parser;

/// Convert a source of labelled images to shards of preprocessed pixels.
#[derive(Parser)]
#[command(name = "candling-ingest", version)]
struct Args {
    #[command(flatten)]
    stage: StageArgs,
    /// The source of the images: a folder, a .zip, a .csv, a .parquet, `kaggle:owner/slug[@version]` or simulated:…;
    /// short for --set ingest.source=SOURCE
    #[arg(long, value_name = "SOURCE")]
    data: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let data = args.data.map(|source| Override::of_option(names::INGEST, "source", source, "--data"));
    stage::main::<ingest::Ingest>(&args.stage, data.into_iter().collect())
}
