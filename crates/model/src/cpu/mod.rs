//! The back end for processors, which runs the layers with the kernels of [`kernels::cpu`].
//!
//! - `trunk`: the layers below the head, forward and backward
//! - `workspace`: the memory of the trunk for one batch shape
//! - `inference`: the layers below the head, forward only, with batch norms folded into the weights
//! - `backend`: the trunk and the head as a [`crate::backend::Backend`], and Adam's moments

mod backend;
mod inference;
#[cfg(test)]
mod tests;
mod trunk;
mod workspace;

pub(crate) use backend::CpuBackend;
