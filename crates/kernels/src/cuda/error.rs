//! The errors of the CUDA engine.

use artifacts::progress;
use cudarc::driver::DriverError;

use super::capability::{Capability, OLDEST, OLDEST_WITH_BF16};

/// Result with the engine's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// The reason why a card cannot be used or a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The driver is not installed.
    #[error("the CUDA driver (libcuda) is not installed")]
    NoDriver,
    /// cuDNN is not installed, or the loader does not find it.
    #[error("failed to load cuDNN 9 (libcudnn): install it, or add its folder to LD_LIBRARY_PATH")]
    NoCudnn,
    /// The driver is older than the bindings.
    #[error(
        "the CUDA driver is too old: it supports CUDA {major}.{minor}, but version 580 or later (CUDA 13.0) is required"
    )]
    DriverTooOld {
        /// Major version of CUDA that the driver supports.
        major: i32,
        /// Minor version.
        minor: i32,
    },
    /// cuDNN is older than version 9.
    #[error("the installed cuDNN is too old: it has version {0}, but cuDNN 9 or later is required")]
    CudnnTooOld(String),
    /// The kernels are not compiled for a card this old.
    #[error("{card} is too old: it has compute capability {}, but {} or later is required",
        dotted(.capability), dotted(&OLDEST))]
    CardTooOld {
        /// Name of the card.
        card: String,
        /// Its compute capability.
        capability: Capability,
    },
    /// The card has no bf16 tensor cores.
    #[error(
        "{card} does not support bf16: it has compute capability {}, but bf16 requires {}; set train.precision (or \
         evaluate.precision) to f32 or auto",
        dotted(.capability), dotted(&OLDEST_WITH_BF16)
    )]
    Bf16Unsupported {
        /// Name of the card.
        card: String,
        /// Its compute capability.
        capability: Capability,
    },
    /// The card has too little free memory.
    #[error(
        "failed to allocate {} on the card{}: reduce train.batch (or evaluate.batch)",
        progress::bytes(*bytes as u64), format_free(*.free)
    )]
    OutOfMemory {
        /// Bytes requested.
        bytes: usize,
        /// Free bytes, if the driver reports them.
        free: Option<usize>,
    },
    /// There is no card with the requested index.
    #[error("there is no CUDA card {index}: this machine has {count} (numbered from 0)")]
    NoCard {
        /// The index requested.
        index: usize,
        /// Number of cards in the machine.
        count: usize,
    },
    /// A call of the driver failed.
    #[error("the CUDA driver failed to {action}: {message}")]
    Driver {
        /// The attempted action.
        action: String,
        /// The driver's description of the error.
        message: String,
    },
    /// A call of cuDNN failed.
    #[error("cuDNN failed to {action}: {message}")]
    Cudnn {
        /// The attempted action, with the shape.
        action: String,
        /// The name of the error in cuDNN.
        message: String,
    },
    /// cuDNN has no deterministic algorithm for a convolution, or none that needs little enough scratch memory.
    #[error("cuDNN has no deterministic algorithm for {0}")]
    NoAlgorithm(String),
    /// cuDNN does not support a convolution with bias, shortcut and ReLU.
    #[error("cuDNN does not support a convolution with bias, shortcut and ReLU ({0})")]
    FusionUnsupported(String),
    /// A kernel was not compiled into the program.
    #[error("there is no kernel `{0}`")]
    UnknownKernel(String),
}

fn dotted((major, minor): &Capability) -> String {
    format!("{major}.{minor}")
}

fn format_free(free: Option<usize>) -> String {
    free.map_or_else(String::new, |free| format!(", which has {} free", progress::bytes(free as u64)))
}

/// Returns a function that converts the driver's error into [`Error::Driver`]. `action` completes "failed to".
pub(crate) fn driver(action: &str) -> impl Fn(DriverError) -> Error + '_ {
    move |error| {
        let text = error.error_string().map(|text| text.to_string_lossy().into_owned());
        Error::Driver { action: action.to_owned(), message: text.unwrap_or_else(|_| format!("{:?}", error.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_memory_suggests_a_smaller_batch() {
        let error = Error::OutOfMemory { bytes: 3_700_000_000, free: Some(52_000_000) }.to_string();
        assert_eq!(
            error,
            "failed to allocate 3.7 GB on the card, which has 52 MB free: reduce train.batch (or evaluate.batch)"
        );
        assert!(
            Error::OutOfMemory { bytes: 7, free: None }.to_string().starts_with("failed to allocate 7 B on the card: ")
        );
    }
}
