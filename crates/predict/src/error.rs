//! Errors of loading and running a model.

use std::path::PathBuf;

use artifacts::stage::Failure;

/// Why a model cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The detector cannot be loaded or run.
    #[error(transparent)]
    Detector(Box<evaluate::Error>),
    /// A file cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// The model cannot be downloaded.
    #[error(transparent)]
    Hub(Box<hub::Error>),
    /// The name of a model is not one.
    #[error(
        "`{0}` is not the name of a model: use the folder of a run, checkpoint or exported model, or \
         `hf:owner/repo[@revision]`"
    )]
    Name(String),
    /// A folder has neither a model nor a run.
    #[error(
        "there is no model in `{}`: it has neither {} nor the folders of a run",
        path.display(), artifacts::names::WEIGHTS
    )]
    NoModel {
        /// The folder.
        path: PathBuf,
    },
    /// There is no run to take the model from.
    #[error("there is no run under `runs`; give one with --run-dir, a checkpoint with --ckpt, or a model with --model")]
    NoRun,
    /// An image cannot be changed for the test of stability.
    #[error(transparent)]
    Degrade(#[from] pixels::degrade::DegradeError),
    /// An image cannot be resized.
    #[error(transparent)]
    Recipe(#[from] pixels::RecipeError),
    /// The caller of [`Judge::check_unless`](crate::Judge::check_unless) no longer wants the result.
    #[error("the check was cancelled")]
    Cancelled,
    /// The files of a repository are of several commits.
    #[error("the repository of `{0}` changed while it was downloaded; run the same command again")]
    SeveralCommits(String),
}

impl From<evaluate::Error> for Error {
    fn from(error: evaluate::Error) -> Error {
        Error::Detector(Box::new(error))
    }
}

impl From<hub::Error> for Error {
    fn from(error: hub::Error) -> Error {
        Error::Hub(Box::new(error))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Detector(error) => (*error).into(),
            Error::Artifact(error) => error.into(),
            Error::Name(_) => Failure::usage(error),
            Error::Degrade(_) | Error::Recipe(_) | Error::Cancelled => Failure::failed(error),
            Error::Hub(_) | Error::NoModel { .. } | Error::NoRun | Error::SeveralCommits(_) => Failure::input(error),
        }
    }
}
