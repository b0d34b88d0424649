//! Code that benchmarks share.
//!
//! The benchmarks are examples of this crate, so that other crates need no code for benchmarks only:
//!
//! - `layers`: each CPU kernel, at each shape of ResNet-50
//! - `norms`: the batch norms of ResNet-50 on a CUDA card
//! - `peak`: the peak arithmetic rate and memory bandwidth of the machine
//! - `bench-step`: training steps and inferences
//! - `branches-step`: training steps of a detector with two trained branches
//! - `vit-features`: features of a vision transformer
//! - `loader-rate`: the training loader alone
//! - `native-rate`: decoding at native resolution from shards with files, and cutting windows
//! - `scale`: metrics with their intervals, by the number of predictions
//! - `audit-scale`: the audit of a data set, by the number of images

#[cfg(feature = "cuda")]
pub mod card_norms;
pub mod cpu_layers;

use std::time::Instant;

use artifacts::stage::Failure;
use clap::Args;
use model::PrecisionChoice;
use model::device::Device;
use rustix::time::{ClockId, clock_gettime};

/// The arguments of the benchmarks of training steps and inferences.
#[derive(Args, Clone, Copy, Debug)]
pub struct StepArgs {
    /// Images in a batch
    #[arg(long)]
    pub batch: usize,
    /// Height and width of the images
    #[arg(long, default_value_t = 224)]
    pub size: usize,
    /// The precision: auto, f32, tf32 or bf16
    #[arg(long, default_value = "f32")]
    pub precision: PrecisionChoice,
    /// The minimum duration of the measurement in seconds
    #[arg(long, default_value_t = 8.0)]
    pub seconds: f64,
}

impl StepArgs {
    /// Checks that `device` computes in bf16, if that was chosen. A processor without bf16 falls back to f32.
    ///
    /// # Errors
    /// It does not.
    pub fn check_precision(&self, device: &Device) -> Result<(), Failure> {
        if self.precision.is_bf16() && device.kind() == "cpu" {
            return Err(Failure::usage("this processor does not compute in bf16"));
        }
        Ok(())
    }
}

/// The number of warm-up blocks, which allocate buffers and fill caches, and are not measured.
const WARM_UP: usize = 2;
/// The minimum number of measured blocks.
const MIN_BLOCKS: usize = 3;

/// Returns the median seconds of a call of `block`, which is called for about `seconds` after the warm-up.
///
/// # Errors
/// The first error of `block`.
pub fn median_seconds<E>(seconds: f64, mut block: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    for _ in 0..WARM_UP {
        block()?;
    }
    let (mut times, start) = (Vec::new(), Instant::now());
    while times.len() < MIN_BLOCKS || start.elapsed().as_secs_f64() < seconds {
        let start = Instant::now();
        block()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok((times[(times.len() - 1) / 2] + times[times.len() / 2]) / 2.0)
}

/// Returns `len` random bytes, always the same ones.
#[must_use]
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let byte = || {
        // The generator of Knuth's MMIX. Only the high bits are random enough.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(byte).take(len).collect()
}

/// Returns the processor time of this process in seconds, over all threads.
#[must_use]
pub fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Returns the peak resident memory of this process in bytes, or `None` on systems other than Linux.
#[must_use]
pub fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?;
    Some(kilobytes.trim().parse::<u64>().ok()? * 1024)
}
