//! Evaluations that cannot be compared.

use std::path::PathBuf;

use artifacts::stage::Failure;

/// What keeps evaluations from being compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An evaluation cannot be read.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// An evaluation without the training run that was asked for.
    #[error("`{}` has no predictions of training run {run}", path.display())]
    NoSuchRun {
        /// The evaluation's folder.
        path: PathBuf,
        /// The training run.
        run: usize,
    },
    /// Evaluations of different images.
    #[error("no image was judged by all {entrants}; compare evaluations of the same data and split")]
    NothingInCommon {
        /// How many evaluations there are.
        entrants: usize,
    },
    /// One image has two classes.
    #[error("the image `{path}` is {first} for {first_name} and {second} for {second_name}")]
    Labels {
        /// The image.
        path: String,
        /// One entrant's name.
        first_name: String,
        /// Its class there.
        first: artifacts::Label,
        /// The other entrant's name.
        second_name: String,
        /// Its class there.
        second: artifacts::Label,
    },
    /// Scores that cannot be measured.
    #[error("the scores of {name} cannot be measured")]
    Scores {
        /// The entrant.
        name: String,
        /// Why.
        #[source]
        source: crate::metrics::Error,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Artifact(error) => error.into(),
            _ => Failure::input(error),
        }
    }
}
