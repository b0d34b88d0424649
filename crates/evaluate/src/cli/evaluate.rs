//! The command line of the stage.

use std::path::{Path, PathBuf};

use artifacts::atomic;
use artifacts::config::Override;
use artifacts::names::{self, EVALUATE};
use artifacts::schema::Metrics;
use artifacts::stage::{self, Failure, StageArgs};
use artifacts::text::dataset_name;
use clap::Args;

use crate::result_table::{TableFormat, tables};
use crate::stage::Evaluate;

/// Evaluate checkpoints on a split: predictions, metrics with intervals, examples with heat maps
#[derive(Clone, Debug, Args)]
pub struct EvaluateArgs {
    /// The options of every stage.
    #[command(flatten)]
    pub stage: StageArgs,
    /// The checkpoint: best, last, or the folder of a checkpoint; short for --set evaluate.ckpt=CKPT
    #[arg(long, value_name = "CKPT")]
    pub ckpt: Option<String>,
    /// The split to evaluate: train, val or test; short for --set evaluate.split=SPLIT
    #[arg(long, value_name = "SPLIT")]
    pub split: Option<String>,
    /// Images to evaluate in place of the run's own: a folder of shards, or a source of ingest, which is ingested
    /// first; short for --set evaluate.data=DIR
    #[arg(long, value_name = "SOURCE")]
    pub data: Option<PathBuf>,
    /// Write the result to evaluate-NAME beside evaluate, e.g. to compare checkpoints; short for --set
    /// evaluate.name=NAME
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The device to compute on: auto, cpu or `cuda[:N]`; short for --set evaluate.device=DEVICE
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Evaluate the split again after JPEG compression, resizing, blur, noise, cropping and sharing; short for --set
    /// evaluate.robustness=true
    #[arg(long)]
    pub robustness: bool,
    /// At the end, print the scores as a table for papers on standard output
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with_all = ["json", "plan"])]
    pub table: Option<TableFormat>,
}

impl EvaluateArgs {
    fn overrides(&self) -> Vec<Override> {
        let data = self.data.as_ref().map(|dir| dir.to_string_lossy().into_owned());
        [
            ("ckpt", &self.ckpt, "--ckpt"),
            ("split", &self.split, "--split"),
            ("data", &data, "--data"),
            ("name", &self.name, "--name"),
            ("device", &self.device, "--device"),
        ]
        .into_iter()
        .filter_map(|(key, value, option)| Some(Override::of_option(EVALUATE, key, value.clone()?, option)))
        .chain(self.robustness.then(|| Override::of_option(EVALUATE, "robustness", true, "--robustness")))
        .collect()
    }
}

/// Runs the stage, unless its result is up to date. The data must be a folder of shards.
///
/// # Errors
/// The arguments are not valid, or the stage fails.
pub fn evaluate(args: &EvaluateArgs) -> Result<(), Failure> {
    let folders = stage::execute::<Evaluate>(&args.stage, args.overrides())?;
    let Some(format) = args.table else { return Ok(()) };
    for folder in folders {
        let metrics: Metrics = atomic::read_json(&folder.join(names::METRICS), "metrics")?;
        let run = folder.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let images = format!("{} images of {}", metrics.headline.n, dataset_name(&metrics.dataset));
        stage::print_text(&tables(&[(&run, &metrics)], &images, format))?;
    }
    Ok(())
}
