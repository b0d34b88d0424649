//! Downloads from a server on the loopback interface, with the faults that networks have.
#![expect(clippy::unwrap_used, reason = "a test should fail loudly")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fetch::{Checksum, Client, Downloaded, Error, Event, Expected, Request, Retry, Url};
use loopback::{Received, Reply, Server};

const ETAG: &str = "\"v1\"";

/// Bytes that differ everywhere, so that a piece in the wrong place shows.
fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 7) as u8).collect()
}

fn md5_header(content: &[u8]) -> String {
    use base64::Engine;
    use md5::Digest;
    format!("crc32c=AAAAAA==,md5={}", base64::prelude::BASE64_STANDARD.encode(md5::Md5::digest(content)))
}

/// A client that records what it hears and how long it would have waited.
struct Watched {
    client: Client,
    waits: Arc<Mutex<Vec<Duration>>>,
    events: Arc<Mutex<Vec<String>>>,
}

fn watched() -> Watched {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let events = Arc::new(Mutex::new(Vec::new()));
    let (slept, heard) = (waits.clone(), events.clone());
    let client = Client::new(Retry::default().sleeping_with(move |wait| slept.lock().unwrap().push(wait)));
    let client = client.observed_by(move |event| {
        if !matches!(event, Event::Received { .. }) {
            heard.lock().unwrap().push(format!("{event:?}"));
        }
    });
    Watched { client, waits, events }
}

impl Watched {
    fn download(&self, server: &Server, target: &Path) -> fetch::Result<Downloaded> {
        self.client.download(&request(server), target, &Expected::default())
    }

