//! Tests the client of the Hugging Face hub against a server on the loopback interface: requests, cache and faults.

use std::fs;
use std::path::{Path, PathBuf};

use fetch::{Checksum, Client, Environment, RetryPolicy};
use hub::{Error, Hub, Name};
use loopback::{Received, Reply, Server};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const TOKEN: &str = "hf_secret";

fn content() -> Vec<u8> {
    (0..1_500_000_usize).map(|i| (i.wrapping_mul(2_654_435_761) >> 9) as u8).collect()
}

fn sha256(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    Checksum::Sha256([0; 32]).recompute(file.path()).unwrap().to_string()
}

/// Starts a storage host, which serves `content` under an entity tag of its own.
fn storage(content: Vec<u8>) -> Server {
    Server::start(move |request, _| Reply::file(request, &content, "\"of-the-storage\""))
}

/// Starts a hub that redirects any file of `o/r` to `storage`, with the entity tag `etag`.
fn hub(storage: &Server, etag: String, bytes: usize) -> Server {
    let signed = format!("{}/object?Signature=secret", storage.url());
    Server::start(move |request, _| {
        if !request.path.starts_with("/o/r/resolve/") {
            return Reply::status(404).header("x-error-message", "Repository not found");
        }
        Reply::redirect(&signed)
            .header("x-repo-commit", COMMIT)
            .header("x-linked-etag", &format!("\"{etag}\""))
            .header("x-linked-size", &bytes.to_string())
            .header("etag", "\"of-the-redirect\"")
    })
}

fn good_hub(storage: &Server) -> Server {
    hub(storage, sha256(&content()), content().len())
}

