//! The errors of this crate.

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a kernel could not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system could not provide memory.
    #[error("failed to allocate {bytes} bytes")]
    Memory {
        /// Size of the buffer.
        bytes: usize,
        /// The underlying error.
        source: std::io::Error,
    },
    /// An error of the CUDA engine.
    #[cfg(feature = "cuda")]
    #[error(transparent)]
    Cuda(#[from] crate::cuda::Error),
}
