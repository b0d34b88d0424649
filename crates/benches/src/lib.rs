//! What the benchmarks share.
//!
//! The benchmarks are examples of this crate, so that the libraries export nothing that only benchmarks need:
//!
//! - `layers`: each kernel for processors, at each shape of ResNet-50
//! - `norms`: the batch norms of ResNet-50 on a CUDA card
//! - `peak`: the arithmetic and the memory bandwidth of the machine
//! - `bench-step`: training steps and inferences
//! - `loader-rate`: the training loader alone
//! - `scale`: metrics with their intervals, by the number of predictions
//! - `audit-scale`: the audit of a data set, by the number of images

#[cfg(feature = "cuda")]
pub mod card_norms;
pub mod cpu_layers;
