//! Code that benchmarks share.
//!
//! The benchmarks are examples of this crate, so that other crates need no code for benchmarks only:
//!
//! - `layers`: each CPU kernel, at each shape of ResNet-50
//! - `norms`: the batch norms of ResNet-50 on a CUDA card
//! - `peak`: the peak arithmetic rate and memory bandwidth of the machine
//! - `bench-step`: training steps and inferences
//! - `vit-features`: features of a vision transformer
//! - `loader-rate`: the training loader alone
//! - `native-rate`: decoding at native resolution from shards with files, and cutting windows
//! - `scale`: metrics with their intervals, by the number of predictions
//! - `audit-scale`: the audit of a data set, by the number of images

#[cfg(feature = "cuda")]
pub mod card_norms;
pub mod cpu_layers;

use rustix::time::{ClockId, clock_gettime};

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
