//! What can go wrong on a card.

use artifacts::progress;
use cudarc::driver::DriverError;

use super::capability::{Capability, OLDEST, OLDEST_WITH_BF16};

/// Result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a card cannot be used, or what it refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The driver is not installed.
    #[error("the CUDA driver's library (libcuda) is not on this machine")]
    NoDriver,
    /// cuDNN is not installed.
    #[error("cuDNN 9 (libcudnn) cannot be loaded: install it, or name its folder in LD_LIBRARY_PATH")]
    NoCudnn,
    /// The driver is older than what the kernels are compiled with and its library is called by.
    #[error("the CUDA driver is too old: 580 or later (CUDA 13.0) is needed, and this one is of CUDA {major}.{minor}")]
    OldDriver {
        /// Major version of CUDA that the driver is for.
        major: i32,
        /// Minor version.
        minor: i32,
    },
    /// cuDNN is of another generation.
    #[error("cuDNN 9 or later is needed, and the libcudnn that was found is {0}")]
    OldCudnn(String),
    /// There are no kernels for the card.
    #[error("{card} has compute capability {}, and {} or later is needed", shown(.capability), shown(&OLDEST))]
    OldCard {
        /// Its name.
        card: String,
        /// Its compute capability.
        capability: Capability,
    },
    /// The card does not multiply bf16.
    #[error(
        "{card} does not multiply bf16: that takes compute capability {}, and it has {}; set train.precision (or \
         evaluate.precision) to f32 or auto",
        shown(&OLDEST_WITH_BF16), shown(.capability)
    )]
    NoBf16 {
        /// Its name.
        card: String,
        /// Its compute capability.
        capability: Capability,
    },
    /// The card's memory is full.
    #[error(
        "the card has no room for {} more{}: a smaller train.batch (or evaluate.batch) takes less",
        progress::bytes(*bytes as u64), left(*.free)
    )]
    NoRoom {
        /// Bytes asked for.
        bytes: usize,
        /// Bytes that are free, where the driver says it.
        free: Option<usize>,
    },
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
}

fn shown((major, minor): &Capability) -> String {
    format!("{major}.{minor}")
}

fn left(free: Option<usize>) -> String {
    free.map_or_else(String::new, |free| format!(", {} are free", progress::bytes(free as u64)))
}

/// Turns the driver's error into this crate's, with what was attempted.
pub(crate) fn driver(what: &str) -> impl Fn(DriverError) -> Error + '_ {
    move |error| {
        let text = error.error_string().map(|text| text.to_string_lossy().into_owned());
        Error::Driver { what: what.to_owned(), message: text.unwrap_or_else(|_| format!("{:?}", error.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_runs_out_is_told_with_what_to_do() {
        let error = Error::NoRoom { bytes: 3_700_000_000, free: Some(52_000_000) }.to_string();
        assert_eq!(
            error,
            "the card has no room for 3.7 GB more, 52 MB are free: a smaller train.batch (or evaluate.batch) takes less"
        );
        assert!(Error::NoRoom { bytes: 7, free: None }.to_string().starts_with("the card has no room for 7 B more: "));
    }
}
