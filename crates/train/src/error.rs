//! The errors of the training stage.

use std::path::PathBuf;

use artifacts::Label;
use artifacts::command;
use artifacts::progress;
use artifacts::stage::Failure;
use model::weights::{self, hub_advice};
use model::{ArchitectureError, InputError};

/// Errors of the training stage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The loss or a weight became infinite or NaN.
    #[error(
        "the {what} is {value} at step {step} (epoch {epoch}); lower train.learning_rate, or check the training images; {}",
        last_good.as_ref().map_or_else(
            || "no checkpoint was saved before".to_owned(),
            |path| format!("the last good checkpoint is `{}`", path.display()),
        )
    )]
    NotFinite {
        /// The quantity: "training loss" …
        what: &'static str,
        /// The value of the quantity.
        value: f64,
        /// The training step, counted from 1.
        step: u64,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The newest checkpoint before that step, if there is one.
        last_good: Option<PathBuf>,
    },
    /// A checkpoint is damaged, so that the training cannot be resumed from it.
    #[error(
        "failed to resume from `{}`: {detail}; --force trains this run from the start and keeps the old files as a backup",
        path.display()
    )]
    DamagedCheckpoint {
        /// The damaged file.
        path: PathBuf,
        /// The damage.
        detail: String,
    },
    /// The file of initial weights cannot be read.
    #[error("failed to read the initial weights `{}`; check train.weights{}", path.display(), hub_advice(path, source))]
    Weights {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// The checkpoints of a training do not fit on the disk.
    #[error(
        "the checkpoints of this training need up to {} more in `{}`, but its disk has {} of free space; free some space, \
         or choose a folder on another disk with --run-dir",
        progress::bytes(*needed),
        folder.display(),
        progress::bytes(*free),
    )]
    DiskFull {
        /// The folder of the checkpoints.
        folder: PathBuf,
        /// The bytes that the training will write at most, besides those that exist.
        needed: u64,
        /// The free bytes on the file system of the folder.
        free: u64,
    },
    /// The training split is too small.
    #[error(
        "the training split must have at least 2 images, but has {images}; run `{}` on more images",
        command::line("ingest")
    )]
    TooFewImages {
        /// The number of training images.
        images: usize,
    },
    /// The training split lacks a class.
    #[error(
        "all training images are {only}, but training needs both classes; add images of the other class to the source"
    )]
    OneClass {
        /// The only class that the split has.
        only: Label,
    },
    /// A generator of `train.leave_out` has no images.
    #[error("train.leave_out has `{name}`, but no image of the split is of this generator; the generators are {known}")]
    UnknownGenerator {
        /// The name in the configuration.
        name: String,
        /// The generators of the split.
        known: String,
    },
    /// Several processes were started for a training that only one can do.
    #[error("{processes} processes were started, but {reason}; start one process")]
    OneProcess {
        /// The number of processes.
        processes: usize,
        /// Why one process is needed.
        reason: &'static str,
    },
    /// The processes of a training have different weights.
    #[error(
        "the processes have different weights in epoch {epoch}, although they compute the same updates; a \
         machine may be faulty, or the processes may be of different builds"
    )]
    DifferentWeights {
        /// The epoch, counted from 1.
        epoch: usize,
    },
    /// The processes that were started together cannot find each other.
    #[error(transparent)]
    Exchange(#[from] exchange::Error),
    /// The signal handlers cannot be installed.
    #[error("failed to install handlers for SIGINT and SIGTERM")]
    Signals(#[source] std::io::Error),
    /// An augmentation failed.
    #[error("failed to augment an image")]
    Augment(#[from] pixels::degrade::DegradeError),
    /// An artifact cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// The network, its weights or its optimiser failed.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// A detector of branches failed.
    #[error(transparent)]
    Branches(#[from] branches::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Artifact(error) | Error::Branches(branches::Error::Artifact(error)) => error.into(),
            Error::UnknownGenerator { .. }
            | Error::OneProcess { .. }
            | Error::Exchange(_)
            | Error::Branches(branches::Error::VitWithoutWeights | branches::Error::Layer { .. }) => {
                Failure::usage(error)
            }
            Error::Branches(
                branches::Error::VitSource(_)
                | branches::Error::Vit(_)
                | branches::Error::NoFiles { .. }
                | branches::Error::Decode { .. }
                | branches::Error::NotFinite { .. },
            ) => Failure::input(error),
            // The file of a branch's initial weights.
            Error::Branches(branches::Error::Network { ref source, .. })
                if matches!(
                    **source,
                    model::Error::Weights(
                        weights::Error::Mismatch { .. }
                            | weights::Error::NotFinite { .. }
                            | weights::Error::Type { .. }
                            | weights::Error::SafeTensors { .. }
                    )
                ) =>
            {
                Failure::input(error)
            }
            Error::Model(
                model::Error::Weights(weights::Error::Source(_))
                | model::Error::Device(_)
                | model::Error::Architecture(ArchitectureError::Unknown { .. }),
            ) => Failure::usage(error),
            Error::DamagedCheckpoint { .. }
            | Error::Weights { .. }
            | Error::TooFewImages { .. }
            | Error::OneClass { .. }
            | Error::Model(
                model::Error::Weights(
                    weights::Error::Mismatch { .. }
                    | weights::Error::NotFinite { .. }
                    | weights::Error::Type { .. }
                    | weights::Error::SafeTensors { .. }
                    | weights::Error::Hub(_),
                )
                | model::Error::Input(InputError::ImageTooSmall { .. }),
            ) => Failure::input(error),
            _ => Failure::failed(error),
        }
    }
}
