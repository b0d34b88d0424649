//! Why a training ends without its result.

use std::path::PathBuf;

use artifacts::Label;
use artifacts::stage::Failure;
use model::{ArchitectureError, InputError, weights};

/// What went wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The loss, or what it was computed from, is not a number any more.
    #[error(
        "the {what} is {value} at step {step} (epoch {epoch}): lower train.learning_rate, or look at the images of that \
         step; {}",
        last_good.as_ref().map_or_else(
            || "no checkpoint had been saved".to_owned(),
            |path| format!("the last good checkpoint is `{}`", path.display()),
        )
    )]
    NotFinite {
        /// What is not finite: "training loss" …
        what: &'static str,
        /// The value.
        value: f64,
        /// Optimiser steps taken when it was found.
        step: u64,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The newest checkpoint before it, if there is one.
        last_good: Option<PathBuf>,
    },
    /// A checkpoint is damaged, or is not one of this training.
    #[error(
        "`{}` cannot be resumed from: {detail}; --force starts this run afresh, and keeps what is there beside it",
        path.display()
    )]
    State {
        /// The file at fault.
        path: PathBuf,
        /// Why not.
        detail: String,
    },
    /// The first weights are not there.
    #[error("failed to read the weights `{}`: check train.weights", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The training split is too small to learn from.
    #[error("the training split needs at least 2 images and has {images}; run `cargo xtask ingest` on more")]
    TooFewImages {
        /// Images in it.
        images: usize,
    },
    /// The training split has images of one class.
    #[error("all training images are {only}: a detector learns from both classes; give the source the other one")]
    OneClass {
        /// The class that is there.
        only: Label,
    },
    /// Signals cannot be listened to.
    #[error("failed to listen for SIGINT and SIGTERM")]
    Signals(#[source] std::io::Error),
    /// An augmentation failed.
    #[error("failed to augment an image")]
    Augment(#[from] pixels::degrade::DegradeError),
    /// An artifact cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// The network, its weights or its optimiser.
    #[error(transparent)]
    Model(#[from] model::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Artifact(error) => error.into(),
            Error::Model(
                model::Error::Weights(weights::Error::Source(_))
                | model::Error::Device(_)
                | model::Error::Architecture(ArchitectureError::Unknown { .. }),
            ) => Failure::usage(error),
            Error::State { .. }
            | Error::Weights { .. }
            | Error::TooFewImages { .. }
            | Error::OneClass { .. }
            | Error::Model(
                model::Error::Weights(
                    weights::Error::Mismatch { .. }
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
