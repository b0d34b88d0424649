//! Errors of evaluation.

use std::path::PathBuf;

use artifacts::stage::Failure;
use model::ArchitectureError;
use serde_json::Value;

/// Why an evaluation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An artifact cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// The network cannot be built, loaded or run.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// A detector of branches cannot be loaded or run.
    #[error(transparent)]
    Branches(#[from] branches::Error),
    /// Metrics cannot be computed.
    #[error("failed to compute the metrics of run {run}")]
    Scores {
        /// Number of the training run.
        run: usize,
        /// The reason.
        #[source]
        source: crate::metrics::Error,
    },
    /// The checkpoint has no classes real and fake.
    #[error("the checkpoint `{}` is not a detector of fakes: {detail}", path.display())]
    NoDetector {
        /// Its folder.
        path: PathBuf,
        /// What is missing.
        detail: String,
    },
    /// Weights that are damaged or belong to another architecture.
    #[error(
        "the weights of the checkpoint `{}` cannot be used; train it again, or name another with --ckpt",
        path.display()
    )]
    Weights {
        /// Its folder.
        path: PathBuf,
        /// The reason.
        #[source]
        source: Box<model::Error>,
    },
    /// Images of another size than the checkpoint was trained on.
    #[error(
        "the images are {found:?} pixels (height, width) but the checkpoint was trained on {expected:?}; \
         ingest them with ingest.size={}", expected[0]
    )]
    Size {
        /// Height and width of the images.
        found: [usize; 2],
        /// Height and width that the checkpoint expects.
        expected: [usize; 2],
    },
    /// Images that were ingested with other settings than the training images of the checkpoint.
    #[error(
        "the images were ingested with ingest.{key} = {found}, but the checkpoint was trained on images with \
         ingest.{key} = {trained}; the scores would depend on this difference, so ingest the images with the same value"
    )]
    IngestSettings {
        /// Key in the section `[ingest]`.
        key: &'static str,
        /// Value for the images.
        found: Box<Value>,
        /// Value for the training images.
        trained: Box<Value>,
    },
    /// A preprocessing step of a checkpoint is not supported.
    #[error(
        "failed to restore the preprocessing of the checkpoint `{}`; train it again with this program",
        path.display()
    )]
    Preprocessing {
        /// The folder of the checkpoint.
        path: PathBuf,
        /// The step.
        source: pixels::UnsupportedStep,
    },
    /// An image cannot be encoded.
    #[error("failed to encode an image as PNG")]
    Png(#[from] image::ImageError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Artifact(error) | Error::Branches(branches::Error::Artifact(error)) => error.into(),
            Error::Branches(
                branches::Error::VitSource(_)
                | branches::Error::Vit(_)
                | branches::Error::OtherBackbone { .. }
                | branches::Error::Checkpoint { .. }
                | branches::Error::NoFiles { .. }
                | branches::Error::Decode { .. },
            ) => Failure::input(error),
            Error::NoDetector { .. }
            | Error::Weights { .. }
            | Error::Size { .. }
            | Error::IngestSettings { .. }
            | Error::Preprocessing { .. } => Failure::input(error),
            Error::Model(
                model::Error::Architecture(ArchitectureError::UnknownLayer { .. } | ArchitectureError::Unknown { .. })
                | model::Error::Device(_),
            ) => Failure::usage(error),
            Error::Model(_) | Error::Branches(_) | Error::Scores { .. } | Error::Png(_) => Failure::failed(error),
        }
    }
}
