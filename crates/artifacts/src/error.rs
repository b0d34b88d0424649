//! Errors of reading and writing artifacts. Each message names the file and, where possible, gives advice.

use std::io;
use std::path::{Path, PathBuf};

use crate::command;

/// Errors of reading and writing artifacts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call failed.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// The operation as a verb: "read", "write", "rename" …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// A file does not have the expected format.
    #[error("`{}` is not a valid {format}: {detail}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The expected format: "manifest", "shard", …
        format: &'static str,
        /// Where and why the content is not valid.
        detail: String,
    },
    /// A file was written by a newer version of Candling.
    #[error(
        "`{}` has schema version {found}, but this program reads versions up to {supported}; \
         run the stage that made it again, or use a newer Candling", path.display()
    )]
    SchemaVersion {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u32,
        /// The newest version this program can read.
        supported: u32,
    },
    /// An artifact that a stage needs does not exist yet.
    #[error("there is no {artifact} at `{}`; {advice}", path.display())]
    Missing {
        /// The artifact: "complete ingest artifact", "best checkpoint" …
        artifact: String,
        /// The path where it was expected.
        path: PathBuf,
        /// How to make it.
        advice: String,
    },
    /// A file has other content than its manifest records.
    #[error(
        "`{}` is not the file its manifest describes ({detail}); run `{}` to make it again",
        path.display(), command::line(&format!("{stage} --force"))
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The stage that makes the file.
        stage: String,
        /// The recorded and the actual value.
        detail: String,
    },
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] crate::config::Error),
}

/// The result of reading or writing an artifact.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Returns a function for `map_err` that makes an [`Error::Io`] with the operation and the file.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    }

    /// Makes an [`Error::Malformed`].
    pub fn malformed(path: &Path, format: &'static str, detail: impl ToString) -> Error {
        Error::Malformed { path: path.to_owned(), format, detail: detail.to_string() }
    }
}
