//! Downloads from a server on the loopback interface that simulates network faults.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fetch::{Checksum, Client, DownloadedFile, Error, Event, ExpectedFile, FileKind, Request, RetryPolicy, Url};
use loopback::{Received, Reply, Server};

const ETAG: &str = "\"v1\"";

/// Returns bytes that do not repeat, so that bytes at a wrong offset are noticed.
fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 7) as u8).collect()
}

fn md5_header(content: &[u8]) -> String {
    use base64::Engine;
    use md5::Digest;
    format!("crc32c=AAAAAA==,md5={}", base64::prelude::BASE64_STANDARD.encode(md5::Md5::digest(content)))
}

/// A client that records its events and the waits before retries, and does not sleep.
struct RecordingClient {
    client: Client,
    waits: Arc<Mutex<Vec<Duration>>>,
    events: Arc<Mutex<Vec<String>>>,
}

fn recording_client() -> RecordingClient {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let events = Arc::new(Mutex::new(Vec::new()));
    let (recorded_waits, recorded_events) = (waits.clone(), events.clone());
    let client = Client::new(RetryPolicy::default().with_sleep(move |wait| recorded_waits.lock().unwrap().push(wait)));
    let client = client.with_observer(move |event| {
        if !matches!(event, Event::Received { .. }) {
            recorded_events.lock().unwrap().push(format!("{event:?}"));
        }
    });
    RecordingClient { client, waits, events }
}

impl RecordingClient {
    fn download(&self, server: &Server, target: &Path) -> fetch::Result<DownloadedFile> {
        self.client.download(&request(server), target, &ExpectedFile::default())
    }

    /// The number of events whose `Debug` form contains `word`.
    fn count_events(&self, word: &str) -> usize {
        self.events.lock().unwrap().iter().filter(|event| event.contains(word)).count()
    }
}

