//! The kernels of convolutional networks: for processors in [`cpu`], and for CUDA cards in `cuda` (feature `cuda`).
//!
//! Each function computes one operation on slices or on device memory: a convolution or one of its gradients, batch
//! normalisation, pooling, the classifier, its loss, or an update of Adam. The crate defines no network, stores no
//! optimiser state and does not use candle's tensors. Tensors are `[images, height, width, channels]`.

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
