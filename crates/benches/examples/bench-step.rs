//! Measures the speed of a training step or an inference of ResNet-50, for `cargo xtask bench`.
//!
//! `cargo run --release -p benches --example bench-step -- train --batch 16`

use std::process::ExitCode;

use artifacts::stage::{self, Failure, print_json};
use benches::{StepArgs, median_seconds, noise, peak_bytes};
use clap::{Parser, ValueEnum};
use model::device::DeviceChoice;
use model::{Adam, AdamConfig, Network, NetworkConfig, PixelBatch};
use serde_json::json;

/// The number of steps in a block on a card. The program waits for the card at the end of each block.
const CARD_BLOCK: usize = 10;

/// Measures ResNet-50. Prints one JSON line with the median images/s, the peak memory, the operations per image and, on
/// a card, the memory traffic.
#[derive(Parser)]
struct Args {
    /// What to measure
    what: Measured,
    #[command(flatten)]
    step: StepArgs,
    /// The device: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measured {
    /// A training step: forward, backward and Adam
    Train,
    /// An inference: forward with running statistics
    Infer,
}

fn main() -> ExitCode {
    stage::finish("bench-step", run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    let device = args.device.open(args.step.precision).map_err(Failure::usage)?;
    args.step.check_precision(&device)?;
    let mut network = Network::new(&NetworkConfig::default(), &device).map_err(Failure::failed)?;
    let seconds = match args.what {
        Measured::Train => train(args, &mut network),
        Measured::Infer => infer(args, &mut network),
    };
    let seconds = seconds.map_err(Failure::failed)?;
    let cost = match args.what {
        Measured::Train => network.training_cost(args.step.size, args.step.size),
        Measured::Infer => network.inference_cost(args.step.size, args.step.size),
    };
    let stored = if args.step.precision.is_bf16() { 2 } else { 4 };
    print_json(&json!({
        "program": concat!("Candling ", env!("CARGO_PKG_VERSION")),
        "device": device.to_string(),
        "value": args.step.batch as f64 / seconds,
        "unit": "images/s",
        // On a card, this is the card's memory in use. All workspaces are allocated by now.
        "peak_bytes": device.memory_in_use().or_else(peak_bytes),
        "operations": cost.operations,
        // `cost.elements` counts the traffic of the CUDA kernels, so it does not apply to the CPU.
        "bytes": (!device.is_cpu()).then_some(cost.elements * stored),
    }))
}

/// Returns the median seconds of a training step.
fn train(args: &Args, network: &mut Network) -> model::Result<f64> {
    let (pixels, labels) = pixels_and_labels(args);
    let batch = PixelBatch { data: &pixels, n: args.step.batch, height: args.step.size, width: args.step.size };
    let mut adam = Adam::new(AdamConfig::default(), network)?;
    let start = |network: &mut Network| {
        network.start_step(&batch, &labels)?;
        adam.step(network)
    };
    median_of_blocks(args, network, start, |network| network.finished_steps().map(drop))
}

/// Returns the median seconds of an inference.
fn infer(args: &Args, network: &mut Network) -> model::Result<f64> {
    let (pixels, _) = pixels_and_labels(args);
    let batch = PixelBatch { data: &pixels, n: args.step.batch, height: args.step.size, width: args.step.size };
    let start = |network: &mut Network| network.start_inference(&batch);
    median_of_blocks(args, network, start, |network| network.finished_inferences().map(drop))
}

/// Returns the median seconds of one call of `start`. On a card, `start` is called several times before `finish` waits.
fn median_of_blocks(
    args: &Args,
    network: &mut Network,
    mut start: impl FnMut(&mut Network) -> model::Result<()>,
    finish: impl Fn(&mut Network) -> model::Result<()>,
) -> model::Result<f64> {
    let block = if network.device().is_cpu() { 1 } else { CARD_BLOCK };
    let seconds = median_seconds(args.step.seconds, || {
        for _ in 0..block {
            start(network)?;
        }
        finish(network)
    })?;
    Ok(seconds / block as f64)
}

/// Returns random pixels, `[batch, size, size, 3]`, and alternating labels.
fn pixels_and_labels(args: &Args) -> (Vec<u8>, Vec<u8>) {
    let pixels = noise(args.step.batch * args.step.size * args.step.size * 3);
    (pixels, (0..args.step.batch).map(|i| (i % 2) as u8).collect())
}
