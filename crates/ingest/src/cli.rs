//! The command line of the stage.

use artifacts::config::Override;
use artifacts::stage::{self, Failure, StageArgs};
use artifacts::{names, progress};
use clap::Args;

use crate::Ingest;
use crate::stage::has_other_content;

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
    /// Read all files again to find those whose content changed although size and modification time are the same, and
    /// run if there is one
    #[arg(long)]
    pub rehash: bool,
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
    let mut stage = args.stage.clone();
    if args.rehash && !stage.plan && !stage.force {
        let (run, config) = stage::resolve::<Ingest>(&stage, overrides.clone())?;
        let changed = has_other_content(&run, &config)?;
        progress::line(match changed {
            Some(false) => "ingest: all files have the content that was ingested",
            Some(true) => "ingest: a file has another content than when it was ingested",
            None => "ingest: there is no earlier result whose content is known",
        });
        stage.force = changed == Some(true);
    }
    stage::execute::<Ingest>(&stage, overrides).map(drop)
}
