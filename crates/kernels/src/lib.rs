//! The computations of convolutional networks: on processors in [`cpu`], and on CUDA cards in `cuda` with the feature of
//! that name.
//!
//! The crate has no list of layers, no optimiser state and no candle tensors. It computes single operations on slices or on
//! device memory: convolutions and their gradients, batch normalisation, pooling, the classifier with its loss, and Adam's
//! update. Tensors are `[images, height, width, channels]`.

pub mod adam;
pub mod batch_norm;
pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
mod error;
pub mod pixels;
mod precision;
mod shape;

pub use error::{Error, Result};
pub use precision::Precision;
pub use shape::{ConvShape, Gradients, max_pool_side};
