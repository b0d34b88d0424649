//! Why a source cannot be used at all.

use std::path::PathBuf;

use crate::kaggle;
use crate::simulated::SpecError;

/// Why a source cannot be used at all; a single file that cannot is a row of `rejected.jsonl`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Nothing has that name.
    #[error(
        "there is no `{source_name}`; ingest.source is a folder, a .zip, a .csv, a .parquet, kaggle:owner/slug, \
         or simulated:train=2000,test=400"
    )]
    NotFound {
        /// What was asked for.
        source_name: String,
    },
    /// A file that is no archive and no list.
    #[error("`{}` is neither a folder nor a .zip, a .csv or a .parquet", path.display())]
    UnknownKind {
        /// The file.
        path: PathBuf,
    },
    /// The parameters after `simulated:` are wrong.
    #[error("the simulated source is described wrongly")]
    Simulated(#[from] SpecError),
    /// A data set on Kaggle is named wrongly or cannot be had.
    #[error(transparent)]
    Kaggle(#[from] kaggle::Error),
    /// The file system refused.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// A folder or an archive without images.
    #[error("there are no images in `{}` ({skipped} other files; images are known by the ends of their names, such as .jpg)", path.display())]
    NoImages {
        /// The folder or archive.
        path: PathBuf,
        /// Files that are no images.
        skipped: usize,
    },
    /// No folder's name says a class.
    #[error(
        "no folder of `{}` is named after a class (real, fake, 0_real, 1_fake, nature, ai …); the folders are: {folders}; \
         say which is which, e.g. --set 'ingest.labels.{example}=fake'", path.display()
    )]
    NoLabels {
        /// The folder or archive.
        path: PathBuf,
        /// The folders' names.
        folders: String,
        /// One of them.
        example: String,
    },
    /// The archive cannot be opened.
    #[error("`{}` is not a zip that can be read: {detail}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A parquet file cannot be read, or has no images.
    #[error("`{}` is not a table of images: {detail}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Two tables of one source number their classes, and only one says what the numbers mean.
    #[error(
        "`{}` numbers its classes without names, and `{}` has names for its own: whether they count alike cannot be told; \
         ingest one of them, or name the numbers in [ingest.labels]", numbered.display(), named.display()
    )]
    Classes {
        /// The table without names.
        numbered: PathBuf,
        /// The one with names.
        named: PathBuf,
    },
    /// A row or the header of a CSV is wrong.
    #[error("`{}`, line {line}: {detail}", path.display())]
    List {
        /// The CSV.
        path: PathBuf,
        /// Counted from 1, the header included.
        line: u64,
        /// What is wrong, and what would be right.
        detail: String,
    },
}

impl SourceError {
    /// Whether the name of the source is at fault, and not what it names.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, SourceError::Simulated(_) | SourceError::Kaggle(kaggle::Error::Name { .. }))
    }
}
