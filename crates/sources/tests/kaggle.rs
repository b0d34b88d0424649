//! The Kaggle client against a local server: versions, cache, credentials and faults.

use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};

use fetch::{Checksum, Client, Environment, RetryPolicy};
use loopback::{Received, Reply, Server};
use sources::kaggle::{Dataset, Error, Kaggle, Local};

/// The first bytes of a zip archive, followed by bytes that do not repeat, so that a part at a wrong offset is
/// detected.
fn archive() -> Vec<u8> {
    let bytes = (0..1_400_000_usize).map(|i| (i.wrapping_mul(2_654_435_761) >> 9) as u8);
    b"PK\x03\x04".iter().copied().chain(bytes).collect()
}

/// Returns the value of `x-goog-hash` that Google Cloud Storage sends for composite objects.
fn goog_hash(content: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), content).unwrap();
    let Checksum::Crc32c(value) = Checksum::Crc32c(0).recompute(file.path()).unwrap() else { panic!() };
    format!("crc32c={}", base64(value.to_be_bytes()))
}

fn base64(bytes: [u8; 4]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = u64::from(u32::from_be_bytes(bytes)) << 4;
    (0..6).rev().map(|i| char::from(ALPHABET[(bits >> (6 * i)) as usize & 63])).chain("==".chars()).collect()
}

/// A server that behaves like Google Cloud Storage. `fault` changes the reply to the request of the given number.
fn storage(fault: impl Fn(Reply, usize) -> Reply + Send + Sync + 'static) -> Server {
    let content = archive();
    let hash = goog_hash(&content);
    Server::start(move |request, number| {
        assert_eq!(request.path, "/bucket/archive.zip");
        fault(Reply::file(request, &content, "\"generation-1\"").header("x-goog-hash", &hash), number)
    })
}

