//! Downloads files and data sets of the Hugging Face hub into the cache that all of its clients share.
//!
//! The cache has the layout of hf-hub ([`hf_hub::Cache`]), so that files are shared with `huggingface_hub` in Python.
//! hf-hub 0.5.0 itself is not used for downloads, because its handling of environment variables and its transport have
//! faults. This module and the crate `fetch` replace them. hf-hub 0.5.0:
//!
//! - does not read `HF_TOKEN`, `HF_HUB_CACHE` or `HF_HUB_OFFLINE` (`api/sync.rs`, `ApiBuilder::from_env`);
//! - sends the access token to any host that a file is redirected to (`Api::metadata`, `self.client.get(location)`);
//! - appends any answer to a range request without checking its status or `Content-Range`
//!   (`download_from`), and after a failed retry appends at the wrong position (`stream_position` of a file opened for
//!   appending is 0 before the first write, `download_tempfile`);
//! - verifies neither size nor checksum, and does not sync the file before renaming it (`download_with_progress`);
//! - uses headers of the server as file names without checking them (`blob_path`, `pointer_path`), and panics if one is
//!   missing (`expect("location header in redirect")`).
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `HF_HOME` | the folder of cache and token | `$XDG_CACHE_HOME/huggingface`, or `~/.cache/huggingface` |
//! | `HF_HUB_CACHE` | the cache | `$HF_HOME/hub` |
//! | `HF_TOKEN` | the access token | the file `$HF_TOKEN_PATH`, or `$HF_HOME/token`; no token if neither exists |
//! | `HF_ENDPOINT` | the address of the hub or of a mirror | `https://huggingface.co` |
//! | `HF_HUB_OFFLINE` | `1`: use the cache only | download files that are not in the cache |

mod cache;
mod dataset;
mod error;
mod name;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};

use artifacts::atomic;
use fetch::{Authorization, Checksum, Client, Environment, ExpectedFile, Request, ResponseHead, Url};

use cache::Cache;
pub use dataset::Dataset;
pub use error::{Error, Wanted};
pub use name::Name;
use name::Repository;
pub use tables::{LocalDataset, RemoteDataset};

const HUB: &str = "https://huggingface.co";

/// Returns the local path of `hf:owner/repo[/file][@revision]`, after downloading the file if it is not in the cache.
///
/// # Errors
/// The text is not such a name, or the file cannot be downloaded. The error suggests what to do.
pub fn resolve(source: &str) -> Result<PathBuf, Error> {
    let name: Name = source.parse()?;
    Hub::from_process(&name)?.resolve(&name)
}

/// Returns the path of another file in the folder of `source` on the hub. Downloads it if it is not in the cache.
///
/// # Errors
/// The same as [`resolve`].
pub fn resolve_beside(source: &str, file: &str) -> Result<PathBuf, Error> {
    let name: Name = source.parse()?;
    let folder = name.file.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let name = Name { file: format!("{folder}{file}"), ..name };
    Hub::from_process(&name)?.resolve(&name)
}

/// Describes the download of a file in one sentence: `what` says what it is, such as "weights". `None` if the file is in
/// the cache.
///
/// # Errors
/// The same as [`resolve`].
pub fn download_notice(what: &str, source: &str) -> Result<Option<String>, Error> {
    let name: Name = source.parse()?;
    // A notice is not worth waiting for.
    let size = Hub::from_process(&name)?.without_retries().size(&name)?;
    Ok(match size {
        Some(0) => None,
        Some(bytes) => {
            let size = artifacts::progress::bytes(bytes);
            Some(format!("downloads the {what} {source} ({size}) into the Hugging Face cache"))
        }
        None => Some(format!("downloads the {what} {source}, of unknown size, into the Hugging Face cache")),
    })
}

/// A client of the hub with its cache.
#[derive(Debug)]
pub struct Hub {
    client: Client,
    cache: Cache,
    endpoint: Url,
    authorization: Option<Authorization>,
    offline: bool,
}

/// The metadata of a file, from the headers of the hub.
struct Metadata {
    /// The commit that the revision stands for.
    commit: String,
    /// Identifies the content: the SHA-256 of a large file, or git's hash of a small one.
    etag: String,
    bytes: Option<u64>,
}

impl Hub {
    /// Creates a client with the environment variables of this process. It prints the download progress of `name`.
    ///
    /// # Errors
    /// The errors of [`Hub::new`].
    pub fn from_process(name: &impl std::fmt::Display) -> Result<Hub, Error> {
        let environment = Environment::from_process();
        let client = Client::from_environment(&environment).map_err(Error::Client)?;
        Hub::new(&environment, client.with_observer(fetch::progress_observer(name.to_string())))
    }

    /// Creates a client with the variables in `environment`.
    ///
    /// # Errors
    /// The environment has neither a home nor a cache folder, or `HF_ENDPOINT` is not an address.
    pub fn new(environment: &Environment, client: Client) -> Result<Hub, Error> {
        let home = environment
            .path("HF_HOME")
            .or_else(|| Some(environment.path("XDG_CACHE_HOME")?.join("huggingface")))
            .or_else(|| Some(environment.home()?.join(".cache").join("huggingface")));
        let cache = environment.path("HF_HUB_CACHE").or_else(|| Some(home.as_ref()?.join("hub")));
        let endpoint = environment.get("HF_ENDPOINT").unwrap_or(HUB);
        Ok(Hub {
            client,
            cache: Cache::new(cache.ok_or(Error::NoCache)?),
            endpoint: Url::parse(endpoint).map_err(Error::Endpoint)?,
            authorization: token(environment, home.as_deref()).map(Authorization::Bearer),
            offline: environment.get("HF_HUB_OFFLINE").is_some_and(is_true),
        })
    }

