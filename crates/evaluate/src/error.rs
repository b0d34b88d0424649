//! Every way in which judging can fail.

use std::path::PathBuf;

use artifacts::stage::Failure;
use model::ArchitectureError;
use serde_json::Value;

/// What went wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An artifact cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// The network cannot be built, loaded or run.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// The scores cannot be measured.
    #[error("the scores of run {run} cannot be measured")]
    Scores {
        /// The training run.
        run: usize,
        /// Why.
        #[source]
        source: crate::metrics::Error,
    },
    /// The checkpoint is not one of a detector of real and fake.
    #[error("the checkpoint `{}` is no detector: {detail}", path.display())]
    NoDetector {
        /// Its folder.
        path: PathBuf,
        /// What it lacks.
        detail: String,
    },
    /// A file of weights that is damaged, or another network's.
    #[error("the weights of the checkpoint `{}` cannot be used; train it again, or name another with --ckpt", path.display())]
    Weights {
        /// Its folder.
        path: PathBuf,
        /// What is wrong with them.
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
    /// Images that were made in another way than those the checkpoint was trained on.
    #[error(
        "the images were ingested with ingest.{key} = {found}, but the checkpoint was trained on images made with \
         {trained}: scores on them would measure the preparation, not the detector; ingest both alike"
    )]
    Preparation {
        /// The key of `[ingest]`.
        key: &'static str,
        /// Its value for the images.
        found: Value,
        /// Its value for the training images.
        trained: Value,
    },
    /// A preprocessing step of a checkpoint is not supported.
    #[error("failed to restore the preprocessing of the checkpoint `{}`; train it again with this program", path.display())]
    Preprocessing {
        /// The folder of the checkpoint.
        path: PathBuf,
        /// The step.
        source: pixels::UnsupportedStep,
    },
    /// A picture cannot be written.
    #[error("failed to encode an image as PNG")]
    Png(#[from] image::ImageError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Artifact(error) => error.into(),
            Error::NoDetector { .. }
            | Error::Weights { .. }
            | Error::Size { .. }
            | Error::Preparation { .. }
            | Error::Preprocessing { .. } => Failure::input(error),
            Error::Model(
                model::Error::Architecture(ArchitectureError::UnknownLayer { .. } | ArchitectureError::Unknown { .. })
                | model::Error::Device(_),
            ) => Failure::usage(error),
            Error::Model(_) | Error::Scores { .. } | Error::Png(_) => Failure::failed(error),
        }
    }
}
