//! The engine for CUDA cards: device memory, convolutions with cuDNN, and hand-written kernels (`cuda/*.cu`) for
//! everything else.
//!
//! - [`Engine`]: the interface of a device
//! - [`Card`]: a CUDA card
//! - `requirements`: the oldest supported versions
//! - `pinned`: pinned host memory
//! - `cudnn`, `descriptors`, `convolution_cache`: convolutions with cuDNN
//! - `graph`: CUDA graphs
//! - [`launch`]: a function for each kernel
//! - [`shapes`]: the shapes that the functions in [`launch`] take
//! - [`test_support`], with the feature `emulation`: an engine that runs the kernels on the processor

mod capability;
mod card;
mod convolution_cache;
mod cudnn;
mod descriptors;
mod engine;
mod error;
mod graph;
pub mod launch;
mod pinned;
mod requirements;
pub mod shapes;
#[cfg(feature = "emulation")]
#[expect(clippy::unwrap_used, reason = "only tests use it, and they may panic")]
pub mod test_support;
#[cfg(test)]
#[cfg(feature = "emulation")]
mod tests;

pub use capability::Capability;
pub use card::Card;
pub use convolution_cache::ConvolutionCache;
pub use engine::{Address, Arg, Engine, FusedOperands, NULL, Scratch, download};
pub use error::{Error, Result};
pub use graph::{Graph, Graphs};
