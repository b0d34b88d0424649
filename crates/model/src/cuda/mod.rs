//! The back end for CUDA cards, which runs the layers with the kernels of [`kernels::cuda`].
//!
//! - `parameters`: the weights in device memory
//! - `workspace`: the memory of one batch shape; `workspace_cache`: the workspaces of the latest shapes
//! - `trunk`: the layers below the head, forward and backward; `folded`: forward only, with folded batch norms
//! - `recordings`: passes over the layers, recorded and replayed as CUDA graphs
//! - `readback_queue`: results that are copied to the host asynchronously
//! - `backend`: the [`crate::backend::Backend`] that combines these modules; `moments`: Adam's moments

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