fn request(server: &Server) -> Request {
    Url::parse(&format!("{}/file", server.url())).unwrap().into()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn target(&self) -> PathBuf {
        self.0.path().join("sub").join("file.zip")
    }

    fn names(&self) -> Vec<String> {
        let dir = self.0.path().join("sub");
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn downloads_and_verifies_file() {
    let data = content(3_000_000);
    let served = data.clone();
    let server = Server::start(move |request, _| {
        Reply::file(request, &served, ETAG).header("x-goog-hash", &md5_header(&served))
    });
    let folder = Folder::new();
    let client = recording_client();
    let done = client.download(&server, &folder.target()).unwrap();
    assert_eq!((done.bytes, done.verified.unwrap().algorithm()), (3_000_000, "MD5"));
    assert_eq!(fs::read(folder.target()).unwrap(), data);
    assert_eq!(folder.names(), ["file.zip"]);
    let received = server.received();
    assert_eq!(received[0].header("accept-encoding"), Some("identity"));
    // A second call finds the file and sends no request.
    client.download(&server, &folder.target()).unwrap();
    assert_eq!(server.received().len(), 1);
}

#[test]
fn resumes_after_lost_connection() {
    let data = content(2_500_000);
    let served = data.clone();
    let server = Server::start(move |request, number| {
        let reply = Reply::file(request, &served, ETAG).header("x-goog-hash", &md5_header(&served));
        if number < 3 { reply.cut_after(700_000) } else { reply }
    });
    let folder = Folder::new();
    let client = recording_client();
    client.download(&server, &folder.target()).unwrap();
    assert_eq!(fs::read(folder.target()).unwrap(), data);
    let starts: Vec<Option<usize>> = server.received().iter().map(Received::range_start).collect();
    assert_eq!(starts, [None, Some(700_000), Some(1_400_000), Some(2_100_000)]);
    assert!(server.received()[1..].iter().all(|request| request.header("if-range") == Some(ETAG)));
    assert_eq!(client.waits.lock().unwrap().len(), 3);
}

#[test]
fn progress_resets_count_of_failures() {
    let data = content(12_000_000);
    let served = data.clone();
    let server = Server::start(move |request, number| {
        let reply = Reply::file(request, &served, ETAG);
        if number < 9 { reply.cut_after(1_200_000) } else { reply }
    });
    let folder = Folder::new();
    recording_client().download(&server, &folder.target()).unwrap();
    assert_eq!(fs::read(folder.target()).unwrap(), data);
    assert_eq!(server.received().len(), 10, "more failures than the limit of consecutive failures");
}

#[test]
fn resumes_partial_file_of_earlier_call() {
    let data = content(1_000_000);
    let served = data.clone();
    let server = Server::start(move |request, number| {
        let reply = Reply::file(request, &served, ETAG);
        if number == 0 {
            reply.cut_after(400_000)
        } else if number < 5 {
            Reply::status(503)
        } else {
            reply
        }
    });
    let folder = Folder::new();
    let error = recording_client().download(&server, &folder.target()).unwrap_err();
    assert_eq!(error.status(), Some(503), "{error:?}");
    assert_eq!(folder.names(), ["file.zip.part", "file.zip.part.json"]);
    recording_client().download(&server, &folder.target()).unwrap();
    assert_eq!(fs::read(folder.target()).unwrap(), data);
    assert_eq!(server.received()[5].range_start(), Some(400_000));
    assert_eq!(folder.names(), ["file.zip"]);
}

#[test]
fn restarts_after_wrong_content_range() {
    let data = content(1_000_000);
    for wrong in [
        "bytes 0-599999/1000000",
        "bytes 400001-999999/1000000",
        "bytes 400000-899999/1000000",
        "nonsense",
        "bytes 400000-999999/1000001",
    ] {
        let served = data.clone();
        let server = Server::start(move |request, number| {
            let reply = Reply::file(request, &served, ETAG);
            match number {
                0 => reply.cut_after(400_000),
                1 => reply.replace_header("content-range", wrong),
                _ => reply,
            }
        });
        let folder = Folder::new();
        let client = recording_client();
        client.download(&server, &folder.target()).unwrap();
        assert_eq!(fs::read(folder.target()).unwrap(), data, "{wrong}");
        assert_eq!(server.received()[2].range_start(), None, "{wrong}");
        assert_eq!(client.count_events("Restarting"), 1, "{wrong}");
    }
}

#[test]
fn restarts_if_server_ignores_ranges() {
    let data = content(1_000_000);
    let served = data.clone();
    let server = Server::start(move |_, number| {
        let reply = Reply::status(200).header("etag", ETAG).body(&served);
        if number == 0 { reply.cut_after(400_000) } else { reply }
    });
    let folder = Folder::new();
    recording_client().download(&server, &folder.target()).unwrap();
    assert_eq!(fs::read(folder.target()).unwrap(), data);
    assert_eq!(server.received()[1].range_start(), Some(400_000));
}

#[test]
fn restarts_if_file_changes_between_attempts() {
    let (old, new) = (content(1_000_000), content(1_100_000).split_off(100_000));
    // One server honours If-Range. The other ignores it, but its entity tag reveals the change.
    for honours_if_range in [true, false] {
        let (before, after) = (old.clone(), new.clone());
        let server = Server::start(move |request, number| match number {
            0 => Reply::file(request, &before, ETAG).cut_after(400_000),
            _ => {
                let mut request = request.clone();
                if !honours_if_range {
                    request.headers.remove("if-range");
                }
                Reply::file(&request, &after, "\"v2\"")
            }
        });
        let folder = Folder::new();
        recording_client().download(&server, &folder.target()).unwrap();
        assert_eq!(fs::read(folder.target()).unwrap(), new, "honours If-Range: {honours_if_range}");
    }
}

#[test]
fn does_not_resume_without_strong_validator() {
    let data = content(500_000);
    for tag in ["W/\"weak\"", "unquoted"] {
        let served = data.clone();
        let server = Server::start(move |request, number| {
            let reply = Reply::file(request, &served, ETAG).replace_header("etag", tag);
            if number == 0 { reply.cut_after(400_000) } else { reply }
        });
        let folder = Folder::new();
        recording_client().download(&server, &folder.target()).unwrap();
        assert_eq!(fs::read(folder.target()).unwrap(), data);
        assert_eq!(server.received()[1].range_start(), None);
    }
}

#[test]
fn removes_file_with_wrong_checksum() {
    let data = content(300_000);
    let server =
        Server::start(move |request, _| Reply::file(request, &data, ETAG).header("x-goog-hash", &md5_header(b"other")));
    let folder = Folder::new();
    let error = recording_client().download(&server, &folder.target()).unwrap_err();
    assert!(
        matches!(&error, Error::ChecksumMismatch { expected, .. } if matches!(**expected, Checksum::Md5(_))),
        "{error:?}"
    );
    assert_eq!(folder.names(), [""; 0]);
    assert_eq!(server.received().len(), 1, "a file that arrived in one response is not requested again");
}

#[test]
fn expected_checksum_takes_precedence() {
    let data = content(300_000);
    let server =
        Server::start(move |request, _| Reply::file(request, &data, ETAG).header("x-goog-hash", &md5_header(&data)));
    let folder = Folder::new();
    let expected = ExpectedFile { checksum: Some(Checksum::Sha256([7; 32])), ..ExpectedFile::default() };
    let error = recording_client().client.download(&request(&server), &folder.target(), &expected).unwrap_err();
    assert!(
        matches!(&error, Error::ChecksumMismatch { expected, .. } if matches!(**expected, Checksum::Sha256(_))),
        "{error:?}"
    );
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn restarts_if_partial_file_is_damaged() {
    let data = content(1_000_000);
    let served = data.clone();
    let server = Server::start(move |request, number| {
        let reply = Reply::file(request, &served, ETAG).header("x-goog-hash", &md5_header(&served));
        if number == 0 {
            reply.cut_after(400_000)
        } else if number < 5 {
            Reply::status(502)
        } else {
            reply
        }
    });
    let folder = Folder::new();
    recording_client().download(&server, &folder.target()).unwrap_err();
    let part = folder.target().with_file_name("file.zip.part");
    let mut bytes = fs::read(&part).unwrap();
    bytes[1000] ^= 1;
    fs::write(&part, bytes).unwrap();
    let client = recording_client();
    client.download(&server, &folder.target()).unwrap();
    assert_eq!(fs::read(folder.target()).unwrap(), data);
    assert_eq!(client.count_events("wrong checksum"), 1);
}

#[test]
fn drops_partial_file_without_valid_description() {
    let data = content(100_000);
    let served = data.clone();
    let server = Server::start(move |request, _| Reply::file(request, &served, ETAG));
    for description in [
        None,
        Some(""),
        Some("{\"validator\":3}"),
        Some("{\"validator\":\"\\\"v1\\\"\",\"total\":5,\"checksum\":null}"),
    ] {
        let folder = Folder::new();
        fs::create_dir_all(folder.target().parent().unwrap()).unwrap();
        fs::write(folder.target().with_file_name("file.zip.part"), content(50_001)).unwrap();
        if let Some(text) = description {
            fs::write(folder.target().with_file_name("file.zip.part.json"), text).unwrap();
        }
        recording_client().download(&server, &folder.target()).unwrap();
        assert_eq!(fs::read(folder.target()).unwrap(), data, "{description:?}");
        assert_eq!(folder.names(), ["file.zip"]);
    }
}

#[test]
fn honours_retry_after_and_backs_off() {
    let server = Server::start(|request, number| match number {
        0 => Reply::status(429).header("retry-after", "7"),
        1 | 2 => Reply::status(500),
        _ => Reply::file(request, b"content", ETAG),
    });
    let folder = Folder::new();
    let client = recording_client();
    client.download(&server, &folder.target()).unwrap();
    let waits = client.waits.lock().unwrap().clone();
    assert_eq!(waits[0], Duration::from_secs(7));
    assert!((0.5..=1.0).contains(&waits[1].as_secs_f64()), "{waits:?}");
    assert!((1.0..=2.0).contains(&waits[2].as_secs_f64()), "{waits:?}");
}

#[test]
fn gives_up_after_repeated_failures() {
    let server =
        Server::start(|_, _| Reply::status(503).header("content-type", "text/html").body("<html>secret page</html>"));
    let folder = Folder::new();
    let client = recording_client();
    let error = client.download(&server, &folder.target()).unwrap_err();
    assert!(matches!(error, Error::GaveUp { attempts: 5, .. }), "{error:?}");
    assert_eq!(error.status(), Some(503));
    assert_eq!(client.waits.lock().unwrap().len(), 4);
    // With a Retry-After above the limit, the client gives up at once.
    let server = Server::start(|_, _| Reply::status(429).header("retry-after", "86400"));
    let client = recording_client();
    assert_eq!(client.download(&server, &folder.target()).unwrap_err().status(), Some(429));
    assert!(client.waits.lock().unwrap().is_empty());
}

#[test]
fn does_not_retry_client_errors() {
    for status in [400, 401, 403, 404, 410] {
        let server = Server::start(move |_, _| Reply::status(status).body("{\"message\":\"no\\u001b[31m luck\"}"));
        let folder = Folder::new();
        let error = recording_client().download(&server, &folder.target()).unwrap_err();
        assert_eq!(error.status(), Some(status));
        assert!(error.to_string().ends_with(": no[31m luck"), "{error}");
        assert_eq!(folder.names(), [""; 0], "no temporary file is left");
        assert_eq!(server.received().len(), 1);
    }
}

#[test]
fn requires_length_or_checksum() {
    let data = content(100_000);
    let served = data.clone();
    let server = Server::start(move |_, _| Reply::status(200).body(&served).without_length());
    let folder = Folder::new();
    let error = recording_client().download(&server, &folder.target()).unwrap_err();
    assert!(error.to_string().contains("neither a length nor a checksum"), "{error}");
    let served = data.clone();
    let server = Server::start(move |_, _| {
        Reply::status(200).header("x-goog-hash", &md5_header(&served)).body(&served).without_length()
    });
    recording_client().download(&server, &folder.target()).unwrap();
    assert_eq!(fs::read(folder.target()).unwrap(), data);
}

#[test]
fn rejects_file_of_unexpected_size() {
    let server = Server::start(|request, _| Reply::file(request, b"content", ETAG));
    let folder = Folder::new();
    fs::create_dir_all(folder.target().parent().unwrap()).unwrap();
    fs::write(folder.target().with_file_name("file.zip.part"), "cont").unwrap();
    let description = r#"{"validator":"\"v1\"","total":7,"checksum":null}"#;
    fs::write(folder.target().with_file_name("file.zip.part.json"), description).unwrap();
    let expected = ExpectedFile { bytes: Some(8), ..ExpectedFile::default() };
    let error = recording_client().client.download(&request(&server), &folder.target(), &expected).unwrap_err();
    assert!(error.to_string().contains("7 bytes, but must have 8"), "{error}");
    assert_eq!(server.received()[0].range_start(), None);
}

#[test]
fn rejects_file_larger_than_free_space() {
    let server = Server::start(|_, _| Reply::status(200).header("content-length", "9000000000000000000").cut_after(0));
    let folder = Folder::new();
    let error = recording_client().download(&server, &folder.target()).unwrap_err();
    assert!(matches!(error, Error::NoSpace { needed: 9_000_000_000_000_000_000, .. }), "{error:?}");
}

#[test]
fn rejects_compressed_body() {
    for encoding in ["br", "gzip"] {
        let server = Server::start(move |_, _| Reply::status(200).header("content-encoding", encoding).body("abc"));
        let error = recording_client().download(&server, &Folder::new().target()).unwrap_err();
        assert!(error.to_string().contains(&format!("{encoding}-encoded")), "{error}");
    }
}

#[test]
fn concurrent_downloads_of_one_file_share_one_request() {
    let data = content(2_000_000);
    let served = data.clone();
    let server = Server::start(move |request, _| {
        std::thread::sleep(Duration::from_millis(100));
        Reply::file(request, &served, ETAG)
    });
    let folder = Folder::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| recording_client().download(&server, &folder.target()).unwrap());
        }
    });
    assert_eq!(fs::read(folder.target()).unwrap(), data);
    assert_eq!(server.received().len(), 1);
    assert_eq!(folder.names(), ["file.zip"]);
}

