//! The program `candling-evaluate`, which runs the stage `evaluate`.

use std::path::PathBuf;
use std::process::ExitCode;

use artifacts::config::Override;
use artifacts::names::EVALUATE;
use artifacts::stage::{self, StageArgs};
use clap::Parser;

/// Evaluate checkpoints on a split: predictions, metrics with intervals, examples with heat maps
#[derive(Parser)]
#[command(name = "candling-evaluate", version)]
struct Args {
    #[command(flatten)]
    stage: StageArgs,
    /// The checkpoint: best, last, or the folder of a checkpoint; short for --set evaluate.ckpt=CKPT
    #[arg(long, value_name = "CKPT")]
    ckpt: Option<String>,
    /// The split to evaluate: train, val or test; short for --set evaluate.split=SPLIT
    #[arg(long, value_name = "SPLIT")]
    split: Option<String>,
    /// A folder of shards to evaluate in place of the run's own (`cargo xtask evaluate` also takes the sources of
    /// ingest, and ingests them first); short for --set evaluate.data=DIR
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Write the result to evaluate-NAME beside evaluate, e.g. to compare checkpoints; short for --set
    /// evaluate.name=NAME
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The device to compute on: auto, cpu or `cuda[:N]`; short for --set evaluate.device=DEVICE
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Evaluate the split again after JPEG compression, resizing, blur, noise, cropping and sharing; short for --set
    /// evaluate.robustness=true
    #[arg(long)]
    robustness: bool,
}

impl Args {
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

fn main() -> ExitCode {
    let args = Args::parse();
    stage::main::<evaluate::Evaluate>(&args.stage, args.overrides())
}
