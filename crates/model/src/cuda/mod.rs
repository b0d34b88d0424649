//! The back end for CUDA cards: the walk over the layers with the kernels of [`kernels::cuda`].
//!
//! - `parameters`: the weights in device memory
//! - `workspace`: the memory of one batch shape; `workspace_cache` keeps those of the latest shapes
//! - `trunk`: the layers below the head, forward and backward; `folded`: forward only, with folded batch norms
//! - `recordings`: passes over the layers, recorded and replayed as CUDA graphs
//! - `readback_queue`: results that are copied to the host asynchronously
//! - `backend`: all of it as a [`crate::backend::Backend`]; `moments`: Adam's moments

mod backend;
mod folded;
mod moments;
mod parameters;
mod readback_queue;
mod recordings;
#[cfg(test)]
#[cfg(feature = "emulation")]
mod tests;
mod trunk;
mod workspace;
mod workspace_cache;

pub(crate) use backend::CudaBackend;
