//! Errors that make a whole source unusable.

use std::path::{Path, PathBuf};

use crate::kaggle;
use crate::simulated::SimulatedSetError;

/// The reason why a source cannot be used. A single unusable file is a [`Rejection`](crate::Rejection) instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// There is no file or folder of that name.
    #[error(
        "there is no `{source_name}`; ingest.source is a folder, a .zip, a .csv, a .parquet, kaggle:owner/slug, \
         hf:datasets/owner/name, or simulated:train=2000,test=400"
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
    /// A simulated set is given a label.
    #[error("a simulated set has real images and fakes; remove its `label` from ingest.source")]
    LabelOfSimulated,
    /// No source has a column that the configuration names.
    #[error("no source has a column `{column}`, which ingest.{key} names; only .csv lists and tables have columns")]
    NoColumn {
        /// The column.
        column: String,
        /// The key of `[ingest]`.
        key: &'static str,
    },
    /// The name of a Kaggle data set is invalid, or the data set is not available.
    #[error(transparent)]
    Kaggle(#[from] kaggle::Error),
    /// The name of a data set on the Hugging Face hub is invalid, or the data set is not available.
    #[error(transparent)]
    Hub(#[from] Box<hub::Error>),
    /// A file or folder cannot be read.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// A folder or an archive has no images.
    #[error(
        "there are no images in `{}` ({others}); images are recognised by their extensions, such as .jpg, or content",
        path.display()
    )]
    NoImages {
        /// The folder or archive.
        path: PathBuf,
        /// The number of other files, and the first of them with the reason why it is not an image.
        others: String,
    },
    /// No folder is named after a class.
    #[error(
        "no folder of `{}` is named after a class (real, fake, 0_real, 1_fake, nature, ai …); the folders are: {folders}; \
         {advice}", path.display()
    )]
    NoLabels {
        /// The folder or archive.
        path: PathBuf,
        /// The names of its folders.
        folders: String,
        /// What to do.
        advice: String,
    },
    /// The folders above all images name both classes.
    #[error("`{}`, above all images: {detail}", path.display())]
    AmbiguousFolders {
        /// The folder or archive.
        path: PathBuf,
        /// The folders, and what to do.
        detail: String,
    },
    /// The source of an earlier ingest has been moved or deleted.
    #[error("there is no `{source_name}` any more, which ingest read{}", at(root.as_deref()))]
    Gone {
        /// The source as configured.
        source_name: String,
        /// The path at which ingest found it.
        root: Option<PathBuf>,
    },
    /// Tables of a set that is split into numbered parts are missing.
    #[error(
        "tables are missing in `{}`: {missing}; download them, or remove `{suffix}` from the names of the others to use \
         only these", path.display()
    )]
    MissingTables {
        /// The folder of the tables.
        path: PathBuf,
        /// The names of the missing tables.
        missing: String,
        /// The number of parts as in the names: `-of-00003`.
        suffix: String,
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

fn at(root: Option<&Path>) -> String {
    root.map(|root| format!(" from `{}`", root.display())).unwrap_or_default()
}

impl From<hub::Error> for SourceError {
    fn from(error: hub::Error) -> SourceError {
        SourceError::Hub(Box::new(error))
    }
}

impl SourceError {
    /// Whether a folder has no labelled images, as a folder of tables.
    pub(crate) fn is_without_labelled_images(&self) -> bool {
        matches!(
            self,
            SourceError::NoImages { .. } | SourceError::NoLabels { .. } | SourceError::AmbiguousFolders { .. }
        )
    }

    /// Whether the configured name is invalid, rather than the data that it refers to.
    pub fn is_usage(&self) -> bool {
        if let SourceError::Hub(error) = self {
            return matches!(**error, hub::Error::DatasetName { .. });
        }
        matches!(
            self,
            SourceError::Simulated(_) | SourceError::LabelOfSimulated | SourceError::Kaggle(kaggle::Error::Name { .. })
        )
    }
}
