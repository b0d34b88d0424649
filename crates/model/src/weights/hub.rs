//! Files of the Hugging Face hub: found in the cache that all its clients share, or fetched into it.
//!
//! This is the one place that knows the hub. The cache's layout is hf-hub's ([`hf_hub::Cache`]), so that what
//! `huggingface_hub` in Python has fetched is used, and the other way round. The environment and the transport are this
//! module's and `fetch`'s, because hf-hub 0.5.0 is not good enough there:
//!
//! - it does not read `HF_TOKEN`, `HF_HUB_CACHE` or `HF_HUB_OFFLINE` (`api/sync.rs`, `ApiBuilder::from_env`);
//! - it sends the access token to whatever host a file is redirected to (`Api::metadata`, `self.client.get(location)`);
//! - it appends whatever a server answers to a range request, without a look at status or `Content-Range`
//!   (`download_from`), and after a failed retry appends at the wrong place (`stream_position` of a file opened for
//!   appending is 0 before the first write, `download_tempfile`);
//! - it verifies neither size nor checksum, and syncs nothing before renaming (`download_with_progress`);
//! - it uses headers of the server as file names without a look at them (`blob_path`, `pointer_path`), and panics where
//!   one is missing (`expect("location header in redirect")`).
//!
//! | variable | what it sets | without it |
//! | --- | --- | --- |
//! | `HF_HOME` | the folder of cache and token | `$XDG_CACHE_HOME/huggingface`, or `~/.cache/huggingface` |
//! | `HF_HUB_CACHE` | the cache | `$HF_HOME/hub` |
//! | `HF_TOKEN` | the access token | the file `$HF_TOKEN_PATH`, or `$HF_HOME/token`; nobody if there is none |
//! | `HF_ENDPOINT` | the hub, or a mirror of it | `https://huggingface.co` |
//! | `HF_HUB_OFFLINE` | `1`: ask no server | ask for what is not in the cache |

mod cache;
mod error;
mod name;

use std::fs;
use std::path::{Path, PathBuf};

use artifacts::atomic;
use fetch::{Authorization, Checksum, Client, Environment, ExpectedFile, Request, ResponseHead, Url};

use cache::Cache;
pub use error::Error;
use error::Question;
pub use name::Name;

const HUB: &str = "https://huggingface.co";

/// The local path of `hf:owner/repo[/file][@revision]`, fetched if it is not in the cache.
///
/// # Errors
/// The name is not one, or the file cannot be had; the error says what to do.
pub fn resolve(source: &str) -> Result<PathBuf, Error> {
    let name: Name = source.parse()?;
    Hub::of_process(&name)?.resolve(&name)
}

/// The bytes that [`resolve`] would download: 0 if the file is in the cache, `None` if the hub does not say.
///
/// # Errors
/// Those of [`resolve`].
pub fn size(source: &str) -> Result<Option<u64>, Error> {
    let name: Name = source.parse()?;
    Hub::of_process(&name)?.size(&name)
}

/// A hub as the environment describes it.
#[derive(Debug)]
pub struct Hub {
    client: Client,
    cache: Cache,
    endpoint: Url,
    authorization: Option<Authorization>,
    offline: bool,
}

/// What the hub says of a file.
struct Metadata {
    /// The commit that the revision stands for.
    commit: String,
    /// Identifies the content: the SHA-256 of a large file, or git's hash of a small one.
    etag: String,
    bytes: Option<u64>,
}

impl Hub {
    /// The hub of this process's environment, which shows the download of `name` on standard error.
    fn of_process(name: &Name) -> Result<Hub, Error> {
        let environment = Environment::from_process();
        let client = Client::from_environment(&environment).map_err(Error::Client)?;
        Hub::new(&environment, client.with_observer(fetch::progress_observer(name.to_string())))
    }

    /// The hub of an environment.
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

    /// The file's path in the cache, fetched if it is not there.
    ///
    /// A file that is in the cache is not asked for again, even if its revision is a branch that has moved on: a run is
    /// repeatable, and works without network. Removing it from the cache, or naming a commit, gets another.
    ///
    /// # Errors
    /// The file cannot be had.
    pub fn resolve(&self, name: &Name) -> Result<PathBuf, Error> {
        if let Some(path) = self.cached(name) {
            return Ok(path);
        }
        let metadata = self.metadata(name)?;
        let expected = ExpectedFile { bytes: metadata.bytes, checksum: Checksum::sha256_from_hex(&metadata.etag) };
        let blob = self.cache.blob(name, &metadata.etag);
        if blob.exists() && !is_sound(&blob, &expected) {
            atomic::remove_file(&blob)?;
        }
        let request = self.request(name, &metadata.commit);
        self.client.download(&request, &blob, &expected).map_err(|e| self.failed(name, e))?;
        self.cache.link(name, &metadata.commit, &blob)
    }

    /// The file's path, if it is in the cache.
    pub fn cached(&self, name: &Name) -> Option<PathBuf> {
        self.cache.get(name)
    }

    /// The bytes that [`Hub::resolve`] would download: 0 if the file is in the cache, `None` if the hub does not say.
    ///
    /// # Errors
    /// Those of [`Hub::resolve`].
    pub fn size(&self, name: &Name) -> Result<Option<u64>, Error> {
        if self.cached(name).is_some() { Ok(Some(0)) } else { Ok(self.metadata(name)?.bytes) }
    }

    fn metadata(&self, name: &Name) -> Result<Metadata, Error> {
        if self.offline {
            return Err(Error::Offline { name: name.clone(), cache: self.cache.folder().to_owned() });
        }
        let head = self.client.head(&self.request(name, &name.revision)).map_err(|e| self.failed(name, e))?;
        metadata(&head).map_err(|reason| Error::NotAHub { endpoint: self.endpoint.to_string(), reason })
    }

    fn request(&self, name: &Name, revision: &str) -> Request {
        let segments = name.repository.split('/').chain(["resolve", revision]).chain(name.file.split('/'));
        Request { url: self.endpoint.join_segments(segments), authorization: self.authorization.clone() }
    }

    fn failed(&self, name: &Name, source: fetch::Error) -> Error {
        let page = self.endpoint.join_segments(name.repository.split('/')).to_string();
        Error::of_fetch(Question { name, page, with_token: self.authorization.is_some() }, source)
    }
}

/// Reads the headers of a file (<https://huggingface.co/docs/huggingface_hub/package_reference/file_download>). They
/// become names in the cache, so nothing but plain names is let through.
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
    // The length of a redirect is that of its own body.
    let own = head.length().filter(|_| head.status() == 200);
    Ok(Metadata { commit: commit.to_owned(), etag: etag.to_owned(), bytes: linked.or(own) })
}

/// Whether a file that lies in the cache without being linked is what its name says.
fn is_sound(blob: &Path, expected: &ExpectedFile) -> bool {
    let size_fits = expected.bytes.is_none_or(|bytes| blob.metadata().is_ok_and(|meta| meta.len() == bytes));
    size_fits && expected.checksum.is_none_or(|wanted| wanted.recompute(blob).is_ok_and(|actual| actual == wanted))
}

fn token(environment: &Environment, home: Option<&Path>) -> Option<String> {
    let given = environment.get("HF_TOKEN").map(str::to_owned);
    let token = given.or_else(|| {
        let path = environment.path("HF_TOKEN_PATH").or_else(|| Some(home?.join("token")))?;
        fs::read_to_string(path).ok()
    })?;
    let token = token.trim();
    (!token.is_empty()).then(|| token.to_owned())
}

/// What `huggingface_hub` takes for true.
fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"].contains(&value.to_ascii_lowercase().as_str())
}
