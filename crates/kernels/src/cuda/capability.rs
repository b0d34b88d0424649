//! Compute capabilities: the generations of CUDA cards.

/// A card's compute capability, major and minor.
pub type Capability = (i32, i32);

/// Turing, the oldest generation that `build.rs` compiles kernels for.
pub(crate) const OLDEST: Capability = (7, 5);
/// Ampere, the first generation with bf16 products.
pub(crate) const OLDEST_WITH_BF16: Capability = (8, 0);
