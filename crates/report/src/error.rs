//! What can go wrong in making a report.

use artifacts::stage::Failure;

/// Errors of the report stage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An artifact of an earlier stage is missing, damaged or malformed, or the report cannot be written.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// A picture of an example is not a picture.
    #[error("`{path}` is not a readable picture; run `cargo xtask evaluate --force` to make it again")]
    Picture {
        /// The file within its stage, or the image's path in the source.
        path: String,
        /// The decoder's reason.
        #[source]
        source: image::ImageError,
    },
    /// The examples name a file outside the evaluation's folder.
    #[error("`{path}` in the list of examples is not a file of the evaluation; run `cargo xtask evaluate --force`")]
    Outside {
        /// The file as it was named.
        path: String,
    },
    /// The evaluation judged no training run.
    #[error("`evaluate/metrics.json` holds no training run; run `cargo xtask evaluate --force` to make it again")]
    NoRuns,
    /// A figure cannot be drawn as PNG.
    #[error("failed to draw `figures/{name}.png`: {detail}")]
    Raster {
        /// The figure.
        name: String,
        /// What the renderer says.
        detail: String,
    },
    /// A table cannot be written as CSV.
    #[error("failed to write `figures/{name}.csv`")]
    Csv {
        /// The figure whose numbers they are.
        name: String,
        /// The writer's reason.
        #[source]
        source: csv::Error,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Artifact(error) => Failure::from(error),
            Error::Picture { .. } | Error::Outside { .. } | Error::NoRuns => Failure::input(error),
            Error::Csv { .. } | Error::Raster { .. } => Failure::failed(error),
        }
    }
}