#[test]
fn names_folder_that_cannot_be_created() {
    let server = Server::start(|request, _| Reply::file(request, b"content", ETAG));
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = recording_client().download(&server, &dir.path().join("file").join("below")).unwrap_err();
    assert!(error.to_string().contains("failed to create"), "{error}");
    // A folder has the name of the partial file.
    fs::create_dir(dir.path().join("x.part")).unwrap();
    let error = recording_client().download(&server, &dir.path().join("x")).unwrap_err();
    assert!(error.to_string().contains("x.part"), "{error}");
    assert!(server.received().is_empty());
}

#[cfg(unix)]
#[test]
fn does_not_follow_links_at_temporary_names() {
    let server = Server::start(|request, _| Reply::file(request, b"content", ETAG));
    let folder = Folder::new();
    let outside = folder.0.path().join("outside");
    fs::write(&outside, "precious").unwrap();
    fs::create_dir_all(folder.target().parent().unwrap()).unwrap();
    for name in ["file.zip.part", "file.zip.part.json"] {
        std::os::unix::fs::symlink(&outside, folder.target().with_file_name(name)).unwrap();
    }
    recording_client().download(&server, &folder.target()).unwrap();
    assert_eq!(fs::read(folder.target()).unwrap(), b"content");
    assert_eq!(fs::read(&outside).unwrap(), b"precious");
}

