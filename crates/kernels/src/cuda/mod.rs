//! The engine for CUDA cards: device memory, cuDNN's convolutions, and kernels of our own (`cuda/*.cu`) for the rest.
//!
//! Where to look: what is asked of a device ([`Engine`]), the card that implements it ([`Card`]; its preflight checks in
//! `requirements`, pinned host memory in `pinned`, cuDNN in `cudnn` and `descriptors`, CUDA graphs in `graph`), the kernels
//! as functions ([`launch`]), and the shapes that they take ([`shapes`]). With the feature `emulation`, [`test_support`] holds an
//! engine that runs the kernels on the processor.

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
#[cfg(all(test, feature = "emulation"))]
mod tests;

pub use card::Card;
pub use convolution_cache::ConvolutionCache;
pub use engine::{Address, Arg, Engine, FusedOperands, NULL, Scratch, download};
pub use error::{Error, Result};
pub use graph::{Graph, Graphs};
