//! The command line of the stage.

use artifacts::config::Override;
use artifacts::names;
use artifacts::stage::{self, Failure, StageArgs};
use clap::Args;

use crate::stage::Train;
use crate::throughput::measure_throughput;

/// Train a detector on the shards of ingest. An interrupted training saves its progress, and the same command resumes
/// it
#[derive(Clone, Debug, Args)]
pub struct TrainArgs {
    /// The options of every stage.
    #[command(flatten)]
    pub stage: StageArgs,
    /// Initial weights: `hf:owner/repo[/file][@revision]`, a safetensors file, or none for random weights; short for
    /// --set train.weights=SOURCE
    #[arg(long, value_name = "SOURCE")]
    pub weights: Option<String>,
    /// The device to compute on: auto, cpu or `cuda[:N]`; short for --set train.device=DEVICE
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Instead of training, measure how many images of SIZE x SIZE pixels this machine trains on per second, and print
    /// the rate as JSON
    #[arg(long, value_name = "SIZE", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub rate: Option<u16>,
}

/// Trains the runs that are not up to date, or measures the speed of training.
///
/// # Errors
/// The arguments are not valid, or the stage fails.
pub fn train(args: &TrainArgs) -> Result<(), Failure> {
    let option = |key: &'static str, value: &Option<String>, option: &str| {
        value.clone().map(|value| Override::of_option(names::TRAIN, key, value, option))
    };
    let overrides = [option("weights", &args.weights, "--weights"), option("device", &args.device, "--device")];
    let overrides = overrides.into_iter().flatten().collect();
    let Some(size) = args.rate else {
        return stage::execute::<Train>(&args.stage, overrides).map(drop);
    };
    let (_, config) = stage::resolve::<Train>(&args.stage, overrides)?;
    stage::print_json(&measure_throughput(&config, size.into())?)
}
