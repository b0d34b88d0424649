//! Kernels for CPUs: convolutions as blocked matrix products (GEMM) on NHWC tensors. Batch normalisation and ReLU are
//! fused into the packing of inputs and into the epilogues of outputs.
//!
//! - `simd`, [`Isa`]: the SIMD instruction sets.
//! - `micro_kernel`: the GEMM micro-kernel.
//! - `im2col`, `operand`: im2col and packing of the left operand (activations, gradients).
//! - `panels`: packing of the right operand (weights). `bf16_packing`: packing of bf16 pairs.
//! - `product`, `weight_gradient`: the loops around the micro-kernel, for outputs and input gradients, and for weight
//!   gradients. `units`: the partition of an output into tasks. `prefetch`: software prefetching.
//! - `epilogue`: operations that are fused into the writing of an output tile.
//! - `winograd`: Winograd convolution for 3x3 kernels.
//! - `convolution`, `algorithm`: a convolution with its gradients, and the choice between GEMM and Winograd.
//! - `linear`: linear layers with packed weights. `layer_norm`, `attention`, `activation`: the other layers of
//!   transformers. `exponential`: vectors of exponentials. `tile_product`: small matrix products inside one task.
//! - `batch_norm`, `pool`, `residual`, `head`, `pixels`: the other layers.
//! - `values`, `element_type`: tensors of f32 or bf16. `buffer`: memory of workspaces and scratch memory of threads.
//!
//! Terms:
//! - The *depth* of a matrix product is its inner dimension, and a *step* of the depth is one index `k` of it.
//! - A *register tile* is the part of the output that the micro-kernel keeps in registers.
//! - A *panel* is a packed part of the right operand, as wide as a register tile.
//! - A *unit* is the part of an output that one task computes.
//! - A *tap* is a position in a convolution's kernel or in a pooling window.

mod activation;
mod algorithm;
mod attention;
mod batch_norm;
mod bf16_packing;
mod buffer;
mod convolution;
mod element_type;
mod epilogue;
mod exponential;
pub mod head;
mod im2col;
mod layer_norm;
mod linear;
mod micro_kernel;
mod operand;
mod panels;
mod pixels;
mod pool;
mod prefetch;
mod product;
#[cfg(test)]
mod reference;
mod residual;
mod simd;
#[cfg(test)]
mod tests;
mod tile_product;
mod units;
mod values;
mod weight_gradient;
mod winograd;

pub use activation::{Activation, activate, activate_backward};
pub use algorithm::{ConvAlgorithm, WeightGradientAlgorithm};
pub use attention::Attention;
pub use batch_norm::{Affine, GradientSums, Moments, Norm, Sums};
pub use buffer::Buffer;
pub use convolution::{Convolution, Input};
pub use element_type::ElementType;
pub use epilogue::{Epilogue, Folded, MaskByNorm, MaskByOutput, Statistics, Write};
pub use layer_norm::{LayerNorm, layer_norm, layer_norm_backward};
pub use linear::{Linear, LinearEpilogue, linear_weight_gradient};
pub use operand::Operand;
pub use pixels::normalise_pixels;
pub use pool::{MaxPool, average_pool};
pub use residual::{Branch, Shortcut, average_pool_backward, average_pool_backward_masked, residual_add_relu};
pub use simd::Isa;
pub use values::{Tensor, Values, ValuesMut};
