//! Measures a training step of a detector with two trained branches, a ResNet-50 on the whole image and `patches` on
//! four windows of 64 pixels, for `cargo xtask bench`.
//!
//! `cargo run --release -p benches --example branches-step -- --batch 16`

use std::process::ExitCode;

use artifacts::stage::{self, Failure, print_json};
use benches::{median_seconds, noise, peak_bytes};
use branches::{
    BranchName, FeatureBatch, Fusion, ModelConfig, PretrainedFiles, StepOptions, TrainedInputs, Training, Windows,
};
use clap::Parser;
use model::PrecisionChoice;
use model::device::DeviceChoice;
use serde_json::json;

/// Prints one JSON line with the median images/s and the peak memory.
#[derive(Parser)]
struct Args {
    /// Images in a batch
    #[arg(long)]
    batch: usize,
    /// Height and width of the input of the ResNet
    #[arg(long, default_value_t = 224)]
    size: usize,
    /// The precision: auto, f32 or bf16
    #[arg(long, default_value = "f32")]
    precision: PrecisionChoice,
    /// The minimum duration of the measurement in seconds
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
}

fn main() -> ExitCode {
    stage::finish("branches-step", run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    let mut config =
        ModelConfig { branches: vec![BranchName::Resnet50, BranchName::Patches], ..ModelConfig::default() };
    config.resnet.size = args.size;
    let device = DeviceChoice::Cpu.open(args.precision).map_err(Failure::usage)?;
    if args.precision.is_bf16() && device.kind() == "cpu" {
        return Err(Failure::usage("this processor does not compute in bf16"));
    }
    let fusion = Fusion::new(&config, Vec::new()).map_err(Failure::failed)?;
    let mut training =
        Training::new(&config, fusion, &PretrainedFiles::default(), &device, 0).map_err(Failure::failed)?;
    let windows = |count: usize, side: usize| Windows {
        pixels: noise(args.batch * count * side * side * 3),
        counts: vec![count; args.batch],
    };
    let inputs =
        TrainedInputs { branches: vec![windows(1, args.size), windows(config.patches.count, config.patches.side)] };
    let labels: Vec<u8> = (0..args.batch).map(|image| (image % 2) as u8).collect();
    let (features, weights) = (FeatureBatch::default(), vec![1.0; args.batch]);
    let options = StepOptions { learning_rate: 1e-3, schedule: 1.0, seed: 0 };
    let seconds = median_seconds(args.seconds, || {
        training.train_step((&features, &inputs), &labels, &weights, options).map(drop)
    })
    .map_err(Failure::failed)?;
    print_json(&json!({
        "program": concat!("Candling ", env!("CARGO_PKG_VERSION")),
        "device": device.to_string(),
        "value": args.batch as f64 / seconds,
        "unit": "images/s",
        "peak_bytes": peak_bytes(),
    }))
}
