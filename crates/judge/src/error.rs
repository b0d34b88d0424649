//! Errors of judging predictions.

use std::path::PathBuf;

use artifacts::stage::Failure;

/// Why predictions cannot be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An artifact cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// The source of the images cannot be opened.
    #[error(transparent)]
    Source(#[from] sources::SourceError),
    /// A file of predictions is not valid. The detail names the line or row and says what is accepted.
    #[error("`{}`{}: {detail}", path.display(), line.map_or(String::new(), |line| format!(", row {line}")))]
    File {
        /// The file.
        path: PathBuf,
        /// The row, counted from 1 without the header, or the line of a file without rows.
        line: Option<u64>,
        /// The fault.
        detail: String,
    },
    /// The predictions of one detector contradict each other or the source.
    #[error("detector `{model}`: {detail}")]
    Detector {
        /// Name of the detector.
        model: String,
        /// The fault, and what to do.
        detail: String,
    },
    /// Metrics cannot be computed.
    #[error("failed to compute the metrics of `{model}`")]
    Metrics {
        /// Name of the detector.
        model: String,
        /// The reason.
        #[source]
        source: evaluate::metrics::Error,
    },
    /// An option has a wrong value.
    #[error("{0}")]
    Usage(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Artifact(error) => error.into(),
            Error::Source(error) if error.is_usage() => Failure::usage(error),
            Error::Usage(_) => Failure::usage(error),
            _ => Failure::input(error),
        }
    }
}
