//! Tests data sets of the Hugging Face hub against a server on the loopback interface: listing, cache and faults.

use std::fs;

use fetch::{Client, Environment, RetryPolicy};
use hub::{Dataset, Error, Hub};
use loopback::{Reply, Server};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const CONVERTED: &str = "89abcdef0123456789abcdef0123456789abcdef";

/// Starts a hub with the data set `o/n`, whose revisions have these files.
fn server(files: &'static [&'static str], converted: &'static [&'static str]) -> Server {
    Server::start(move |request, _| {
        let listing = |sha: &str, files: &[&str]| {
            let siblings: Vec<String> =
                files.iter().map(|file| format!(r#"{{"rfilename": "{file}", "size": {}}}"#, file.len())).collect();
            Reply::json(&format!(r#"{{"sha": "{sha}", "siblings": [{}]}}"#, siblings.join(",")))
        };
        let path = request.path.as_str();
        match path.strip_prefix("/api/datasets/o/n/revision/") {
            Some("main") | Some(COMMIT) => listing(COMMIT, files),
            Some("refs%2Fconvert%2Fparquet") if !converted.is_empty() => listing(CONVERTED, converted),
            Some(_) => Reply::status(404),
            None => match path.strip_prefix("/datasets/o/n/resolve/").and_then(|rest| rest.split_once('/')) {
                // The content of a file is its name.
                Some((commit, file)) => {
                    Reply::file(request, file.as_bytes(), &format!("\"{}\"", file.replace('/', "-")))
                        .header("x-repo-commit", commit)
                }
                None => Reply::status(404),
            },
        }
    })
}

struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Machine {
        Machine(tempfile::tempdir().unwrap())
    }

    fn hub(&self, endpoint: &str, offline: &str) -> Hub {
        let home = self.0.path().to_str().unwrap();
        let variables =
            [("HF_HOME", home), ("HF_ENDPOINT", endpoint), ("HF_TOKEN", "hf_secret"), ("HF_HUB_OFFLINE", offline)];
        Hub::new(&Environment::from_iter(variables), Client::new(RetryPolicy::default().with_sleep(|_| {}))).unwrap()
    }

    fn online(&self, server: &Server) -> Hub {
        self.hub(&server.url(), "0")
    }

    fn offline(&self) -> Hub {
        self.hub("http://127.0.0.1:9", "1")
    }
}

fn dataset(text: &str) -> Dataset {
    text.parse().unwrap()
}

#[test]
fn downloads_all_tables_once() {
    let files =
        &["README.md", "data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "old/a.parquet"];
    let server = server(files, &[]);
    let machine = Machine::new();
    let hub = machine.online(&server);
    let name = dataset("hf:datasets/o/n/data");
    assert_eq!(hub.cached_dataset(&name), None);
    assert_eq!(hub.list(&name).unwrap().bytes, Some(66));
    let local = hub.fetch_dataset(&name).unwrap();
    assert_eq!(local.commit, COMMIT);
    assert_eq!(local.folder, machine.0.path().join("hub/datasets--o--n/snapshots").join(COMMIT));
    let contents: Vec<String> = local.tables.iter().map(|table| fs::read_to_string(table).unwrap()).collect();
    assert_eq!(contents, files[1..3]);
    assert!(server.received().iter().all(|request| request.header("authorization") == Some("Bearer hf_secret")));
    // The tables are in the cache for the branch and for the commit, but not for another folder.
    let requests = server.received().len();
    assert_eq!(hub.fetch_dataset(&name).unwrap(), local);
    assert_eq!(machine.offline().fetch_dataset(&dataset(&format!("hf:datasets/o/n/data@{COMMIT}"))).unwrap(), local);
    assert_eq!(server.received().len(), requests);
    let error = machine.offline().fetch_dataset(&dataset("hf:datasets/o/n")).unwrap_err();
    assert!(matches!(error, Error::Offline { .. }), "{error:?}");
    // A table that was deleted is fetched again.
    fs::remove_file(&local.tables[0]).unwrap();
    assert_eq!(hub.cached_dataset(&name), None);
    assert_eq!(hub.fetch_dataset(&name).unwrap(), local);
}

#[test]
fn tables_that_the_hub_made_stand_in_for_other_formats() {
    let server = server(&["images.tar"], &["default/train/0000.parquet"]);
    let machine = Machine::new();
    let local = machine.online(&server).fetch_dataset(&dataset("hf:datasets/o/n")).unwrap();
    assert_eq!(local.commit, CONVERTED);
    assert!(local.tables[0].ends_with("default/train/0000.parquet"));
    assert_eq!(machine.offline().fetch_dataset(&dataset("hf:datasets/o/n")).unwrap(), local);
}

#[test]
fn interrupted_download_is_not_taken_for_a_complete_one() {
    let listing =
        format!(r#"{{"sha": "{COMMIT}", "siblings": [{{"rfilename": "a.parquet"}}, {{"rfilename": "b.parquet"}}]}}"#);
    let server = Server::start(move |request, _| {
        if request.path.starts_with("/api/") {
            Reply::json(&listing)
        } else if request.path.ends_with("a.parquet") {
            Reply::file(request, b"a", "\"a\"").header("x-repo-commit", COMMIT)
        } else {
            Reply::status(500)
        }
    });
    let machine = Machine::new();
    let hub = machine.online(&server);
    let name = dataset("hf:datasets/o/n");
    assert_eq!(hub.list(&name).unwrap().bytes, None);
    let message = hub.fetch_dataset(&name).unwrap_err().to_string();
    assert!(message.contains("b.parquet"), "{message}");
    assert_eq!(hub.cached_dataset(&name), None);
}

#[test]
fn hostile_names_never_leave_the_cache() {
    let server = server(
        &["../../../outside.parquet", "/etc/x.parquet", "a/../../b.parquet", "c\\\\d.parquet", "ok.parquet"],
        &[],
    );
    let machine = Machine::new();
    let local = machine.online(&server).fetch_dataset(&dataset("hf:datasets/o/n")).unwrap();
    assert_eq!(local.tables, [local.folder.join("ok.parquet")]);
    let server =
        Server::start(|_, _| Reply::json(r#"{"sha": "../../outside", "siblings": [{"rfilename": "a.parquet"}]}"#));
    let error = Machine::new().online(&server).fetch_dataset(&dataset("hf:datasets/o/n")).unwrap_err();
    assert!(matches!(error, Error::NotAHub { .. }), "{error:?}");
}

#[test]
fn errors_say_what_to_do_without_showing_the_token() {
    for (status, expected) in [
        (401, "access token"),
        (403, "accept the terms"),
        (404, "check each part of the name"),
        (418, "failed to fetch"),
    ] {
        let server = Server::start(move |_, _| Reply::status(status));
        let error = Machine::new().online(&server).fetch_dataset(&dataset("hf:datasets/o/n")).unwrap_err();
        let chain = format!("{error} {error:?}");
        assert!(chain.contains(expected) && !chain.contains("hf_secret"), "{chain}");
    }
    let error = Machine::new().online(&server(&["a.zip"], &[])).fetch_dataset(&dataset("hf:datasets/o/n")).unwrap_err();
    assert!(error.to_string().contains("has no parquet files"), "{error}");
    let error = Machine::new().hub("http://127.0.0.1:9", "0").fetch_dataset(&dataset("hf:datasets/o/n")).unwrap_err();
    assert!(error.to_string().contains("without a network"), "{error}");
}
