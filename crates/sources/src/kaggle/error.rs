//! Errors of the Kaggle client.

use std::path::PathBuf;

use super::Dataset;

/// The reason why a data set is not available. No message contains credentials or a signed URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name of the data set is invalid.
    #[error("`{text}` is not a Kaggle data set: {reason}; write kaggle:owner/slug or kaggle:owner/slug@version")]
    Name {
        /// The name.
        text: String,
        /// The rule that it violates.
        reason: &'static str,
    },
    /// There is no folder for the cache.
    #[error("there is no home folder for the cache of Kaggle data sets; set KAGGLEHUB_CACHE to a folder")]
    NoCache,
    /// `KAGGLE_API_ENDPOINT` is not a URL.
    #[error("KAGGLE_API_ENDPOINT is not the URL of a server")]
    Endpoint(#[source] fetch::Error),
    /// The certificates that the environment configures cannot be used.
    #[error(transparent)]
    Client(fetch::Error),
    /// `kaggle.json` is invalid.
    #[error(
        "line {line} of `{}` is invalid; the file must have `username` and `key`. Get a new one at \
         https://www.kaggle.com/settings, or remove it", path.display()
    )]
    Credentials {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Kaggle requires credentials, or denies access with those that were sent.
    #[error(
        "Kaggle denied access to `{dataset}` {with}; create an access token at https://www.kaggle.com/settings, set \
         KAGGLE_API_TOKEN to it, and accept the licence at {page} if there is one to accept"
    )]
    Denied {
        /// The data set.
        dataset: Dataset,
        /// Its page.
        page: String,
        /// Where the credentials were found.
        with: String,
        /// The response.
        source: Box<fetch::Error>,
    },
    /// There is no such data set, or it is private.
    #[error(
        "Kaggle found no `{dataset}` for a request {with}; check owner, name and version at {page}. A private data set \
         needs the credentials of a user with access"
    )]
    NotFound {
        /// The data set.
        dataset: Dataset,
        /// Its page.
        page: String,
        /// Where the credentials were found.
        with: String,
        /// The response.
        source: Box<fetch::Error>,
    },
    /// Kaggle did not respond.
    #[error(
        "`{dataset}` is not in the cache, and Kaggle is unreachable; download it from {page} with a browser, and give the zip \
         or the extracted folder with --data PATH"
    )]
    Unreachable {
        /// The data set.
        dataset: Dataset,
        /// Its page.
        page: String,
        /// The cause.
        source: Box<fetch::Error>,
    },
    /// The downloaded file is not a zip archive.
    #[error("the download of `{dataset}` is not a zip archive; download it from {page} and give it with --data PATH")]
    NotAZip {
        /// The data set.
        dataset: Dataset,
        /// Its page.
        page: String,
    },
    /// The download failed in another way.
    #[error("failed to download `{dataset}`; run the same command again to resume")]
    Fetch {
        /// The data set.
        dataset: Dataset,
        /// The cause.
        source: Box<fetch::Error>,
    },
    /// An error of the file system.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
}