/// A server that behaves like Kaggle. Version 3 of `o/s` is in `storage`.
fn kaggle(storage: &Server) -> Server {
    let signed = format!("{}/bucket/archive.zip?X-Goog-Signature=secret", storage.url());
    Server::start(move |request, _| match request.path.as_str() {
        "/api/v1/datasets/view/o/s" => {
            Reply::json(r#"{"id": 7, "ref": "o/s", "currentVersionNumber": 3, "totalBytes": 99}"#)
        }
        "/api/v1/datasets/download/o/s" if request.query == "dataset_version_number=3" => Reply::redirect(&signed),
        _ => Reply::status(404).body(r#"{"code": 404, "message": "Not found"}"#),
    })
}

/// A temporary home folder with the cache of kagglehub.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Machine {
        Machine(tempfile::tempdir().unwrap())
    }

    fn home(&self) -> &Path {
        self.0.path()
    }

    fn cache(&self) -> PathBuf {
        self.home().join(".cache/kagglehub/datasets/o/s")
    }

    fn try_client(&self, server: &str, more: &[(&str, &str)]) -> Result<Kaggle, Error> {
        let home = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
        let variables = [(home, self.home().to_str().unwrap()), ("KAGGLE_API_ENDPOINT", server)];
        let environment = Environment::from_iter(variables.into_iter().chain(more.iter().copied()));
        Kaggle::new(&environment, Client::new(RetryPolicy::default().with_sleep(|_| {})))
    }

    fn client(&self, server: &Server) -> Kaggle {
        self.try_client(&server.url(), &[]).unwrap()
    }

    fn without_network(&self) -> Kaggle {
        self.try_client("http://127.0.0.1:9", &[]).unwrap()
    }

    /// The names of the files in the cache of `o/s`.
    fn cached_files(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.cache()) else { return Vec::new() };
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn dataset(text: &str) -> Dataset {
    text.parse().unwrap()
}

#[test]
fn downloads_the_current_version_once_and_verifies_it() {
    let storage = storage(|reply, _| reply);
    let server = kaggle(&storage);
    let machine = Machine::new();
    let client = machine.client(&server);
    let description = client.describe(&dataset("kaggle:o/s")).unwrap();
    assert_eq!((description.dataset.to_string().as_str(), description.bytes), ("kaggle:o/s@3", Some(1_400_004)));
    assert!(machine.cached_files().is_empty(), "a description downloads nothing");
    let local = client.fetch(&dataset("kaggle:o/s")).unwrap();
    assert_eq!(local, Local { version: 3, path: machine.cache().join("3.zip") });
    assert_eq!(fs::read(&local.path).unwrap(), archive());
    assert_eq!(machine.cached_files(), ["3.zip"]);
    let requests = server.received().len();
    for name in ["o/s", "o/s@3"] {
        assert_eq!(client.fetch(&dataset(name)).unwrap(), local);
        assert_eq!(machine.without_network().cached(&dataset(name)), Some(local.clone()));
        assert_eq!(client.describe(&dataset(name)).unwrap().bytes, Some(0));
    }
    assert_eq!(server.received().len(), requests, "a cached data set needs no request");
}

#[test]
fn uses_the_cache_of_kagglehub() {
    let machine = Machine::new();
    let client = machine.without_network();
    for version in [2, 10, 11] {
        fs::create_dir_all(machine.cache().join(format!("versions/{version}"))).unwrap();
    }
    assert_eq!(client.cached(&dataset("o/s@2")), None, "a version without its marker is incomplete");
    for name in ["2.complete", "10.complete", "12.complete", "junk.complete", "99999999999.zip", "011.zip"] {
        fs::write(machine.cache().join(name), "").unwrap();
    }
    let local = |version: u32| Some(Local { version, path: machine.cache().join(format!("versions/{version}")) });
    assert_eq!(client.cached(&dataset("o/s@2")), local(2));
    assert_eq!(client.cached(&dataset("o/s")), local(10), "the newest complete version, by number");
    assert_eq!(client.fetch(&dataset("o/s")).unwrap(), local(10).unwrap());
    assert_eq!(
        client.pinned(&dataset("o/s")).unwrap(),
        dataset("o/s@10"),
        "a newer version must change the fingerprint"
    );
    assert_eq!(client.cached(&dataset("o/s@11")), None);
    assert_eq!(client.cached(&dataset("o/s@12")), None, "a marker without its version is ignored");
    assert_eq!(client.cached(&dataset("o/other")), None);
    let elsewhere = machine.home().join("elsewhere");
    let moved = [("KAGGLEHUB_CACHE", elsewhere.to_str().unwrap())];
    assert_eq!(machine.try_client("http://127.0.0.1:9", &moved).unwrap().cached(&dataset("o/s")), None);
}

#[test]
fn resumes_an_interrupted_download_with_a_new_redirect() {
    let storage = storage(|reply, number| if number < 2 { reply.cut_after(500_000) } else { reply });
    let server = kaggle(&storage);
    let machine = Machine::new();
    let local = machine.client(&server).fetch(&dataset("o/s")).unwrap();
    assert_eq!(fs::read(local.path).unwrap(), archive());
    let starts: Vec<_> = storage.received().iter().map(Received::range_start).collect();
    assert_eq!(starts, [None, Some(500_000), Some(1_000_000)]);
    // Signed URLs expire, so each attempt needs a new one.
    assert_eq!(server.received().iter().filter(|request| request.path.contains("download")).count(), 3);
}

#[test]
fn keeps_a_partial_download_for_the_next_run() {
    let storage = storage(|reply, number| match number {
        0 => reply.cut_after(900_000),
        1..=4 => Reply::status(503),
        _ => reply,
    });
    let server = kaggle(&storage);
    let machine = Machine::new();
    let error = machine.client(&server).fetch(&dataset("o/s")).unwrap_err();
    assert!(matches!(error, Error::Fetch { .. }), "{error:?}");
    assert_eq!(machine.cached_files(), ["3.zip.part", "3.zip.part.json"]);
    assert_eq!(machine.without_network().cached(&dataset("o/s")), None, "a partial download is not a data set");
    machine.client(&server).fetch(&dataset("o/s")).unwrap();
    assert_eq!(storage.received().last().unwrap().range_start(), Some(900_000));
    assert_eq!(machine.cached_files(), ["3.zip"]);
}

#[test]
fn rejects_responses_with_wrong_ranges() {
    let storage = storage(|reply, number| match number {
        0 => reply.cut_after(500_000),
        1 => reply.replace_header("content-range", "bytes 0-1400003/1400004"),
        _ => reply,
    });
    let server = kaggle(&storage);
    let machine = Machine::new();
    let local = machine.client(&server).fetch(&dataset("o/s")).unwrap();
    assert_eq!(fs::read(local.path).unwrap(), archive());
    assert_eq!(storage.received().last().unwrap().range_start(), None);
}

#[test]
fn removes_a_download_with_a_wrong_checksum() {
    let storage = storage(|reply, _| reply.replace_header("x-goog-hash", "crc32c=AAAAAA=="));
    let server = kaggle(&storage);
    let machine = Machine::new();
    let error = machine.client(&server).fetch(&dataset("o/s")).unwrap_err();
    assert!(error.source().unwrap().to_string().contains("CRC-32C"), "{error:?}");
    assert!(machine.cached_files().is_empty());
}

#[test]
fn removes_a_download_that_is_not_an_archive() {
    let server = Server::start(|request, _| match request.path.contains("view") {
        true => Reply::json(r#"{"currentVersionNumber": 3}"#),
        false => Reply::status(200).body("<html>log in</html>"),
    });
    let machine = Machine::new();
    let error = machine.client(&server).fetch(&dataset("o/s")).unwrap_err();
    assert!(matches!(error, Error::NotAZip { .. }), "{error:?}");
    assert!(machine.cached_files().is_empty());
}

#[test]
fn finds_credentials_in_the_order_of_kagglehub() {
    let server = Server::start(|_, _| Reply::status(403));
    let machine = Machine::new();
    let folder = machine.home().join(".kaggle");
    fs::create_dir_all(&folder).unwrap();
    let sent = |more: &[(&str, &str)]| {
        let client = machine.try_client(&server.url(), more).unwrap();
        let error = client.fetch(&dataset("o/s@3")).unwrap_err();
        let header = server.received().last().unwrap().header("authorization").map(str::to_owned);
        (header.unwrap_or_default(), error.to_string())
    };
    let basic_env = [("KAGGLE_USERNAME", "u"), ("KAGGLE_KEY", "k")];

    let (header, text) = sent(&[]);
    assert_eq!(header, "");
    assert!(text.contains("without credentials (there are none in KAGGLE_API_TOKEN"), "{text}");

    fs::write(folder.join("kaggle.json"), r#"{"username": "j", "key": "k"}"#).unwrap();
    let (header, text) = sent(&[]);
    assert_eq!(header, "Basic ajpr", "j:k");
    assert!(text.contains("kaggle.json") && text.contains("https://www.kaggle.com/settings"), "{text}");
    assert!(text.contains("/datasets/o/s"), "the page to accept the licence on: {text}");

    let other = machine.home().join("other");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("kaggle.json"), r#"{"username": "o", "key": "k", "more": 1}"#).unwrap();
    let other_dir = ("KAGGLE_CONFIG_DIR", other.to_str().unwrap());
    assert_eq!(sent(&[other_dir]).0, "Basic bzpr", "o:k");

    assert_eq!(sent(&[other_dir, basic_env[0]]).0, "Basic bzpr", "a user name without a key is ignored");
    assert_eq!(sent(&[other_dir, basic_env[0], basic_env[1]]).0, "Basic dTpr", "u:k");

    fs::write(folder.join("access_token.txt"), "stored-txt\n").unwrap();
    assert_eq!(sent(&basic_env).0, "Bearer stored-txt");
    fs::write(folder.join("access_token"), "stored").unwrap();
    assert_eq!(sent(&basic_env).0, "Bearer stored");

    let (header, text) = sent(&[("KAGGLE_API_TOKEN", "given")]);
    assert_eq!(header, "Bearer given");
    assert!(text.contains("with the credentials in KAGGLE_API_TOKEN") && !text.contains("given;"), "{text}");
    let file = machine.home().join("token");
    fs::write(&file, "from-file\n").unwrap();
    let path = file.to_str().unwrap();
    assert_eq!(sent(&[("KAGGLE_API_TOKEN", path)]).0, "Bearer from-file");

    let notebook =
        [("KAGGLE_KERNEL_RUN_TYPE", "Interactive"), ("KAGGLE_DATA_PROXY_URL", "x"), ("KAGGLE_API_V1_TOKEN", path)];
    assert_eq!(sent(&[notebook[0], notebook[1], notebook[2], ("KAGGLE_API_TOKEN", "given")]).0, "Bearer from-file");
    assert_eq!(sent(&[notebook[2], ("KAGGLE_API_TOKEN", "given")]).0, "Bearer given", "only in a notebook");
}

#[test]
fn error_of_an_invalid_kaggle_json_does_not_quote_it() {
    let machine = Machine::new();
    fs::create_dir_all(machine.home().join(".kaggle")).unwrap();
    for text in ["{\"username\": \"u\",\n\"key\": hunter2}", "", "\"hunter2\"", "{\"username\": \"hunter2\"}"] {
        fs::write(machine.home().join(".kaggle/kaggle.json"), text).unwrap();
        let error = machine.without_network().fetch(&dataset("o/s")).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("kaggle.json") && !shown.contains("hunter2"), "{shown}");
    }
    // A cached data set needs no credentials.
    fs::create_dir_all(machine.cache()).unwrap();
    fs::write(machine.cache().join("4.zip"), "").unwrap();
    assert_eq!(machine.without_network().fetch(&dataset("o/s")).unwrap().version, 4);
}

#[test]
fn credentials_are_not_sent_to_the_storage_or_printed() {
    let storage = storage(|reply, _| reply);
    let server = kaggle(&storage);
    let machine = Machine::new();
    let client = machine.try_client(&server.url(), &[("KAGGLE_API_TOKEN", "hunter2")]).unwrap();
    client.fetch(&dataset("o/s")).unwrap();
    assert!(server.received().iter().all(|request| request.header("authorization") == Some("Bearer hunter2")));
    assert!(!storage.received().is_empty());
    assert!(storage.received().iter().all(|request| request.header("authorization").is_none()));
    assert!(!format!("{client:?}").contains("hunter2"));
}

#[test]
fn errors_of_denied_requests_give_advice() {
    let cases = [(401, "create an access token"), (403, "accept the licence"), (404, "check owner, name and version")];
    for (status, expected) in cases {
        let server = Server::start(move |_, _| Reply::status(status).body(r#"{"message": "reason given by Kaggle"}"#));
        let client = Machine::new().client(&server);
        for error in [client.fetch(&dataset("o/s")).unwrap_err(), client.describe(&dataset("o/s@3")).unwrap_err()] {
            assert!(error.to_string().contains(expected), "{error}");
            assert!(error.source().unwrap().to_string().contains("reason given by Kaggle"), "{error:?}");
        }
        assert_eq!(server.received().len(), 2, "a denied request is not repeated");
    }
}

#[test]
fn retries_temporary_faults_and_gives_up_on_lasting_ones() {
    let storage = storage(|reply, number| if number == 0 { Reply::status(500) } else { reply });
    let server = {
        let inner = kaggle(&storage);
        let address = inner.url();
        (
            inner,
            Server::start(move |request, number| match number {
                0 => Reply::status(429).header("retry-after", "2"),
                _ => Reply::redirect(&format!("{address}{}?{}", request.path, request.query)),
            }),
        )
    };
    assert_eq!(Machine::new().client(&server.1).fetch(&dataset("o/s")).unwrap().version, 3);

    let overloaded = Server::start(|_, _| Reply::status(429));
    let error = Machine::new().client(&overloaded).fetch(&dataset("o/s")).unwrap_err();
    assert!(error.source().unwrap().to_string().contains("gave up after 5 attempts"), "{error:?}");
    assert_eq!(overloaded.received().len(), 5);
}

#[test]
fn error_without_network_gives_advice() {
    let machine = Machine::new();
    for error in [machine.without_network().fetch(&dataset("o/s")), machine.without_network().fetch(&dataset("o/s@3"))]
    {
        let error = error.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        assert!(error.to_string().contains("--data"), "{error}");
    }
}

#[test]
fn rejects_responses_of_other_servers() {
    for body in ["<html>", "{}", r#"{"currentVersionNumber": null}"#, r#"{"currentVersionNumber": "../../x"}"#] {
        let server = Server::start(move |_, _| Reply::json(body));
        let machine = Machine::new();
        let error = machine.client(&server).fetch(&dataset("o/s")).unwrap_err();
        assert!(matches!(error, Error::Fetch { .. }), "{body}: {error:?}");
        assert!(machine.cached_files().is_empty());
    }
}

#[test]
fn error_names_a_cache_that_cannot_be_created() {
    let storage = storage(|reply, _| reply);
    let server = kaggle(&storage);
    let machine = Machine::new();
    fs::create_dir_all(machine.cache().parent().unwrap()).unwrap();
    fs::write(machine.cache(), "a file where the folder should be").unwrap();
    let error = machine.client(&server).fetch(&dataset("o/s")).unwrap_err();
    assert!(error.source().unwrap().to_string().contains(machine.cache().to_str().unwrap()), "{error:?}");
}
