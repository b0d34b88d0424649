//! Errors of the report stage.

use artifacts::command;
use artifacts::stage::Failure;

/// An error that prevents a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An artifact of an earlier stage is missing or malformed, or the report cannot be written.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// An image of an example cannot be decoded or encoded.
    #[error("failed to read the image `{path}`; run `{}` to make it again", command::line("evaluate --force"))]
    Image {
        /// The file's path in its stage, or the image's path in the source.
        path: String,
        /// The error of the decoder or encoder.
        #[source]
        source: image::ImageError,
    },
    /// The list of examples names a file outside the evaluation's folder.
    #[error(
        "`{path}` in the list of examples is not a file of the evaluation; run `{}`",
        command::line("evaluate --force")
    )]
    OutsideEvaluation {
        /// The path in the list.
        path: String,
    },
    /// The evaluation contains no training run.
    #[error(
        "`evaluate/metrics.json` contains no training run; run `{}` to make it again",
        command::line("evaluate --force")
    )]
    NoRuns,
    /// A figure cannot be rendered as PNG.
    #[error("failed to render `figures/{name}.png`: {detail}")]
    RenderPng {
        /// The figure.
        name: String,
        /// The renderer's message.
        detail: String,
    },
    /// A table cannot be written as CSV.
    #[error("failed to write `figures/{name}.csv`")]
    Csv {
        /// The stem of the file.
        name: String,
        /// The error of the CSV writer.
        #[source]
        source: csv::Error,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Artifact(error) => Failure::from(error),
            Error::Image { .. } | Error::OutsideEvaluation { .. } | Error::NoRuns => Failure::input(error),
            Error::Csv { .. } | Error::RenderPng { .. } => Failure::failed(error),
        }
    }
}
