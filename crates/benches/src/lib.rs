//! Benchmarks of the other crates. They are examples of this crate, so that no library exports items for benchmarks
//! only:
//!
//! - `layers`: each kernel for processors at each shape of ResNet-50
//! - `norms`: the batch norms of ResNet-50 on a CUDA card
//! - `peak`: peak arithmetic rates and memory bandwidth of the machine
//! - `bench-step`: training steps and inferences
//! - `loader-rate`: the training loader
//! - `scale`: metrics with confidence intervals, by number of predictions
//! - `audit-scale`: the audit of a data set, by number of images
//!
//! The library holds the parts of `layers` and `norms` that are tested or shared.

#[cfg(feature = "cuda")]
pub mod card_norms;
pub mod cpu_layers;
