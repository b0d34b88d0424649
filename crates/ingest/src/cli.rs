//! The command line of the stage.

use artifacts::config::Override;
use artifacts::stage::{self, Failure, StageArgs};
use artifacts::{interrupt, names, progress};
use clap::Args;

use crate::parts::write_part;
use crate::stage::{MergedIngest, has_other_content};
use crate::{Ingest, PartNumber};

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
    /// Convert only part I of N of the source, on this machine; --merge then makes the result of all parts. `auto` or
    /// `auto/N` takes the number of the task from Slurm, Kubernetes or AWS Batch
    #[arg(long, value_name = "I/N", conflicts_with_all = ["rehash", "merge"])]
    pub part: Option<PartNumber>,
    /// Make the result from the parts that --part made, without reading the files of the source again
    #[arg(long, conflicts_with = "rehash")]
    pub merge: bool,
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
    match args.part {
        Some(part) if !(stage.plan || stage.keys || stage.schema) => {
            interrupt::exit_on_signals(section).map_err(Failure::failed)?;
            let (run, config) = stage::resolve::<Ingest>(&stage, overrides)?;
            write_part(&run, &config, part, stage.force)
        }
        _ if args.merge => stage::execute::<MergedIngest>(&stage, overrides).map(drop),
        _ => stage::execute::<Ingest>(&stage, overrides).map(drop),
    }
}
