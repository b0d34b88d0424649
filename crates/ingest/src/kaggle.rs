//! Data sets of Kaggle: found in the cache that kagglehub keeps, or fetched into it.
//!
//! This speaks Kaggle's REST interface, as kagglehub's clients do
//! (<https://github.com/Kaggle/kagglehub>, `http_resolver.py` and `clients.py`):
//!
//! - `GET /api/v1/datasets/view/OWNER/SLUG` names the current version;
//! - `GET /api/v1/datasets/download/OWNER/SLUG?dataset_version_number=N` redirects to a signed address in Google Cloud
//!   Storage, which knows ranges and names a checksum in `x-goog-hash`.
//!
//! What kagglehub has extracted under `datasets/OWNER/SLUG/versions/N` is used as it is. What is fetched here is the
//! archive `datasets/OWNER/SLUG/N.zip`, which ingest reads in place: it is never extracted, so nothing in it can be
//! written anywhere. kagglehub neither sees nor disturbs it.
//!
//! | variable | what it sets | without it |
//! | --- | --- | --- |
//! | `KAGGLEHUB_CACHE` | the cache | `~/.cache/kagglehub` |
//! | `KAGGLE_API_TOKEN` | an access token, or a file that holds one | `~/.kaggle/access_token`, then `access_token.txt` |
//! | `KAGGLE_USERNAME`, `KAGGLE_KEY` | the older kind of credentials | `kaggle.json` |
//! | `KAGGLE_CONFIG_DIR` | the folder of `kaggle.json` | `~/.kaggle` |
//! | `KAGGLE_API_ENDPOINT` | another server that speaks the interface | `https://www.kaggle.com` |

mod cache;
mod credentials;
mod dataset;
mod description;
mod error;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use artifacts::atomic;
use fetch::{Client, Environment, ExpectedFile, Request, Url};
use serde::Deserialize;

use cache::Cache;
use credentials::Credentials;
pub use dataset::Dataset;
pub use description::Description;
pub use error::Error;

const SERVER: &str = "https://www.kaggle.com";

/// A version of a data set on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// Which version it is.
    pub version: u32,
    /// A folder that kagglehub extracted, or a zip archive.
    pub path: PathBuf,
}

/// Kaggle as the environment describes it.
pub struct Kaggle {
    client: Client,
    server: Url,
    cache: Cache,
    /// Where credentials are looked for once Kaggle is asked: what is on this machine needs none, not even sound ones.
    environment: Environment,
}

impl fmt::Debug for Kaggle {
    /// Leaves out the environment, which holds secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kaggle").field("server", &self.server).field("cache", &self.cache).finish_non_exhaustive()
    }
}

/// What `datasets/view` says, as far as it is of use here.
#[derive(Deserialize)]
struct View {
    #[serde(rename = "currentVersionNumber")]
    current_version: u32,
}

impl Kaggle {
    /// Kaggle with this process's environment, showing the download of `dataset` on standard error.
    ///
    /// # Errors
    /// Those of [`Kaggle::new`].
    pub fn of_process(dataset: &Dataset) -> Result<Kaggle, Error> {
        let environment = Environment::from_process();
        let client = Client::from_environment(&environment).map_err(Error::Client)?;
        Kaggle::new(&environment, client.with_observer(fetch::progress_observer(dataset.to_string())))
    }

    /// Kaggle with an environment and a client.
    ///
    /// # Errors
    /// There is no folder for the cache, or `KAGGLE_API_ENDPOINT` is not an address.
    pub fn new(environment: &Environment, client: Client) -> Result<Kaggle, Error> {
        let server = environment.get("KAGGLE_API_ENDPOINT").unwrap_or(SERVER);
        Ok(Kaggle {
            client,
            server: Url::parse(server).map_err(Error::Endpoint)?,
            cache: Cache::of(environment).ok_or(Error::NoCache)?,
            environment: environment.clone(),
        })
    }

    /// The data set as it is on this machine: the version asked for, or the newest there is. Nobody is asked.
    pub fn cached(&self, dataset: &Dataset) -> Option<Local> {
        self.cache.get(dataset)
    }

