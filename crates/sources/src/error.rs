//! Errors that make a whole source unusable.

use std::path::PathBuf;

use crate::kaggle;
use crate::simulated::SimulatedSetError;

/// The reason why a source cannot be used. A single unusable file is a [`Rejection`](crate::Rejection) instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// There is no file or folder of that name.
    #[error(
        "there is no `{source_name}`; ingest.source is a folder, a .zip, a .csv, a .parquet, kaggle:owner/slug, \
         or simulated:train=2000,test=400"
    )]
    NotFound {
        /// The source as configured.
        source_name: String,
    },
    /// The file has no supported extension.
    #[error("`{}` is not a folder, a .zip, a .csv or a .parquet", path.display())]
    UnknownKind {
        /// The file.
        path: PathBuf,
    },
    /// The parameters after `simulated:` are invalid.
    #[error("the parameters after `simulated:` are invalid")]
    Simulated(#[from] SimulatedSetError),
    /// The name of a Kaggle data set is invalid, or the data set is not available.
    #[error(transparent)]
    Kaggle(#[from] kaggle::Error),
    /// A file or folder cannot be read.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// A folder or an archive has no images.
    #[error(
        "there are no images in `{}` ({skipped} other files); images are recognised by their extensions, such as .jpg",
        path.display()
    )]
    NoImages {
        /// The folder or archive.
        path: PathBuf,
        /// The number of other files.
        skipped: usize,
    },
    /// No folder is named after a class.
    #[error(
        "no folder of `{}` is named after a class (real, fake, 0_real, 1_fake, nature, ai …); the folders are: {folders}; \
         map their names to classes, e.g. --set 'ingest.labels.{example}=fake'", path.display()
    )]
    NoLabels {
        /// The folder or archive.
        path: PathBuf,
        /// The names of its folders.
        folders: String,
        /// One of these names, for the advice.
        example: String,
    },
    /// The archive cannot be opened.
    #[error("failed to open `{}` as a zip archive: {detail}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// The cause.
        detail: String,
    },
    /// A parquet file cannot be read, or has no images.
    #[error("`{}` is not a table of images: {detail}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// The cause.
        detail: String,
    },
    /// The labels of one table are numbers without names, while another table of the same source names its classes.
    #[error(
        "the labels of `{}` are numbers without names, but `{}` names its classes, and their numbers may differ; \
         ingest one of them, or map the numbers in [ingest.labels]", numbered.display(), named.display()
    )]
    MixedClassNumbers {
        /// The table without class names.
        numbered: PathBuf,
        /// The table with class names.
        named: PathBuf,
    },
    /// The header or a row of a CSV file is invalid.
    #[error("`{}`, line {line}: {detail}", path.display())]
    List {
        /// The CSV file.
        path: PathBuf,
        /// The line, counted from 1 with the header.
        line: u64,
        /// The cause, and the accepted values.
        detail: String,
    },
}

impl SourceError {
    /// Whether the configured name is invalid, rather than the data that it refers to.
    pub fn is_usage(&self) -> bool {
        matches!(self, SourceError::Simulated(_) | SourceError::Kaggle(kaggle::Error::Name { .. }))
    }
}
