//! The errors of a network.

use crate::architecture::ArchitectureError;
use crate::batch::InputError;
use crate::device::DeviceError;
use crate::weights;

/// A result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// An error of a network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is invalid, or a layer is unknown.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// The device cannot be opened.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A batch, its labels or a gradient is invalid.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Weights cannot be found, read or written.
    #[error(transparent)]
    Weights(#[from] weights::Error),
    /// The saved state of an optimiser does not fit the network.
    #[error("the optimiser's state does not fit the network: {0}")]
    OptimiserState(String),
    /// Tensors are not those of the network.
    #[error("the tensors do not fit the network: {0}")]
    Tensors(String),
    /// A backward pass without a forward pass whose activations are still in memory.
    #[error("there is no forward pass to differentiate: call `forward_features` before `backward_features`")]
    NoForward,
    /// A step or an inference returned no result. This is a bug in this crate.
    #[error("the device has lost a result")]
    NoResult,
    /// A card computes batch norm, which several processes compute together on processors only.
    #[error("batch norm over several processes is computed on processors only")]
    NotSynchronised,
    /// A kernel failed, memory ran out, or the CUDA engine failed.
    #[error(transparent)]
    Kernels(#[from] kernels::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

#[cfg(feature = "cuda")]
impl From<kernels::cuda::Error> for Error {
    fn from(error: kernels::cuda::Error) -> Self {
        Self::Kernels(error.into())
    }
}