    /// What [`Kaggle::fetch`] would do. It costs two small requests, or none if the data set is on this machine.
    ///
    /// # Errors
    /// Those of [`Kaggle::fetch`], so that a missing permission shows before any work is done.
    pub fn describe(&self, dataset: &Dataset) -> Result<Description, Error> {
        let folder = self.cache.folder(dataset);
        let free = fetch::free_space(&folder);
        if let Some(local) = self.cached(dataset) {
            let dataset = dataset.at(local.version);
            return Ok(Description { dataset, bytes: Some(0), cached: Some(local), folder, free });
        }
        let dataset = dataset.at(self.version_of(dataset)?);
        let bytes = self.client.size(&self.download_of(&dataset)?).map_err(|e| self.failed(&dataset, e))?;
        Ok(Description { dataset, bytes, cached: None, folder, free })
    }

    /// The data set on this machine, fetched if it is not there.
    ///
    /// A data set named without version that is on this machine is not asked for again, even if Kaggle has a newer one
    /// by now: a run is repeatable, and works without network. Naming the version gets another.
    ///
    /// # Errors
    /// The data set cannot be had; the error says what to do.
    pub fn fetch(&self, dataset: &Dataset) -> Result<Local, Error> {
        if let Some(local) = self.cached(dataset) {
            return Ok(local);
        }
        let version = self.version_of(dataset)?;
        let dataset = dataset.at(version);
        let path = self.cache.archive(&dataset, version);
        let download = self.client.download(&self.download_of(&dataset)?, &path, &ExpectedFile::default());
        download.map_err(|e| self.failed(&dataset, e))?;
        if !is_zip(&path).map_err(artifacts::Error::io("read", &path))? {
            atomic::remove_file(&path)?;
            return Err(Error::NotAZip { page: self.page(&dataset), dataset });
        }
        Ok(Local { version, path })
    }

    /// The data set with the version that [`Kaggle::fetch`] gives: the one asked for, the newest on this machine, or else
    /// Kaggle's current one.
    ///
    /// # Errors
    /// Those of [`Kaggle::fetch`], where Kaggle must be asked.
    pub fn pinned(&self, dataset: &Dataset) -> Result<Dataset, Error> {
        match self.cached(dataset) {
            Some(local) => Ok(dataset.at(local.version)),
            None => Ok(dataset.at(self.version_of(dataset)?)),
        }
    }

    /// The version that is asked for, or the current one.
    fn version_of(&self, dataset: &Dataset) -> Result<u32, Error> {
        if let Some(version) = dataset.version {
            return Ok(version);
        }
        let request = self.request(["view", &dataset.owner, &dataset.slug])?;
        let view: View = self.client.json(&request).map_err(|e| self.failed(dataset, e))?;
        Ok(view.current_version)
    }

    fn download_of(&self, dataset: &Dataset) -> Result<Request, Error> {
        let mut request = self.request(["download", &dataset.owner, &dataset.slug])?;
        if let Some(version) = dataset.version {
            request.url = request.url.with_parameter("dataset_version_number", &version.to_string());
        }
        Ok(request)
    }

    fn request(&self, [action, owner, slug]: [&str; 3]) -> Result<Request, Error> {
        let url = self.server.join_segments(["api", "v1", "datasets", action, owner, slug]);
        Ok(Request { url, authorization: Credentials::of(&self.environment)?.authorization })
    }

    fn page(&self, dataset: &Dataset) -> String {
        self.server.join_segments(["datasets", &dataset.owner, &dataset.slug]).to_string()
    }

    fn failed(&self, dataset: &Dataset, source: fetch::Error) -> Error {
        let (dataset, page, source) = (dataset.clone(), self.page(dataset), Box::new(source));
        let with = || Credentials::of(&self.environment).map(|found| found.to_string()).unwrap_or_default();
        match source.status() {
            Some(401 | 403) => Error::Denied { dataset, page, with: with(), source },
            Some(404) => Error::NotFound { dataset, page, with: with(), source },
            _ if source.is_unreachable() => Error::Unreachable { dataset, page, source },
            _ => Error::Fetch { dataset, source },
        }
    }
}

/// Whether a file begins as a zip archive does, be it an empty one (APPNOTE.TXT, sections 4.3.7 and 4.3.16).
fn is_zip(path: &Path) -> std::io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut start)?;
    Ok(start == b"PK\x03\x04" || start == b"PK\x05\x06")
}
