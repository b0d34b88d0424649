//! Measures training steps or inferences of ResNet-50 for `cargo xtask bench`.
//!
//! `cargo run --release -p benches --example bench-step -- train --batch 16`

use std::process::ExitCode;
use std::time::{Duration, Instant};

use artifacts::stage::{self, Failure, print_json};
use clap::{Parser, ValueEnum};
use kernels::Precision;
use model::device::DeviceChoice;
use model::{Adam, AdamConfig, Network, NetworkConfig, PixelBatch, PrecisionChoice};
use serde_json::json;

/// Blocks before the measurement, which allocate buffers and fill caches.
const WARM_UP: usize = 2;
/// The fewest blocks to measure.
const MIN_BLOCKS: usize = 3;
/// Steps per block on a card. The host waits for the card at the end of each block.
const CARD_BLOCK: usize = 10;

/// Measures training steps or inferences of ResNet-50
///
/// Prints one JSON line with the median images/s, the memory in use, the operations per image and, on a card, the
/// memory traffic per image
#[derive(Parser)]
struct Args {
    /// What to measure
    task: Task,
    /// Images per batch
    #[arg(long)]
    batch: usize,
    /// Height and width of the images
    #[arg(long, default_value_t = 224)]
    size: usize,
    /// Element type of convolutions: f32, tf32, bf16 or auto
    #[arg(long, default_value = "f32")]
    precision: PrecisionChoice,
    /// Device to compute on: cpu, cuda or auto
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
    /// Duration of the measurement in seconds
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Task {
    /// Forward and backward passes, and Adam
    Train,
    /// Forward passes with running statistics
    Infer,
}

fn main() -> ExitCode {
    stage::finish("bench-step", run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    let device = args.device.open(args.precision).map_err(Failure::usage)?;
    if args.precision == PrecisionChoice::Fixed(Precision::Bf16) && device.kind() == "cpu" {
        return Err(Failure::usage("this processor does not support bf16"));
    }
    let mut network = Network::new(&NetworkConfig::default(), &device).map_err(Failure::failed)?;
    let seconds = match args.task {
        Task::Train => train(args, &mut network),
        Task::Infer => infer(args, &mut network),
    };
    let seconds = seconds.map_err(Failure::failed)?;
    let cost = match args.task {
        Task::Train => network.training_cost(args.size, args.size),
        Task::Infer => network.inference_cost(args.size, args.size),
    };
    let stored = if args.precision == PrecisionChoice::Fixed(Precision::Bf16) { 2 } else { 4 };
    print_json(&json!({
        "program": concat!("Candling ", env!("CARGO_PKG_VERSION")),
        "device": device.to_string(),
        "value": args.batch as f64 / seconds,
        "unit": "images/s",
        // On a card, the card's memory counts. Its workspaces are allocated by now, so that this is the peak.
        "peak_bytes": device.memory_in_use().or_else(peak_bytes),
        "operations": cost.operations,
        // The cost counts the traffic of the kernels for cards.
        "bytes": (!device.is_cpu()).then_some(cost.elements * stored),
    }))
}

/// Returns the median time of a training step, in seconds.
fn train(args: &Args, network: &mut Network) -> model::Result<f64> {
    let (pixels, labels) = noise(args);
    let batch = PixelBatch { data: &pixels, n: args.batch, height: args.size, width: args.size };
    let mut adam = Adam::new(AdamConfig::default(), network)?;
    let start = |network: &mut Network| {
        network.start_step(&batch, &labels)?;
        adam.step(network)
    };
    median_of_blocks(args, network, start, |network| network.finished_steps().map(drop))
}

/// Returns the median time of an inference, in seconds.
fn infer(args: &Args, network: &mut Network) -> model::Result<f64> {
    let (pixels, _) = noise(args);
    let batch = PixelBatch { data: &pixels, n: args.batch, height: args.size, width: args.size };
    let start = |network: &mut Network| network.start_inference(&batch);
    median_of_blocks(args, network, start, |network| network.finished_inferences().map(drop))
}

/// Returns the median time of a step, in seconds. A block starts one or more steps with `start` and waits with
/// `finish`.
fn median_of_blocks(
    args: &Args,
    network: &mut Network,
    mut start: impl FnMut(&mut Network) -> model::Result<()>,
    finish: impl Fn(&mut Network) -> model::Result<()>,
) -> model::Result<f64> {
    let block = if network.device().is_cpu() { 1 } else { CARD_BLOCK };
    let seconds = median_seconds(args.seconds, || {
        for _ in 0..block {
            start(network)?;
        }
        finish(network)
    })?;
    Ok(seconds / block as f64)
}

fn median_seconds(seconds: f64, mut block: impl FnMut() -> model::Result<()>) -> model::Result<f64> {
    for _ in 0..WARM_UP {
        block()?;
    }
    let (mut times, start) = (Vec::new(), Instant::now());
    while times.len() < MIN_BLOCKS || start.elapsed() < Duration::from_secs_f64(seconds) {
        let start = Instant::now();
        block()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok((times[(times.len() - 1) / 2] + times[times.len() / 2]) / 2.0)
}

/// Returns random pixels `[batch, size, size, 3]`, and alternating labels.
fn noise(args: &Args) -> (Vec<u8>, Vec<u8>) {
    let mut state = 1_u64;
    let mut byte = || {
        // The linear congruential generator of Knuth's MMIX. Its high bits are the most random.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let pixels = (0..args.batch * args.size * args.size * 3).map(|_| byte()).collect();
    (pixels, (0..args.batch).map(|i| (i % 2) as u8).collect())
}

/// Returns the peak resident memory of this process, or `None` if /proc is missing.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?;
    Some(kilobytes.trim().parse::<u64>().ok()? * 1024)
}
