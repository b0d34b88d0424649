//! The errors of this crate.

use std::path::PathBuf;

/// Results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of an autoencoder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The weights cannot be found or downloaded.
    #[error("failed to get the weights of the autoencoder")]
    Source(#[from] hub::Error),
    /// A file cannot be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// The configuration is malformed or not supported.
    #[error("`{}` is not the configuration of a supported autoencoder: {problem}", path.display())]
    Config {
        /// `config.json`.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The weights do not fit the configuration.
    #[error("`{}` has no weights for the autoencoder in its config.json: {detail}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The network fails.
    #[error("the autoencoder failed")]
    Network(#[source] candle_core::Error),
}

/// The text of an error without the backtrace that candle adds.
pub(crate) fn root_cause(error: &candle_core::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}