#[test]
fn accepts_a_partial_file_that_turns_out_to_be_complete() {
    let data = content(100_000);
    for (total, requests) in [(100_000, 2), (100_001, 3)] {
        let served = data.clone();
        let server = Server::start(move |_, number| match number {
            // All bytes, but not the end of the chunked body.
            0 => Reply::status(200)
                .header("etag", ETAG)
                .header("x-goog-hash", &md5_header(&served))
                .header("transfer-encoding", "chunked")
                .without_length()
                .body([b"186a0\r\n", served.as_slice(), b"\r\n"].concat()),
            1 => Reply::status(416).header("content-range", &format!("bytes */{total}")),
            _ => Reply::status(200).header("x-goog-hash", &md5_header(&served)).body(&served),
        });
        let folder = Folder::new();
        let done = recording_client().download(&server, &folder.target()).unwrap();
        assert!(done.verified.is_some());
        assert_eq!(fs::read(folder.target()).unwrap(), data);
        assert_eq!(server.received().len(), requests, "{total}");
        assert_eq!(server.received()[1].range_start(), Some(100_000));
    }
}

#[test]
fn publishes_only_the_expected_kind_of_file() {
    let server = Server::start(|_, number| match number {
        0 => Reply::status(200).body("<html>log in</html>"),
        _ => Reply::status(200).body(b"PK\x05\x06 an empty archive"),
    });
    let folder = Folder::new();
    let expected = ExpectedFile { kind: Some(FileKind::ZIP), ..ExpectedFile::default() };
    let download = || recording_client().client.download(&request(&server), &folder.target(), &expected);
    let error = download().unwrap_err();
    assert!(matches!(error, Error::WrongContent { .. }), "{error:?}");
    assert!(folder.names().is_empty());
    download().unwrap();
    assert_eq!(folder.names(), ["file.zip"]);
}
