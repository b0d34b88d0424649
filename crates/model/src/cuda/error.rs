//! What can go wrong on a card.

/// Result with [`Error`].
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why a card cannot be used, or what it refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The driver is not installed.
    #[error("the CUDA driver's library (libcuda) is not on this machine")]
    NoDriver,
    /// cuDNN is not installed.
    #[error("cuDNN 9 (libcudnn) cannot be loaded: install it, or name its folder in LD_LIBRARY_PATH")]
    NoCudnn,
    /// There is no card of that index.
    #[error("there is no card {index}: the machine has {count}")]
    NoCard {
        /// The index asked for.
        index: usize,
        /// Cards of the machine.
        count: usize,
    },
    /// The driver refused a call.
    #[error("the CUDA driver failed to {what}: {message}")]
    Driver {
        /// What was attempted.
        what: String,
        /// The driver's name for the reason.
        message: String,
    },
    /// cuDNN refused a call.
    #[error("cuDNN failed to {what}: {message}")]
    Cudnn {
        /// What was attempted, with the shape.
        what: String,
        /// cuDNN's name for the reason.
        message: String,
    },
    /// cuDNN has no deterministic algorithm for a convolution.
    #[error("cuDNN has no deterministic algorithm for {0}")]
    NoAlgorithm(String),
    /// cuDNN refused a convolution with bias, shortcut and ReLU.
    #[error("cuDNN refuses convolutions with bias, shortcut and ReLU ({0})")]
    NoFusion(String),
    /// A kernel is not among those that were compiled.
    #[error("there is no kernel `{0}`")]
    NoKernel(String),
    /// A pass without a batch: a fault in this crate.
    #[error("no batch has been sent to the device")]
    NoWorkspace,
    /// The kernels read channels in packs of eight.
    #[error("`{layer}` has {channels} channels, but the CUDA kernels need a multiple of {multiple}")]
    Channels {
        /// The normalisation layer.
        layer: String,
        /// Its channels.
        channels: usize,
        /// What they must divide by.
        multiple: usize,
    },
}
