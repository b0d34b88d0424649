//! The errors of requests and downloads.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Checksum, Url};

/// Errors of requests and downloads. They contain no credentials; URLs are without their query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A URL is invalid.
    #[error("`{text}` is not a usable URL: {reason}")]
    InvalidUrl {
        /// The URL without its query.
        text: String,
        /// The reason.
        reason: String,
    },
    /// The server responded with a status that is neither a success nor a redirect.
    #[error("{url} responded with status {status}{}", detail.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    Status {
        /// The address that responded, after redirects.
        url: String,
        /// The HTTP status code.
        status: u16,
        /// The message of the server, without control characters.
        detail: Option<String>,
        /// The wait before the next attempt that the server requests (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// The server has no bytes in the requested range (status 416).
    #[error("{url} has no bytes in the requested range")]
    RefusedRange {
        /// The address that responded, after redirects.
        url: String,
        /// The size of the file on the server, if the response states it.
        total: Option<u64>,
    },
    /// There was no response: the host name was not resolved, the connection was refused, or a timeout expired.
    #[error("failed to connect to {host}: {reason}")]
    Unreachable {
        /// The host.
        host: String,
        /// Why there was no response.
        reason: String,
    },
    /// The connection ended before the end of the body.
    #[error("the connection to {url} ended after {received} bytes: {reason}")]
    Interrupted {
        /// The address that was read from.
        url: String,
        /// The number of bytes of the file received so far.
        received: u64,
        /// Why the connection ended.
        reason: String,
    },
    /// The response contradicts HTTP, the request, or an earlier response.
    #[error("the response of {url} cannot be used: {reason}")]
    BadResponse {
        /// The address that responded.
        url: String,
        /// The problem with the response.
        reason: String,
        /// Whether another attempt may succeed.
        transient: bool,
    },
    /// `SSL_CERT_FILE` names a file without certificates.
    #[error("`{}`, the file that SSL_CERT_FILE names, has no certificates in PEM format", path.display())]
    NoCertificates {
        /// The file.
        path: PathBuf,
    },
    /// The downloaded file has another checksum than the service published.
    #[error(
        "the file `{}` downloaded from {url} has the {} {actual}, but {expected} was expected; it was removed, try again",
        path.display(), expected.algorithm()
    )]
    ChecksumMismatch {
        /// The address of the file.
        url: String,
        /// The target of the download.
        path: PathBuf,
        /// The published checksum.
        expected: Box<Checksum>,
        /// The checksum of the downloaded file.
        actual: Box<Checksum>,
    },
    /// The downloaded file does not begin like a file of the expected kind.
    #[error("the file downloaded from {url} is not {kind}; it was removed")]
    WrongContent {
        /// The address of the file.
        url: String,
        /// The expected kind of file: "a zip archive".
        kind: &'static str,
    },
    /// The file does not fit on the disk.
    #[error(
        "`{}` has {available} bytes free, but the download needs {needed}; free some space or choose another folder",
        folder.display()
    )]
    NoSpace {
        /// The folder of the file.
        folder: PathBuf,
        /// The bytes that remain to be downloaded.
        needed: u64,
        /// The free bytes on the file system of the folder.
        available: u64,
    },
    /// A local file or folder cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// A transient failure happened too often in a row.
    #[error("gave up after {attempts} attempts; try again later, partial downloads are resumed")]
    GaveUp {
        /// The number of attempts that failed in a row.
        attempts: u32,
        /// The last failure.
        source: Box<Error>,
    },
}

/// The result of a request or download.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes an [`Error::BadResponse`] that is not transient.
    pub(crate) fn bad_response(url: &Url, reason: String) -> Error {
        Error::BadResponse { url: url.to_string(), reason, transient: false }
    }

    /// Makes an [`Error::Interrupted`].
    pub(crate) fn interrupted(url: &Url, received: u64, reason: &dyn Display) -> Error {
        Error::Interrupted { url: url.to_string(), received, reason: reason.to_string() }
    }

    /// Returns the last failure if this error is [`Error::GaveUp`], and this error otherwise.
    pub fn root_cause(&self) -> &Error {
        match self {
            Error::GaveUp { source, .. } => source.root_cause(),
            other => other,
        }
    }

    /// The HTTP status code, if the root cause is [`Error::Status`].
    pub fn status(&self) -> Option<u16> {
        match self.root_cause() {
            Error::Status { status, .. } => Some(*status),
            Error::RefusedRange { .. } => Some(416),
            _ => None,
        }
    }

    /// Returns whether the root cause is [`Error::Unreachable`].
    pub fn is_unreachable(&self) -> bool {
        matches!(self.root_cause(), Error::Unreachable { .. })
    }

    /// Returns whether the same request may succeed a little later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Error::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Error::Unreachable { .. } | Error::Interrupted { .. } => true,
            Error::BadResponse { transient, .. } => *transient,
            _ => false,
        }
    }

    /// The wait that the server requests.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
