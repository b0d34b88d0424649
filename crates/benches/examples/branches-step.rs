//! Measures a training step of a detector with two trained branches, a ResNet-50 on the whole image and `patches` on
//! four windows of 64 pixels, for `cargo xtask bench`.
//!
//! `cargo run --release -p benches --example branches-step -- --batch 16`

use std::process::ExitCode;

use artifacts::stage::{self, Failure, print_json};
use benches::{StepArgs, median_seconds, noise, peak_bytes};
use branches::{
    BranchName, FeatureBatch, Fusion, ModelConfig, PretrainedFiles, StepOptions, TrainedInputs, Training, Windows,
};
use clap::Parser;
use model::device::DeviceChoice;
use serde_json::json;

/// Prints one JSON line with the median images/s and the peak memory.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    step: StepArgs,
}

fn main() -> ExitCode {
    stage::finish("branches-step", run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    let mut config =
        ModelConfig { branches: vec![BranchName::Resnet50, BranchName::Patches], ..ModelConfig::default() };
    config.resnet.size = args.step.size;
    let device = DeviceChoice::Cpu.open(args.step.precision).map_err(Failure::usage)?;
    args.step.check_precision(&device)?;
    let fusion = Fusion::new(&config, Vec::new()).map_err(Failure::failed)?;
    let mut training =
        Training::new(&config, fusion, &PretrainedFiles::default(), &device, 0).map_err(Failure::failed)?;
    let windows = |count: usize, side: usize| Windows {
        pixels: noise(args.step.batch * count * side * side * 3),
        counts: vec![count; args.step.batch],
    };
    let inputs = TrainedInputs {
        branches: vec![windows(1, args.step.size), windows(config.patches.count, config.patches.side)],
    };
    let labels: Vec<u8> = (0..args.step.batch).map(|image| (image % 2) as u8).collect();
    let (features, weights) = (FeatureBatch::default(), vec![1.0; args.step.batch]);
    let options = StepOptions { learning_rate: 1e-3, schedule: 1.0, seed: 0 };
    let seconds = median_seconds(args.step.seconds, || {
        training.train_step((&features, &inputs), &labels, &weights, options).map(drop)
    })
    .map_err(Failure::failed)?;
    print_json(&json!({
        "program": concat!("Candling ", env!("CARGO_PKG_VERSION")),
        "device": device.to_string(),
        "value": args.step.batch as f64 / seconds,
        "unit": "images/s",
        "peak_bytes": peak_bytes(),
    }))
}