    /// Returns the same client, which tries each request only once.
    pub fn without_retries(self) -> Hub {
        Hub { client: self.client.without_retries(), ..self }
    }

    /// Returns the file's path in the cache, after downloading the file if it is not there.
    ///
    /// Uses a cached file even if its revision is a branch with newer commits, so that runs are repeatable and need no
    /// network. To get another version, remove the file from the cache or name a commit.
    ///
    /// # Errors
    /// The file cannot be downloaded.
    pub fn resolve(&self, name: &Name) -> Result<PathBuf, Error> {
        if let Some(path) = self.cached(name) {
            return Ok(path);
        }
        let metadata = self.metadata(name)?;
        let checksum = Checksum::sha256_from_hex(&metadata.etag);
        let expected = ExpectedFile { bytes: metadata.bytes, checksum, kind: None };
        let blob = self.cache.blob(name, &metadata.etag);
        if blob.exists() && !is_intact(&blob, &expected) {
            atomic::remove_file(&blob)?;
        }
        let request = self.request(name, &metadata.commit);
        self.client
            .download(&request, &blob, &expected)
            .map_err(|e| self.request_error(Wanted::File(name.clone()), e))?;
        self.cache.link(name, &metadata.commit, &blob)
    }

    /// Returns the file's path if it is in the cache.
    pub fn cached(&self, name: &Name) -> Option<PathBuf> {
        self.cache.get(name)
    }

    /// Returns the number of bytes that [`Hub::resolve`] would download: 0 if the file is in the cache, `None` if the
    /// hub does not send the size.
    ///
    /// # Errors
    /// The same as [`Hub::resolve`].
    pub fn size(&self, name: &Name) -> Result<Option<u64>, Error> {
        if self.cached(name).is_some() { Ok(Some(0)) } else { Ok(self.metadata(name)?.bytes) }
    }

    fn metadata(&self, name: &Name) -> Result<Metadata, Error> {
        if self.offline {
            return Err(self.offline_error(Wanted::File(name.clone())));
        }
        let head = self
            .client
            .head(&self.request(name, &name.revision))
            .map_err(|e| self.request_error(Wanted::File(name.clone()), e))?;
        metadata(&head).map_err(|reason| Error::NotAHub { endpoint: self.endpoint.to_string(), reason })
    }

    fn request(&self, name: &Name, revision: &str) -> Request {
        let segments = name.repository.segments().chain(["resolve", revision]).chain(name.file.split('/'));
        Request { url: self.endpoint.join_segments(segments), authorization: self.authorization.clone() }
    }

    /// Returns the address of a repository's page.
    fn page(&self, repository: &Repository) -> String {
        self.endpoint.join_segments(repository.segments()).to_string()
    }

    fn offline_error(&self, wanted: Wanted) -> Error {
        Error::Offline { wanted: Box::new(wanted), cache: self.cache.folder().to_owned() }
    }

    /// Converts the failure of a request.
    fn request_error(&self, wanted: Wanted, source: fetch::Error) -> Error {
        let page = self.page(wanted.repository());
        Error::from_fetch(wanted, page, self.authorization.is_some(), source)
    }
}

/// Reads the metadata of a file from its headers
/// (<https://huggingface.co/docs/huggingface_hub/package_reference/file_download>). Commit and entity tag become file
/// names in the cache, so only plain names are accepted.
fn metadata(head: &ResponseHead) -> Result<Metadata, String> {
    let commit = head.get("x-repo-commit").ok_or("it sends no `x-repo-commit`")?.trim();
    let etag = head.get("x-linked-etag").or_else(|| head.get("etag")).ok_or("it sends no entity tag")?;
    let etag = etag.trim().trim_start_matches("W/").trim_matches('"');
    if !name::is_commit(commit) {
        return Err("its `x-repo-commit` is not a commit".into());
    }
    if !name::is_plain(etag) {
        return Err("its entity tag is not a hash".into());
    }
    let linked = head.get("x-linked-size").and_then(|size| size.trim().parse().ok());
    // The `Content-Length` of a redirect is the length of the redirect's own body.
    let own = head.length().filter(|_| head.status() == 200);
    Ok(Metadata { commit: commit.to_owned(), etag: etag.to_owned(), bytes: linked.or(own) })
}

/// Returns whether a blob has the expected size and checksum.
fn is_intact(blob: &Path, expected: &ExpectedFile) -> bool {
    let size_fits = expected.bytes.is_none_or(|bytes| blob.metadata().is_ok_and(|meta| meta.len() == bytes));
    size_fits && expected.checksum.is_none_or(|wanted| wanted.recompute(blob).is_ok_and(|actual| actual == wanted))
}

/// Returns the access token, trimmed, or `None` if there is none.
fn token(environment: &Environment, home: Option<&Path>) -> Option<String> {
    let given = environment.get("HF_TOKEN").map(str::to_owned);
    let token = given.or_else(|| {
        let path = environment.path("HF_TOKEN_PATH").or_else(|| Some(home?.join("token")))?;
        fs::read_to_string(path).ok()
    })?;
    let token = token.trim();
    (!token.is_empty()).then(|| token.to_owned())
}

/// Returns whether `huggingface_hub` interprets the value as true.
fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"].contains(&value.to_ascii_lowercase().as_str())
}
