//! The errors of downloading from the hub.

use std::fmt;
use std::path::PathBuf;

use crate::name::Repository;
use crate::{Dataset, Name};

/// What a request asks the hub for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A file.
    File(Name),
    /// The tables of a data set.
    Dataset(Dataset),
}

impl Wanted {
    /// The repository that has it.
    pub(crate) fn repository(&self) -> &Repository {
        match self {
            Wanted::File(name) => &name.repository,
            Wanted::Dataset(dataset) => &dataset.repository,
        }
    }

    /// What can be given instead of a download.
    fn local(&self) -> &'static str {
        match self {
            Wanted::File(_) => "a safetensors file that is on this machine (--weights FILE)",
            Wanted::Dataset(_) => "a folder of tables that is on this machine",
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::File(name) => name.fmt(f),
            Wanted::Dataset(dataset) => dataset.fmt(f),
        }
    }
}

/// Why a file or a data set of the hub cannot be downloaded. No message contains the access token.
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
    /// There is no folder for the cache.
    #[error("there is no folder for the hub's cache; set HF_HOME to one")]
    NoCache,
    /// `HF_ENDPOINT` is not an address.
    #[error("HF_ENDPOINT is not a valid address")]
    Endpoint(#[source] fetch::Error),
    /// The environment variables name certificates that cannot be used.
    #[error(transparent)]
    Client(fetch::Error),
    /// The file or data set is not in the cache, and the client is offline.
    #[error(
        "`{wanted}` is not in the cache `{}`, and HF_HUB_OFFLINE is set; unset it to fetch `{wanted}`, or give {}",
        cache.display(), wanted.local()
    )]
    Offline {
        /// The file or data set.
        wanted: Box<Wanted>,
        /// The folder of the cache.
        cache: PathBuf,
    },
    /// The hub denies access.
    #[error(
        "the hub refused `{wanted}` {}; if it exists, get an access token at https://huggingface.co/settings/tokens, \
         set HF_TOKEN to it, and accept the terms at {page} if it has any",
        if *with_token { "with the access token given" } else { "without an access token" }
    )]
    Denied {
        /// The file or data set.
        wanted: Box<Wanted>,
        /// The repository's page.
        page: String,
        /// Whether an access token was sent.
        with_token: bool,
        /// The hub's answer.
        source: Box<fetch::Error>,
    },
    /// The hub has no such file or data set.
    #[error("the hub has no `{wanted}`; check each part of the name at {page}")]
    NotFound {
        /// The file or data set.
        wanted: Box<Wanted>,
        /// The repository's page.
        page: String,
        /// The hub's answer.
        source: Box<fetch::Error>,
    },
    /// The hub cannot be reached.
    #[error(
        "`{wanted}` is not in the cache and cannot be fetched; without a network, give {}, or behind a firewall set \
         HF_ENDPOINT to a mirror or HTTPS_PROXY to a proxy", wanted.local()
    )]
    Unreachable {
        /// The file or data set.
        wanted: Box<Wanted>,
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
    #[error("failed to fetch `{wanted}`")]
    Fetch {
        /// The file or data set.
        wanted: Box<Wanted>,
        /// The failure.
        source: Box<fetch::Error>,
    },
    /// The cache cannot be read or written.
    #[error(transparent)]
    Cache(#[from] artifacts::Error),
}

impl Error {
    /// Converts the failure of a request.
    pub(crate) fn from_fetch(wanted: Wanted, page: String, with_token: bool, source: fetch::Error) -> Error {
        let (wanted, source) = (Box::new(wanted), Box::new(source));
        match source.status() {
            Some(401 | 403) => Error::Denied { wanted, page, with_token, source },
            Some(404) => Error::NotFound { wanted, page, source },
            _ if source.is_unreachable() => Error::Unreachable { wanted, source },
            _ => Error::Fetch { wanted, source },
        }
    }
}
