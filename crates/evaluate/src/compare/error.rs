//! Errors of comparing evaluations.

use std::path::PathBuf;

use artifacts::stage::Failure;

use super::EvaluatedDetector;

/// Why evaluations cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An evaluation cannot be read.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// An evaluation lacks the training run.
    #[error("`{}` has no predictions of training run {run}", path.display())]
    NoSuchRun {
        /// The evaluation's folder.
        path: PathBuf,
        /// Number of the training run.
        run: usize,
    },
    /// Evaluations of different images.
    #[error("the {detectors} evaluations have no image in common; compare evaluations of the same data and split")]
    NothingInCommon {
        /// Number of evaluations.
        detectors: usize,
    },
    /// An image with different labels.
    #[error("the label of the image `{path}` is {first} in {first_name} but {second} in {second_name}")]
    Labels {
        /// Path of the image in its source.
        path: String,
        /// Name of one detector.
        first_name: String,
        /// Label in its evaluation.
        first: artifacts::Label,
        /// Name of the other detector.
        second_name: String,
        /// Label in its evaluation.
        second: artifacts::Label,
    },
    /// Metrics cannot be computed.
    #[error("failed to compute the metrics of {name}")]
    Scores {
        /// Name of the detector.
        name: String,
        /// The reason.
        #[source]
        source: crate::metrics::Error,
    },
}

impl Error {
    pub(super) fn scores(detector: &EvaluatedDetector, source: crate::metrics::Error) -> Error {
        Error::Scores { name: detector.name.clone(), source }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Artifact(error) => error.into(),
            _ => Failure::input(error),
        }
    }
}
