//! Kaggle data sets, read from the cache of kagglehub or downloaded to it.
//!
//! The client uses Kaggle's REST API like kagglehub (<https://github.com/Kaggle/kagglehub>, `http_resolver.py` and
//! `clients.py`):
//!
//! - `GET /api/v1/datasets/view/OWNER/SLUG` returns the current version.
//! - `GET /api/v1/datasets/download/OWNER/SLUG?dataset_version_number=N` redirects to a signed URL in Google Cloud
//!   Storage, which supports ranges and has a checksum in `x-goog-hash`.
//!
//! Folders that kagglehub extracted to `datasets/OWNER/SLUG/versions/N` are used unchanged. A download is stored as
//! `datasets/OWNER/SLUG/N.zip`, which kagglehub ignores. The archive is read in place and never extracted.
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `KAGGLEHUB_CACHE` | the cache | `~/.cache/kagglehub` |
//! | `KAGGLE_API_TOKEN` | an access token, or the path of a file with a token | `~/.kaggle/access_token`, then `access_token.txt` |
//! | `KAGGLE_USERNAME`, `KAGGLE_KEY` | the older kind of credentials | `kaggle.json` |
//! | `KAGGLE_CONFIG_DIR` | the folder of `kaggle.json` | `~/.kaggle` |
//! | `KAGGLE_API_ENDPOINT` | another server with the same API | `https://www.kaggle.com` |

mod cache;
mod credentials;
mod dataset;
mod description;
mod error;

use std::fmt;
use std::path::PathBuf;

use fetch::{Client, Environment, ExpectedFile, FileKind, Request, Url};
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
    /// The version.
    pub version: u32,
    /// The folder that kagglehub extracted, or the zip archive.
    pub path: PathBuf,
}

/// A client for Kaggle and its cache.
pub struct Kaggle {
    client: Client,
    server: Url,
    cache: Cache,
    /// The source of the credentials. They are read only for requests, so that invalid credentials do not affect cached
    /// data sets.
    environment: Environment,
}

impl fmt::Debug for Kaggle {
    /// Leaves out the environment, which contains secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kaggle").field("server", &self.server).field("cache", &self.cache).finish_non_exhaustive()
    }
}

/// The response of `datasets/view`, reduced to the fields that are used.
#[derive(Deserialize)]
struct View {
    #[serde(rename = "currentVersionNumber")]
    current_version: u32,
}

impl Kaggle {
    /// Makes a client with the environment of this process. The client shows the progress of downloading `dataset` on
    /// standard error.
    ///
    /// # Errors
    /// The errors of [`Kaggle::new`].
    pub fn from_process(dataset: &Dataset) -> Result<Kaggle, Error> {
        let environment = Environment::from_process();
        let client = Client::from_environment(&environment).map_err(Error::Client)?;
        Kaggle::new(&environment, client.with_observer(fetch::progress_observer(dataset.to_string())))
    }

    /// Returns the same client, which tries each request only once.
    pub fn without_retries(self) -> Kaggle {
        Kaggle { client: self.client.without_retries(), ..self }
    }

    /// Makes a client with an environment and an HTTP client.
    ///
    /// # Errors
    /// There is no folder for the cache, or `KAGGLE_API_ENDPOINT` is not a URL.
    pub fn new(environment: &Environment, client: Client) -> Result<Kaggle, Error> {
        let server = environment.get("KAGGLE_API_ENDPOINT").unwrap_or(SERVER);
        Ok(Kaggle {
            client,
            server: Url::parse(server).map_err(Error::Endpoint)?,
            cache: Cache::of(environment).ok_or(Error::NoCache)?,
            environment: environment.clone(),
        })
    }

    /// Returns the given version, or else the newest one in the cache. `None` if it is not in the cache. Makes no
    /// request.
    pub fn cached(&self, dataset: &Dataset) -> Option<Local> {
        self.cache.get(dataset)
    }

    /// Describes what [`Kaggle::fetch`] would do. Makes two small requests, or none if the data set is in the cache.
    ///
    /// # Errors
    /// The errors of [`Kaggle::fetch`], so that a missing permission is reported before any work.
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

    /// Returns the data set in the cache, after downloading it if necessary.
    ///
    /// Without a version, the newest cached version is used, even if Kaggle has a newer one, so that a run is
    /// repeatable and works offline. To download a newer version, give it explicitly.
    ///
    /// # Errors
    /// The data set is not available.
    pub fn fetch(&self, dataset: &Dataset) -> Result<Local, Error> {
        if let Some(local) = self.cached(dataset) {
            return Ok(local);
        }
        let version = self.version_of(dataset)?;
        let dataset = dataset.at(version);
        let path = self.cache.archive(&dataset, version);
        let expected = ExpectedFile { kind: Some(FileKind::ZIP), ..ExpectedFile::default() };
        let download = self.client.download(&self.download_of(&dataset)?, &path, &expected);
        download.map_err(|e| self.failed(&dataset, e))?;
        Ok(Local { version, path })
    }

    /// Returns the data set with the version that [`Kaggle::fetch`] would return: the given one, or else the newest one
    /// in the cache, or else the current one on Kaggle.
    ///
    /// # Errors
    /// The errors of [`Kaggle::fetch`], if a request is needed.
    pub fn pinned(&self, dataset: &Dataset) -> Result<Dataset, Error> {
        match self.cached(dataset) {
            Some(local) => Ok(dataset.at(local.version)),
            None => Ok(dataset.at(self.version_of(dataset)?)),
        }
    }

    /// Returns the given version, or the current one on Kaggle.
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
            _ if matches!(*source, fetch::Error::WrongContent { .. }) => Error::NotAZip { dataset, page },
            _ if source.is_unreachable() => Error::Unreachable { dataset, page, source },
            _ => Error::Fetch { dataset, source },
        }
    }
}
