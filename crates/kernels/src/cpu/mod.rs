//! Kernels for processors: N,H,W,C tensors, blocked matrix products, batch norm folded into reading and writing.
//!
//! Where to look: the SIMD instruction sets ([`Isa`], `simd`), the GEMM micro-kernel (`micro_kernel`), im2col and packing of
//! the left operand (`im2col`, `operand`), packing of the right operand (`panels`), packing of bf16 pairs (`bf16_packing`),
//! the loops around the micro-kernel (`product` for outputs and input gradients, `weight_gradient`), the division of an
//! output into tasks (`units`), Winograd's convolution for 3x3 (`winograd`), the choice between the two (`algorithm`), and
//! the epilogues that finished tiles go through (`epilogue`).

mod algorithm;
mod batch_norm;
mod bf16_packing;
mod buffer;
mod convolution;
mod epilogue;
pub mod head;
mod im2col;
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
mod units;
mod weight_gradient;
mod winograd;

pub use algorithm::{ConvAlgorithm, WeightGradientAlgorithm};
pub use batch_norm::{Affine, Norm, Sums};
pub use buffer::Buffer;
pub use convolution::{Convolution, Input};
pub use epilogue::{Epilogue, Folded, MaskByNorm, MaskByOutput, Statistics, Write};
pub use operand::Operand;
pub use pixels::normalise_pixels;
pub use pool::{MaxPool, average_pool};
pub use residual::{Branch, Shortcut, residual_join, spread, spread_masked};
pub use simd::Isa;