    fn heard(&self, word: &str) -> usize {
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
fn a_file_arrives_whole_and_verified() {
    let data = content(3_000_000);
    let served = data.clone();
    let server = Server::start(move |request, _| {
        Reply::file(request, &served, ETAG).header("x-goog-hash", &md5_header(&served))
    });
    let folder = Folder::new();
    let watched = watched();
    let done = watched.download(&server, &folder.target()).unwrap();
    assert_eq!((done.bytes, done.verified.unwrap().algorithm()), (3_000_000, "MD5"));
    assert_eq!(fs::read(folder.target()).unwrap(), data);
    assert_eq!(folder.names(), ["file.zip"]);
    let received = server.received();
    assert_eq!(received[0].header("accept-encoding"), Some("identity"));
    // A second call finds it there, and asks nobody.
    watched.download(&server, &folder.target()).unwrap();
    assert_eq!(server.received().len(), 1);
}

#[test]
fn a_cut_connection_is_resumed_where_it_broke() {
    let data = content(2_500_000);
    let served = data.clone();
    let server = Server::start(move |request, number| {
        let reply = Reply::file(request, &served, ETAG).header("x-goog-hash", &md5_header(&served));
        if number < 3 { reply.cut_after(700_000) } else { reply }
    });
    let folder = Folder::new();
    let watched = watched();
    watched.download(&server, &folder.target()).unwrap();
    assert_eq!(fs::read(folder.target()).unwrap(), data);
    let starts: Vec<Option<usize>> = server.received().iter().map(Received::range_start).collect();
    assert_eq!(starts, [None, Some(700_000), Some(1_400_000), Some(2_100_000)]);
    assert!(server.received()[1..].iter().all(|request| request.header("if-range") == Some(ETAG)));
    assert_eq!(watched.waits.lock().unwrap().len(), 3);
}

#[test]
fn a_connection_that_gets_on_may_break_any_number_of_times() {
    let data = content(12_000_000);
    let served = data.clone();
    let server = Server::start(move |request, number| {
        let reply = Reply::file(request, &served, ETAG);
        if number < 9 { reply.cut_after(1_200_000) } else { reply }
    });
    let folder = Folder::new();
    watched().download(&server, &folder.target()).unwrap();
    assert_eq!(fs::read(folder.target()).unwrap(), data);
    assert_eq!(server.received().len(), 10, "more failures than attempts are allowed in a row");
}

#[test]
fn a_later_process_continues_what_an_earlier_one_left() {
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
    let error = watched().download(&server, &folder.target()).unwrap_err();
    assert_eq!(error.status(), Some(503), "{error:?}");
    assert_eq!(folder.names(), ["file.zip.part", "file.zip.part.json"]);
    watched().download(&server, &folder.target()).unwrap();
    assert_eq!(fs::read(folder.target()).unwrap(), data);
    assert_eq!(server.received()[5].range_start(), Some(400_000));
    assert_eq!(folder.names(), ["file.zip"]);
}

#[test]
fn wrong_ranges_are_never_written() {
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
        let watched = watched();
        watched.download(&server, &folder.target()).unwrap();
        assert_eq!(fs::read(folder.target()).unwrap(), data, "{wrong}");
        assert_eq!(server.received()[2].range_start(), None, "{wrong}");
        assert_eq!(watched.heard("StartingOver"), 1, "{wrong}");
    }
}

#[test]
fn a_server_that_ignores_ranges_is_read_from_the_start() {
    let data = content(1_000_000);
    let served = data.clone();
    let server = Server::start(move |_, number| {
        let reply = Reply::status(200).header("etag", ETAG).body(&served);
        if number == 0 { reply.cut_after(400_000) } else { reply }
    });
    let folder = Folder::new();
    watched().download(&server, &folder.target()).unwrap();
    assert_eq!(fs::read(folder.target()).unwrap(), data);
    assert_eq!(server.received()[1].range_start(), Some(400_000));
}

#[test]
fn a_file_that_changes_between_two_attempts_is_not_mixed() {
    let (old, new) = (content(1_000_000), content(1_100_000).split_off(100_000));
    // One server honours If-Range; the other does not, and its entity tag gives it away.
    for honest in [true, false] {
        let (before, after) = (old.clone(), new.clone());
        let server = Server::start(move |request, number| match number {
            0 => Reply::file(request, &before, ETAG).cut_after(400_000),
            _ => {
                let mut request = request.clone();
                if !honest {
                    request.headers.remove("if-range");
                }
                Reply::file(&request, &after, "\"v2\"")
            }
        });
        let folder = Folder::new();
        watched().download(&server, &folder.target()).unwrap();
        assert_eq!(fs::read(folder.target()).unwrap(), new, "honest: {honest}");
    }
}

#[test]
fn without_a_strong_validator_nothing_is_resumed() {
    let data = content(500_000);
    for tag in ["W/\"weak\"", "unquoted"] {
        let served = data.clone();
        let server = Server::start(move |request, number| {
            let reply = Reply::file(request, &served, ETAG).replace_header("etag", tag);
            if number == 0 { reply.cut_after(400_000) } else { reply }
        });
        let folder = Folder::new();
        watched().download(&server, &folder.target()).unwrap();
        assert_eq!(fs::read(folder.target()).unwrap(), data);
        assert_eq!(server.received()[1].range_start(), None);
    }
}

#[test]
fn a_wrong_checksum_leaves_nothing() {
    let data = content(300_000);
    let server =
        Server::start(move |request, _| Reply::file(request, &data, ETAG).header("x-goog-hash", &md5_header(b"other")));
    let folder = Folder::new();
    let error = watched().download(&server, &folder.target()).unwrap_err();
    assert!(matches!(error, Error::Checksum { expected: Checksum::Md5(_), .. }), "{error:?}");
    assert_eq!(folder.names(), [""; 0]);
    assert_eq!(server.received().len(), 1, "a file that came in one go is not asked for again");
}

#[test]
fn an_expected_checksum_takes_precedence() {
    let data = content(300_000);
    let server =
        Server::start(move |request, _| Reply::file(request, &data, ETAG).header("x-goog-hash", &md5_header(&data)));
    let folder = Folder::new();
    let expected = Expected { bytes: None, checksum: Some(Checksum::Sha256([7; 32])) };
    let error = watched().client.download(&request(&server), &folder.target(), &expected).unwrap_err();
    assert!(matches!(error, Error::Checksum { expected: Checksum::Sha256(_), .. }), "{error:?}");
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn a_part_damaged_on_the_disk_is_fetched_anew() {
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
    watched().download(&server, &folder.target()).unwrap_err();
    let part = folder.target().with_file_name("file.zip.part");
    let mut bytes = fs::read(&part).unwrap();
    bytes[1000] ^= 1;
    fs::write(&part, bytes).unwrap();
    let watched = watched();
    watched.download(&server, &folder.target()).unwrap();
    assert_eq!(fs::read(folder.target()).unwrap(), data);
    assert_eq!(watched.heard("do not add up"), 1);
}

#[test]
fn a_part_of_unknown_origin_is_dropped() {
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
        watched().download(&server, &folder.target()).unwrap();
        assert_eq!(fs::read(folder.target()).unwrap(), data, "{description:?}");
        assert_eq!(folder.names(), ["file.zip"]);
    }
}

#[test]
fn retry_after_is_honoured_and_backoff_grows() {
    let server = Server::start(|request, number| match number {
        0 => Reply::status(429).header("retry-after", "7"),
        1 | 2 => Reply::status(500),
        _ => Reply::file(request, b"content", ETAG),
    });
    let folder = Folder::new();
    let watched = watched();
    watched.download(&server, &folder.target()).unwrap();
    let waits = watched.waits.lock().unwrap().clone();
    assert_eq!(waits[0], Duration::from_secs(7));
    assert!((0.5..=1.0).contains(&waits[1].as_secs_f64()), "{waits:?}");
    assert!((1.0..=2.0).contains(&waits[2].as_secs_f64()), "{waits:?}");
}

#[test]
fn faults_that_do_not_pass_are_given_up_on() {
    let server =
        Server::start(|_, _| Reply::status(503).header("content-type", "text/html").body("<html>secret page</html>"));
    let folder = Folder::new();
    let watched_client = watched();
    let error = watched_client.download(&server, &folder.target()).unwrap_err();
    assert!(matches!(error, Error::GaveUp { attempts: 5, .. }), "{error:?}");
    assert_eq!(error.status(), Some(503));
    assert_eq!(watched_client.waits.lock().unwrap().len(), 4);
    // More patience than anyone has is not waited for.
    let server = Server::start(|_, _| Reply::status(429).header("retry-after", "86400"));
    let watched_client = watched();
    assert_eq!(watched_client.download(&server, &folder.target()).unwrap_err().status(), Some(429));
    assert!(watched_client.waits.lock().unwrap().is_empty());
}

#[test]
fn answers_that_are_final_are_not_asked_for_again() {
    for status in [400, 401, 403, 404, 410] {
        let server = Server::start(move |_, _| Reply::status(status).body("{\"message\":\"no\\u001b[31m luck\"}"));
        let folder = Folder::new();
        let error = watched().download(&server, &folder.target()).unwrap_err();
        assert_eq!(error.status(), Some(status));
        assert!(error.to_string().ends_with(": no[31m luck"), "{error}");
        assert_eq!(folder.names(), [""; 0], "nothing arrived, so nothing is left");
        assert_eq!(server.received().len(), 1);
    }
}

#[test]
fn a_length_that_is_not_announced_is_only_trusted_with_a_checksum() {
    let data = content(100_000);
    let served = data.clone();
    let server = Server::start(move |_, _| Reply::status(200).body(&served).without_length());
    let folder = Folder::new();
    let error = watched().download(&server, &folder.target()).unwrap_err();
    assert!(error.to_string().contains("neither length nor checksum"), "{error}");
    let served = data.clone();
    let server = Server::start(move |_, _| {
        Reply::status(200).header("x-goog-hash", &md5_header(&served)).body(&served).without_length()
    });
    watched().download(&server, &folder.target()).unwrap();
    assert_eq!(fs::read(folder.target()).unwrap(), data);
}

#[test]
fn an_announced_size_that_differs_is_an_error() {
    let server = Server::start(|request, _| Reply::file(request, b"content", ETAG));
    let folder = Folder::new();
    fs::create_dir_all(folder.target().parent().unwrap()).unwrap();
    fs::write(folder.target().with_file_name("file.zip.part"), "cont").unwrap();
    let description = r#"{"validator":"\"v1\"","total":7,"checksum":null}"#;
    fs::write(folder.target().with_file_name("file.zip.part.json"), description).unwrap();
    let expected = Expected { bytes: Some(8), checksum: None };
    let error = watched().client.download(&request(&server), &folder.target(), &expected).unwrap_err();
    assert!(error.to_string().contains("7 bytes, but 8 were announced"), "{error}");
    assert_eq!(server.received()[0].range_start(), None);
}

#[test]
fn what_does_not_fit_on_the_disk_is_not_begun() {
    let server = Server::start(|_, _| Reply::status(200).header("content-length", "9000000000000000000").cut_after(0));
    let folder = Folder::new();
    let error = watched().download(&server, &folder.target()).unwrap_err();
    assert!(matches!(error, Error::NoSpace { needed: 9_000_000_000_000_000_000, .. }), "{error:?}");
}

#[test]
fn a_compressed_body_is_refused() {
    for encoding in ["br", "gzip"] {
        let server = Server::start(move |_, _| Reply::status(200).header("content-encoding", encoding).body("abc"));
        let error = watched().download(&server, &Folder::new().target()).unwrap_err();
        assert!(error.to_string().contains(&format!("{encoding}-encoded")), "{error}");
    }
}

#[test]
fn two_that_want_one_file_download_it_once() {
    let data = content(2_000_000);
    let served = data.clone();
    let server = Server::start(move |request, _| {
        std::thread::sleep(Duration::from_millis(100));
        Reply::file(request, &served, ETAG)
    });
    let folder = Folder::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| watched().download(&server, &folder.target()).unwrap());
        }
    });
    assert_eq!(fs::read(folder.target()).unwrap(), data);
    assert_eq!(server.received().len(), 1);
    assert_eq!(folder.names(), ["file.zip"]);
}

