//! The errors of downloading from the hub.

use std::path::PathBuf;

use crate::{Dataset, Name};

/// Why a file of the hub cannot be downloaded. No message contains the access token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text does not name a file on the hub.
    #[error("`{text}` is not a file on the hub, because {reason}; write hf:owner/repo[/file][@revision]")]
    Name {
        /// The text.
        text: String,
        /// The reason.
        reason: &'static str,
    },
    /// The text does not name a data set on the hub.
    #[error(
        "`{text}` is not a data set on the hub, because {reason}; write hf:datasets/owner/name[/folder][@revision]"
    )]
    DatasetName {
        /// The text.
        text: String,
        /// The reason.
        reason: &'static str,
    },
    /// The data set is not in the cache, and the client is offline.
    #[error(
        "`{dataset}` is not in the cache `{}`, and HF_HUB_OFFLINE is set; unset it to fetch the data set, or give a \
         folder of tables that is on this machine", cache.display()
    )]
    OfflineDataset {
        /// The data set.
        dataset: Box<Dataset>,
        /// The folder of the cache.
        cache: PathBuf,
    },
    /// The data set has no parquet files, and the hub has not converted it.
    #[error(
        "`{dataset}` has no parquet files, and the hub has none that it made; see {page}, or download the files and give \
         their folder"
    )]
    NoTables {
        /// The data set.
        dataset: Box<Dataset>,
        /// The page of the data set.
        page: String,
    },
    /// The hub denies access to a data set.
    #[error(
        "the hub refused `{dataset}` {}; if it exists, get an access token at https://huggingface.co/settings/tokens, \
         set HF_TOKEN to it, and accept the terms at {page} if it has any",
        if *with_token { "with the access token given" } else { "without an access token" }
    )]
    DatasetDenied {
        /// The data set.
        dataset: Box<Dataset>,
        /// The page of the data set.
        page: String,
        /// Whether an access token was sent.
        with_token: bool,
        /// The hub's answer.
        source: Box<fetch::Error>,
    },
    /// The hub has no such data set.
    #[error("the hub has no `{dataset}`; check owner, name and revision at {page}")]
    NoDataset {
        /// The data set.
        dataset: Box<Dataset>,
        /// The page of the data set.
        page: String,
        /// The hub's answer.
        source: Box<fetch::Error>,
    },
    /// The hub cannot be reached.
    #[error(
        "`{dataset}` is not in the cache and cannot be fetched; without a network, give a folder of tables that is on \
         this machine, or behind a firewall set HF_ENDPOINT to a mirror or HTTPS_PROXY to a proxy"
    )]
    DatasetUnreachable {
        /// The data set.
        dataset: Box<Dataset>,
        /// The failure.
        source: Box<fetch::Error>,
    },
    /// The list of a data set's files cannot be fetched for another reason.
    #[error("failed to list the files of `{dataset}`")]
    FetchDataset {
        /// The data set.
        dataset: Box<Dataset>,
        /// The failure.
        source: Box<fetch::Error>,
    },
    /// There is no folder for the cache.
    #[error("there is no folder for the hub's cache; set HF_HOME to one")]
    NoCache,
    /// `HF_ENDPOINT` is not an address.
    #[error("HF_ENDPOINT is not a valid address")]
    Endpoint(#[source] fetch::Error),
    /// The environment variables name certificates that cannot be used.
    #[error(transparent)]
    Client(fetch::Error),
    /// The file is not in the cache, and the client is offline.
    #[error(
        "`{name}` is not in the cache `{}`, and HF_HUB_OFFLINE is set; unset it to fetch the file, \
         or give a safetensors file that is on this machine", cache.display()
    )]
    Offline {
        /// The file.
        name: Box<Name>,
        /// The folder of the cache.
        cache: PathBuf,
    },
    /// The hub denies access.
    #[error(
        "the hub refused `{name}` {}; if it exists, get an access token at https://huggingface.co/settings/tokens, \
         set HF_TOKEN to it, and accept the terms at {page} if it has any",
        if *with_token { "with the access token given" } else { "without an access token" }
    )]
    Denied {
        /// The file.
        name: Box<Name>,
        /// The repository's page.
        page: String,
        /// Whether an access token was sent.
        with_token: bool,
        /// The hub's answer.
        source: Box<fetch::Error>,
    },
    /// The hub has no such file.
    #[error("the hub has no `{name}`; check the names of repository, file and revision at {page}")]
    NotFound {
        /// The file.
        name: Box<Name>,
        /// The repository's page.
        page: String,
        /// The hub's answer.
        source: Box<fetch::Error>,
    },
    /// The hub cannot be reached.
    #[error(
        "`{name}` is not in the cache and cannot be fetched; without a network, give a safetensors file that is on \
         this machine (--weights FILE), or behind a firewall set HF_ENDPOINT to a mirror or HTTPS_PROXY to a proxy"
    )]
    Unreachable {
        /// The file.
        name: Box<Name>,
        /// The failure.
        source: Box<fetch::Error>,
    },
    /// The server does not answer like a hub.
    #[error("{endpoint} does not answer as a Hugging Face hub does: {reason}; check HF_ENDPOINT")]
    NotAHub {
        /// The address.
        endpoint: String,
        /// The missing or invalid header.
        reason: String,
    },
    /// The download failed in another way.
    #[error("failed to fetch `{name}`")]
    Fetch {
        /// The file.
        name: Box<Name>,
        /// The failure.
        source: Box<fetch::Error>,
    },
    /// The cache cannot be read or written.
    #[error(transparent)]
    Cache(#[from] artifacts::Error),
}

/// A failed request, as described in its error.
pub(crate) struct FailedRequest<'a> {
    pub(crate) name: &'a Name,
    pub(crate) page: String,
    pub(crate) with_token: bool,
}

impl Error {
    /// Classifies the failure of a request.
    pub(crate) fn from_fetch(request: FailedRequest<'_>, source: fetch::Error) -> Error {
        let FailedRequest { name, page, with_token } = request;
        let (name, source) = (Box::new(name.clone()), Box::new(source));
        match source.status() {
            Some(401 | 403) => Error::Denied { name, page, with_token, source },
            Some(404) => Error::NotFound { name, page, source },
            _ if source.is_unreachable() => Error::Unreachable { name, source },
            _ => Error::Fetch { name, source },
        }
    }
}