/// A home folder with a cache.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Machine {
        Machine(tempfile::tempdir().unwrap())
    }

    fn cache(&self) -> PathBuf {
        self.0.path().join("hub")
    }

    fn repository(&self) -> PathBuf {
        self.cache().join("models--o--r")
    }

    fn client(&self, endpoint: &str, more: &[(&str, &str)]) -> Hub {
        let home = self.0.path().to_str().unwrap();
        let variables = [("HF_HOME", home), ("HF_ENDPOINT", endpoint), ("HF_TOKEN", TOKEN)];
        let environment = Environment::from_iter(variables.into_iter().chain(more.iter().copied()));
        Hub::new(&environment, Client::new(RetryPolicy::default().with_sleep(|_| {}))).unwrap()
    }

    fn hub(&self, server: &Server) -> Hub {
        self.client(&server.url(), &[])
    }

    fn offline(&self) -> Hub {
        self.client("http://127.0.0.1:9", &[("HF_HUB_OFFLINE", "1")])
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn blobs(machine: &Machine) -> Vec<String> {
    let Ok(entries) = fs::read_dir(machine.repository().join("blobs")) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn downloads_once_to_the_shared_cache_layout() {
    let storage = storage(content());
    let server = good_hub(&storage);
    let machine = Machine::new();
    let hub = machine.hub(&server);
    assert_eq!(hub.cached(&name("hf:o/r")), None);
    assert_eq!(hub.size(&name("hf:o/r")).unwrap(), Some(1_500_000));
    let path = hub.resolve(&name("hf:o/r")).unwrap();
    assert_eq!(path, machine.repository().join("snapshots").join(COMMIT).join("model.safetensors"));
    assert_eq!(fs::read(&path).unwrap(), content());
    assert_eq!(fs::read_to_string(machine.repository().join("refs/main")).unwrap(), COMMIT);
    assert_eq!(blobs(&machine), [sha256(&content())]);
    let requests = server.received().len();
    assert_eq!(hub.resolve(&name("hf:o/r")).unwrap(), path);
    assert_eq!(hub.size(&name("hf:o/r")).unwrap(), Some(0));
    assert_eq!(server.received().len(), requests, "a cached file must not be requested again");
    assert_eq!(machine.offline().resolve(&name("hf:o/r")).unwrap(), path);
    assert_eq!(machine.offline().resolve(&name(&format!("hf:o/r@{COMMIT}"))).unwrap(), path);
}

#[cfg(unix)]
#[test]
fn links_from_any_depth_point_to_one_blob() {
    let storage = storage(content());
    let server = good_hub(&storage);
    let machine = Machine::new();
    let hub = machine.hub(&server);
    for file in ["hf:o/r", "hf:o/r/a/b/c d.safetensors", "hf:o/r/model.safetensors@refs/pr/1"] {
        let path = hub.resolve(&name(file)).unwrap();
        assert!(fs::read_link(&path).unwrap().is_relative(), "{file}");
        assert_eq!(fs::read(&path).unwrap(), content(), "{file}");
    }
    assert_eq!(blobs(&machine).len(), 1);
    assert_eq!(fs::read_to_string(machine.repository().join("refs/refs/pr/1")).unwrap(), COMMIT);
    let downloads = storage.received().iter().filter(|request| request.method == "GET").count();
    assert_eq!(downloads, 1);
    assert!(
        server.received().iter().any(|request| request.path == format!("/o/r/resolve/{COMMIT}/a/b/c%20d.safetensors")
            || request.path == "/o/r/resolve/main/a/b/c%20d.safetensors")
    );
    assert!(server.received().iter().any(|request| request.path == "/o/r/resolve/refs%2Fpr%2F1/model.safetensors"));
}

#[test]
fn sends_token_only_to_the_hub() {
    let storage = storage(content());
    let server = good_hub(&storage);
    let machine = Machine::new();
    machine.hub(&server).resolve(&name("hf:o/r")).unwrap();
    let with_token = |request: &Received| request.header("authorization") == Some("Bearer hf_secret");
    assert!(server.received().iter().all(with_token));
    assert!(!storage.received().is_empty());
    assert!(storage.received().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn reads_token_from_environment_or_home() {
    let server = Server::start(|_, _| Reply::status(401));
    let machine = Machine::new();
    let sent = |more: &[(&str, &str)]| {
        machine.client(&server.url(), more).resolve(&name("hf:o/r")).unwrap_err();
        server.received().last().unwrap().header("authorization").map(str::to_owned)
    };
    assert_eq!(sent(&[("HF_TOKEN", "")]), None);
    fs::write(machine.0.path().join("token"), "from-home\n").unwrap();
    assert_eq!(sent(&[("HF_TOKEN", "")]).as_deref(), Some("Bearer from-home"));
    let elsewhere = machine.0.path().join("other");
    fs::write(&elsewhere, "from-path").unwrap();
    let path = elsewhere.to_str().unwrap();
    assert_eq!(sent(&[("HF_TOKEN", ""), ("HF_TOKEN_PATH", path)]).as_deref(), Some("Bearer from-path"));
    assert_eq!(sent(&[("HF_TOKEN", "given"), ("HF_TOKEN_PATH", path)]).as_deref(), Some("Bearer given"));
}

#[test]
fn environment_sets_cache_folder() {
    let server = Server::start(|_, _| Reply::status(401));
    let dir = tempfile::tempdir().unwrap();
    let at = |relative: &str| dir.path().join(relative).to_str().unwrap().to_owned();
    let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    let cases = [
        (vec![(home, at("home"))], "home/.cache/huggingface/hub"),
        (vec![(home, at("home")), ("XDG_CACHE_HOME", at("xdg"))], "xdg/huggingface/hub"),
        (vec![(home, at("home")), ("HF_HOME", at("hf"))], "hf/hub"),
        (vec![(home, at("home")), ("HF_HOME", at("hf")), ("HF_HUB_CACHE", at("cache"))], "cache"),
    ];
    for (variables, expected) in cases {
        let snapshot = dir.path().join(expected).join("models--o--r").join("snapshots").join(COMMIT);
        fs::create_dir_all(&snapshot).unwrap();
        fs::write(snapshot.join("f"), "").unwrap();
        let variables = variables.into_iter().chain([("HF_ENDPOINT", server.url())]);
        let hub = Hub::new(&Environment::from_iter(variables), Client::default()).unwrap();
        let file = name(&format!("hf:o/r/f@{COMMIT}"));
        assert_eq!(hub.cached(&file), Some(snapshot.join("f")), "{expected}");
        fs::remove_dir_all(snapshot).unwrap();
    }
    let nowhere = Hub::new(&Environment::default(), Client::default()).unwrap_err();
    assert!(matches!(nowhere, Error::NoCache));
}

#[test]
fn offline_sends_no_request() {
    let machine = Machine::new();
    for value in ["1", "ON", "true", "Yes"] {
        let hub = machine.client("http://127.0.0.1:9", &[("HF_HUB_OFFLINE", value)]);
        let error = hub.resolve(&name("hf:o/r")).unwrap_err();
        assert!(matches!(error, Error::Offline { .. }), "{value}: {error:?}");
        let text = error.to_string();
        assert!(text.contains("HF_HUB_OFFLINE") && text.contains(machine.cache().to_str().unwrap()), "{text}");
    }
    let error = machine.client("http://127.0.0.1:9", &[("HF_HUB_OFFLINE", "0")]).resolve(&name("hf:o/r")).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("--weights"), "{error}");
}

#[test]
fn wrong_checksum_leaves_no_file() {
    let mut damaged = content();
    damaged[700_000] ^= 1;
    let storage = storage(damaged);
    let server = good_hub(&storage);
    let machine = Machine::new();
    let error = machine.hub(&server).resolve(&name("hf:o/r")).unwrap_err();
    let Error::Fetch { source, .. } = error else { panic!("{error:?}") };
    assert!(source.to_string().contains("SHA-256"), "{source}");
    assert_eq!(blobs(&machine), [""; 0]);
    assert_eq!(machine.offline().cached(&name("hf:o/r")), None);
}

#[test]
fn downloads_damaged_blob_again() {
    let storage = storage(content());
    let server = good_hub(&storage);
    let machine = Machine::new();
    fs::create_dir_all(machine.repository().join("blobs")).unwrap();
    for damage in [vec![0; content().len()], vec![1, 2, 3]] {
        fs::write(machine.repository().join("blobs").join(sha256(&content())), damage).unwrap();
        let path = machine.hub(&server).resolve(&name("hf:o/r")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), content());
        fs::remove_file(path).unwrap();
    }
    // An intact blob is used without a download.
    machine.hub(&server).resolve(&name("hf:o/r")).unwrap();
    assert_eq!(storage.received().len(), 2);
}

#[test]
fn next_process_resumes_interrupted_download() {
    let data = content();
    let storage = Server::start(move |request, number| {
        let reply = Reply::file(request, &data, "\"s\"");
        if number == 0 {
            reply.cut_after(600_000)
        } else if number < 5 {
            Reply::status(500)
        } else {
            reply
        }
    });
    let server = good_hub(&storage);
    let machine = Machine::new();
    machine.hub(&server).resolve(&name("hf:o/r")).unwrap_err();
    assert_eq!(machine.offline().cached(&name("hf:o/r")), None);
    let path = machine.hub(&server).resolve(&name("hf:o/r")).unwrap();
    assert_eq!(fs::read(path).unwrap(), content());
    assert_eq!(storage.received().last().unwrap().range_start(), Some(600_000));
    assert_eq!(blobs(&machine), [sha256(&content())]);
}

#[test]
fn accepts_small_file_from_the_hub_itself() {
    let server = Server::start(|request, _| {
        let etag = "\"5f2a8f2d0c7f5a1c9d0c4f6a1b2c3d4e5f607182\"";
        Reply::file(request, b"{}", etag).header("x-repo-commit", COMMIT)
    });
    let machine = Machine::new();
    let path = machine.hub(&server).resolve(&name("hf:o/r/config.json")).unwrap();
    assert_eq!(fs::read_to_string(path).unwrap(), "{}");
    assert_eq!(blobs(&machine), ["5f2a8f2d0c7f5a1c9d0c4f6a1b2c3d4e5f607182"]);
}

#[test]
fn follows_renamed_repository() {
    let storage = storage(content());
    let signed = storage.url();
    let etag = sha256(&content());
    let server = Server::start(move |request, _| match request.path.strip_prefix("/o/r/") {
        Some(rest) => Reply::status(307).header("location", &format!("/new/name/{rest}")),
        None => Reply::redirect(&signed).header("x-repo-commit", COMMIT).header("x-linked-etag", &etag),
    });
    let machine = Machine::new();
    assert_eq!(fs::read(machine.hub(&server).resolve(&name("hf:o/r")).unwrap()).unwrap(), content());
}

#[test]
fn denial_suggests_what_to_do_without_showing_token() {
    for (status, expected) in [
        (401, "access token"),
        (403, "accept the terms"),
        (404, "check each part of the name"),
        (418, "failed to fetch"),
    ] {
        let server = Server::start(move |_, _| Reply::status(status).header("x-error-message", "as you like it"));
        let machine = Machine::new();
        let error = machine.hub(&server).resolve(&name("hf:o/r")).unwrap_err();
        let chain = format!("{error} {} {error:?}", std::error::Error::source(&error).unwrap());
        assert!(chain.contains(expected) && chain.contains("as you like it"), "{chain}");
        assert!(!chain.contains(TOKEN), "{chain}");
        assert_eq!(server.received().len(), 1);
    }
}

#[test]
fn retries_transient_faults() {
    let storage = storage(content());
    let signed = storage.url();
    let etag = sha256(&content());
    let server = Server::start(move |_, number| match number {
        0 => Reply::status(429).header("retry-after", "1"),
        1 => Reply::status(502),
        _ => Reply::redirect(&signed).header("x-repo-commit", COMMIT).header("x-linked-etag", &etag),
    });
    Machine::new().hub(&server).resolve(&name("hf:o/r")).unwrap();
}

#[test]
fn rejects_headers_that_are_not_plain_names() {
    let hostile = [
        ("x-repo-commit", "../../../../outside"),
        ("x-repo-commit", "main"),
        ("x-linked-etag", "../../../outside"),
        ("x-linked-etag", "/outside"),
        ("x-linked-etag", ""),
    ];
    for (header, value) in hostile {
        let server = Server::start(move |_, _| {
            Reply::redirect("http://127.0.0.1:9/")
                .header("x-repo-commit", COMMIT)
                .header("x-linked-etag", "abc")
                .replace_header(header, value)
        });
        let machine = Machine::new();
        let error = machine.hub(&server).resolve(&name("hf:o/r")).unwrap_err();
        assert!(matches!(error, Error::NotAHub { .. }), "{header} {value}: {error:?}");
        assert!(!machine.cache().exists());
    }
    let server = Server::start(|_, _| Reply::status(200));
    let error = Machine::new().hub(&server).resolve(&name("hf:o/r")).unwrap_err();
    assert!(error.to_string().contains("HF_ENDPOINT"), "{error}");
}

#[test]
fn names_unwritable_cache() {
    let storage = storage(content());
    let server = good_hub(&storage);
    let machine = Machine::new();
    fs::write(machine.cache(), "a file where the folder should be").unwrap();
    let error = machine.hub(&server).resolve(&name("hf:o/r")).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains(machine.cache().to_str().unwrap()), "{source}");
    assert!(Path::new(&machine.cache()).is_file());
}
