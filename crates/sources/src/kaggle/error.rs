//! Why a data set cannot be had, and what to do.

use std::path::PathBuf;

use super::Dataset;

/// Errors of Kaggle. None of them shows credentials or a signed address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text does not name a data set.
    #[error(
        "`{text}` is not a data set on Kaggle, because {reason}; write kaggle:owner/slug or kaggle:owner/slug@version"
    )]
    Name {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no folder for the cache.
    #[error("there is no folder for Kaggle's data sets; set KAGGLEHUB_CACHE to one")]
    NoCache,
    /// `KAGGLE_API_ENDPOINT` is not an address.
    #[error("KAGGLE_API_ENDPOINT does not name a server")]
    Endpoint(#[source] fetch::Error),
    /// The environment names certificates that cannot be used.
    #[error(transparent)]
    Client(fetch::Error),
    /// A `kaggle.json` cannot be used.
    #[error(
        "line {line} of `{}` is not as Kaggle writes it, with `username` and `key`; get a new one at \
         https://www.kaggle.com/settings, or remove it", path.display()
    )]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Where reading it stopped, from 1.
        line: usize,
    },
    /// Kaggle wants to know who asks, or does not want them to have it.
    #[error(
        "Kaggle refused `{dataset}` {with}; create an access token at https://www.kaggle.com/settings, set \
         KAGGLE_API_TOKEN to it, and accept the licence at {page} if the page asks for it"
    )]
    Denied {
        /// The data set.
        dataset: Dataset,
        /// Its page.
        page: String,
        /// Which credentials were sent, by place.
        with: String,
        /// What Kaggle said.
        source: Box<fetch::Error>,
    },
    /// Kaggle has no such data set, or hides it.
    #[error(
        "Kaggle has no `{dataset}` for a request {with}; check owner, name and version at {page}; if it is private, \
             it needs credentials of someone who may see it"
    )]
    NotFound {
        /// The data set.
        dataset: Dataset,
        /// Its page.
        page: String,
        /// Which credentials were sent, by place.
        with: String,
        /// What Kaggle said.
        source: Box<fetch::Error>,
    },
    /// No answer.
    #[error(
        "`{dataset}` is not on this machine and Kaggle cannot be reached; download it from {page} with a browser, here or \
         on another machine, and name the zip or the extracted folder with --data PATH"
    )]
    Unreachable {
        /// The data set.
        dataset: Dataset,
        /// Its page.
        page: String,
        /// What failed.
        source: Box<fetch::Error>,
    },
    /// The file that arrived is no archive.
    #[error("`{dataset}` did not arrive as a zip archive; download it from {page} and name it with --data PATH")]
    NotAZip {
        /// The data set.
        dataset: Dataset,
        /// Its page.
        page: String,
    },
    /// The download failed in another way.
    #[error("failed to fetch `{dataset}`; what has arrived is kept, and the same command goes on from there")]
    Fetch {
        /// The data set.
        dataset: Dataset,
        /// What failed.
        source: Box<fetch::Error>,
    },
    /// The operating system refused.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
}
