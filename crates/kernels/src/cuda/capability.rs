//! Compute capabilities: the version numbers of the generations of CUDA cards.

/// A compute capability, `(major, minor)`.
pub type Capability = (i32, i32);

/// Turing, the oldest generation that `build.rs` compiles kernels for.
pub(crate) const OLDEST: Capability = (7, 5);
/// Ampere, the oldest generation with bf16 tensor cores.
pub(crate) const OLDEST_WITH_BF16: Capability = (8, 0);
