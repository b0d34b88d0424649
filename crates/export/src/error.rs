//! Errors of an export.

use std::path::PathBuf;

use artifacts::stage::Failure;

/// Why a model cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model cannot be found or loaded.
    #[error(transparent)]
    Model(#[from] predict::Error),
    /// A file cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// The frozen weights of a branch cannot be found or copied.
    #[error(transparent)]
    Branches(#[from] branches::Error),
    /// The weights lack a tensor, or have one of another type.
    #[error("`{path}` cannot be written as ONNX: {detail}")]
    Weights {
        /// The file of weights.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// ONNX cannot express the branches.
    #[error(
        "of the detectors of branches, only those whose verdict is that of `vit` or a ResNet can be written as ONNX; use \
         `--format hf`, which `candling predict --model` reads{}", reasons.concat()
    )]
    Branch {
        /// A line for each branch, with the reason.
        reasons: Vec<String>,
    },
    /// The target exists and would be replaced.
    #[error("`{path}` {detail}; name another with --out")]
    Target {
        /// The target.
        path: PathBuf,
        /// What it is.
        detail: &'static str,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Model(error) => error.into(),
            Error::Artifact(error) => error.into(),
            Error::Branches(error) => evaluate::Error::from(error).into(),
            Error::Weights { .. } => Failure::input(error),
            Error::Branch { .. } | Error::Target { .. } => Failure::usage(error),
        }
    }
}