#[test]
fn a_folder_that_cannot_be_is_an_error_that_names_it() {
    let server = Server::start(|request, _| Reply::file(request, b"content", ETAG));
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = watched().download(&server, &dir.path().join("file").join("below")).unwrap_err();
    assert!(error.to_string().contains("failed to create"), "{error}");
    // The part's name is taken by a folder.
    fs::create_dir(dir.path().join("x.part")).unwrap();
    let error = watched().download(&server, &dir.path().join("x")).unwrap_err();
    assert!(error.to_string().contains("x.part"), "{error}");
    assert!(server.received().is_empty());
}

#[cfg(unix)]
#[test]
fn a_planted_link_does_not_lead_out_of_the_folder() {
    let server = Server::start(|request, _| Reply::file(request, b"content", ETAG));
    let folder = Folder::new();
    let outside = folder.0.path().join("outside");
    fs::write(&outside, "precious").unwrap();
    fs::create_dir_all(folder.target().parent().unwrap()).unwrap();
    for name in ["file.zip.part", "file.zip.part.json"] {
        std::os::unix::fs::symlink(&outside, folder.target().with_file_name(name)).unwrap();
    }
    watched().download(&server, &folder.target()).unwrap();
    assert_eq!(fs::read(folder.target()).unwrap(), b"content");
    assert_eq!(fs::read(&outside).unwrap(), b"precious");
}
