//! What can go wrong with an artifact, each error naming the file and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Errors of reading and writing artifacts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb: "read", "write", "rename" …
        action: &'static str,
        /// The file or folder at fault.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The file is there but its content is not what its name says.
    #[error("`{}` is not a valid {format}: {detail}", path.display())]
    Malformed {
        /// The file at fault.
        path: PathBuf,
        /// What it should have been: "manifest", "shard", …
        format: &'static str,
        /// Where and why it is not.
        detail: String,
    },
    /// The file was written by a version of Candling that this build cannot read.
    #[error(
        "`{}` has schema version {found}, but this build reads up to {supported}; \
         run the stage that made it again, or use a newer Candling", path.display()
    )]
    SchemaVersion {
        /// The file at fault.
        path: PathBuf,
        /// The version found in it.
        found: u32,
        /// The newest version this build knows.
        supported: u32,
    },
    /// An artifact that a stage needs has not been made yet.
    #[error("there is no {artifact} at `{}`; {advice}", path.display())]
    Missing {
        /// What was looked for: "complete ingest artifact", "best checkpoint" …
        artifact: String,
        /// Where it was looked for.
        path: PathBuf,
        /// The command that makes it.
        advice: String,
    },
    /// A file is not the one its manifest describes.
    #[error(
        "`{}` is not the file its manifest describes ({detail}); run `cargo xtask {stage} --force` to make it again",
        path.display()
    )]
    Damaged {
        /// The file at fault.
        path: PathBuf,
        /// The stage that makes it.
        stage: String,
        /// Expected and found.
        detail: String,
    },
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] crate::config::Error),
}

/// The result of working on artifacts.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// For `map_err`: an [`Error::Io`] that says what was being done to which file.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    }

    /// An [`Error::Malformed`].
    pub fn malformed(path: &Path, format: &'static str, detail: impl ToString) -> Error {
        Error::Malformed { path: path.to_owned(), format, detail: detail.to_string() }
    }
}
