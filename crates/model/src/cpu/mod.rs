//! The back end for processors: the walk over the layers with the kernels of [`kernels::cpu`].
//!
//! `trunk` computes everything but the head, forward and backward, in the memory that `workspace` plans for a batch shape;
//! `inference` computes forward only, with folded batch norms; `processor` adds the head.

mod inference;
mod processor;
#[cfg(test)]
mod tests;
mod trunk;
mod workspace;

pub(crate) use processor::Processor;
