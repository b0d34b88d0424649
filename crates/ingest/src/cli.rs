//! The command line of the stage.

use artifacts::config::Override;
use artifacts::names;
use artifacts::stage::{self, Failure, StageArgs};
use clap::Args;

use crate::Ingest;

/// Convert a source of labelled images to shards of preprocessed pixels
#[derive(Clone, Debug, Args)]
pub struct IngestArgs {
    /// The options of every stage.
    #[command(flatten)]
    pub stage: StageArgs,
    /// The source of the images: a folder, a .zip, a .csv, a .parquet, `kaggle:owner/slug[@version]`,
    /// `hf:datasets/owner/name` or simulated:…; may be repeated; short for --set ingest.source=SOURCE
    #[arg(long, value_name = "SOURCE")]
    pub data: Vec<String>,
}

/// Runs the stage, unless its result is up to date.
///
/// # Errors
/// The arguments are not valid, or the stage fails.
pub fn ingest(args: &IngestArgs) -> Result<(), Failure> {
    let (section, key, option) = (names::INGEST, "source", "--data");
    let overrides = match &args.data[..] {
        [] => Vec::new(),
        [source] => vec![Override::of_option(section, key, source.clone(), option)],
        several => vec![Override::of_option(section, key, several.to_vec(), option)],
    };
    stage::execute::<Ingest>(&args.stage, overrides).map(drop)
}
