//! What can go wrong between a server and a complete file.

use std::path::PathBuf;
use std::time::Duration;

use crate::Checksum;

/// Errors of fetching. None of them shows credentials: addresses are without their query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address cannot be used.
    #[error("`{text}` is not an address to fetch from: {reason}")]
    BadUrl {
        /// The address, without its query.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server answered with a status that is neither success nor a redirect to follow.
    #[error("{url} answered {status}{}", detail.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    Status {
        /// Who answered; after redirects this may not be who was asked.
        url: String,
        /// The HTTP status code.
        status: u16,
        /// What the server says about it, control characters removed.
        detail: Option<String>,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// No answer: the name was not resolved, the connection refused, or time ran out.
    #[error("cannot reach {host}: {reason}")]
    Unreachable {
        /// The host that was tried.
        host: String,
        /// Why there was no answer.
        reason: String,
    },
    /// The connection ended before the body did.
    #[error("{url} was cut off after {received} bytes: {reason}")]
    Interrupted {
        /// What was being read.
        url: String,
        /// The bytes there are so far.
        received: u64,
        /// What ended it.
        reason: String,
    },
    /// The answer contradicts HTTP, the request, or an earlier answer.
    #[error("{url} gave an answer that cannot be used: {reason}")]
    BadResponse {
        /// Who answered.
        url: String,
        /// What is wrong with it.
        reason: String,
        /// Whether another attempt may go better.
        transient: bool,
    },
    /// The file that should hold certificates holds none.
    #[error("`{}`, which SSL_CERT_FILE names, holds no certificates in PEM form", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
    },
    /// What arrived is not what the service says it serves.
    #[error("{url} arrived damaged: its {} is {actual}, not {expected}; nothing was kept", expected.algorithm())]
    Checksum {
        /// What was downloaded.
        url: String,
        /// The checksum that the service named.
        expected: Checksum,
        /// The checksum of what arrived.
        actual: Checksum,
    },
    /// The file would not fit.
    #[error("`{}` has {available} bytes free, but {needed} more are needed; free some space or choose another folder", folder.display())]
    NoSpace {
        /// Where the file was to go.
        folder: PathBuf,
        /// The bytes still to come.
        needed: u64,
        /// The bytes free there.
        available: u64,
    },
    /// A file or folder of this machine cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// A fault that may pass did not pass in time.
    #[error("gave up after {attempts} attempts")]
    GaveUp {
        /// How many attempts failed in a row.
        attempts: u32,
        /// The last failure.
        source: Box<Error>,
    },
}

/// The result of fetching.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The failure itself, where retrying it was given up.
    pub fn root(&self) -> &Error {
        match self {
            Error::GaveUp { source, .. } => source.root(),
            other => other,
        }
    }

    /// The HTTP status at the root of this failure, if it is one.
    pub fn status(&self) -> Option<u16> {
        match self.root() {
            Error::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the network or the server's name was out of reach.
    pub fn is_unreachable(&self) -> bool {
        matches!(self.root(), Error::Unreachable { .. })
    }

    /// Whether the same request may succeed a little later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Error::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Error::Unreachable { .. } | Error::Interrupted { .. } => true,
            Error::BadResponse { transient, .. } => *transient,
            _ => false,
        }
    }

    /// How long the server asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
