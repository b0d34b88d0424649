//! The program `candling-train`.

use std::process::ExitCode;

use artifacts::config::Override;
use artifacts::names;
use artifacts::stage::{self, Failure, StageArgs};
use clap::Parser;

/// Train a detector on the shards of ingest. An interrupted training saves its progress, and the same command resumes
/// it
#[derive(Parser)]
#[command(name = "candling-train", version)]
struct Args {
    #[command(flatten)]
    stage: StageArgs,
    /// Initial weights: `hf:owner/repo[/file][@revision]`, a safetensors file, or none for random weights; short for
    /// --set train.weights=SOURCE
    #[arg(long, value_name = "SOURCE")]
    weights: Option<String>,
    /// The device to compute on: auto, cpu or `cuda[:N]`; short for --set train.device=DEVICE
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Instead of training, measure how many images of SIZE x SIZE pixels this machine trains on per second, and print
    /// the rate as JSON
    #[arg(long, value_name = "SIZE", value_parser = clap::value_parser!(u16).range(1..=4096))]
    rate: Option<u16>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let option = |key: &'static str, value: Option<String>, option: &str| {
        value.map(|value| Override::of_option(names::TRAIN, key, value, option))
    };
    let overrides = [option("weights", args.weights, "--weights"), option("device", args.device, "--device")];
    let overrides = overrides.into_iter().flatten().collect();
    match args.rate {
        None => stage::main::<train::Train>(&args.stage, overrides),
        Some(size) => stage::finish(names::TRAIN, measure(&args.stage, overrides, size.into())),
    }
}

fn measure(args: &StageArgs, overrides: Vec<Override>, size: usize) -> Result<(), Failure> {
    let (_, config) = stage::resolve::<train::Train>(args, overrides)?;
    stage::print_json(&train::measure_throughput(&config, size)?)
}
