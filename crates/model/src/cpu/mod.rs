//! The back end for processors: N,H,W,C tensors, blocked matrix products, batch norm folded into what reads and writes.
//!
//! Where to look: the register tile (`tile`), packing of the left operand (`gather`, `operand`) and of the right one
//! (`panels`), bf16 (`steps`), the loops around it (`product` for outputs and input gradients, `gradient` for weight
//! gradients), the cut of an output into tasks (`units`), fewer multiplications for 3x3 (`winograd`), which way a layer takes
//! (`method`), what is done with a finished tile (`epilogue`), the walk over the layers (`trunk`, and `inference` without a way
//! back), and all of it with the head behind it (`processor`).

mod ahead;
mod buffer;
mod convolution;
mod epilogue;
mod gather;
mod gradient;
mod head;
mod inference;
pub mod measure;
mod method;
mod norm;
mod operand;
mod panels;
mod pixels;
mod pool;
mod processor;
mod product;
#[cfg(test)]
mod reference;
mod residual;
mod simd;
mod steps;
#[cfg(test)]
mod tests;
mod tile;
mod trunk;
mod units;
mod winograd;
mod workspace;

pub(crate) use processor::Processor;
pub(crate) use simd::Isa;
