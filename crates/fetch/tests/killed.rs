//! Kills a downloading process at many moments, and checks that the target is never incomplete and that the next
//! process resumes.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use fetch::{Checksum, Client, ExpectedFile, RetryPolicy, Url};
use loopback::{Reply, Server};

const ADDRESS: &str = "FETCH_TEST_ADDRESS";
const TARGET: &str = "FETCH_TEST_TARGET";
const KILLS: u64 = 25;

/// Kills downloading processes. Each is this test binary, started again with [`ADDRESS`] and [`TARGET`] set.
#[test]
fn killed_download_never_leaves_incomplete_target() {
    if let (Ok(address), Ok(target)) = (std::env::var(ADDRESS), std::env::var(TARGET)) {
        let request = Url::parse(&address).unwrap().into();
        Client::new(RetryPolicy::default())
            .download(&request, &PathBuf::from(target), &ExpectedFile::default())
            .unwrap();
        return;
    }
    let content: Vec<u8> = (0..64_000_000_usize).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    fs::write(&original, &content).unwrap();
    let digest = Checksum::Sha256([0; 32]).recompute(&original).unwrap();
    let server = Server::start(move |request, _| Reply::file(request, &content, "\"v1\""));

    let size = original.metadata().unwrap().len();
    let (mut finished, mut left_partial_file) = (0, 0);
    for kill in 0..KILLS {
        let target = dir.path().join(format!("target-{}", kill / 3));
        let part = dir.path().join(format!("target-{}.part", kill / 3));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::killed_download_never_leaves_incomplete_target"])
            .env(ADDRESS, format!("{}/file", server.url()))
            .env(TARGET, &target)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Kill after this many bytes, spread over the whole download and the time after it.
        let enough = kill.wrapping_mul(0x9E37_79B9_7F4A_7C15) % (size + size / 4);
        while child.try_wait().unwrap().is_none() && fs::metadata(&part).map_or(0, |meta| meta.len()) < enough {
            thread::sleep(Duration::from_micros(200));
        }
        // Killing fails if the process has ended already.
        let _ = child.kill();
        child.wait().unwrap();
        if fs::metadata(&part).is_ok_and(|meta| meta.len() > 0) {
            left_partial_file += 1;
        }
        if target.exists() {
            assert_eq!(digest.recompute(&target).unwrap(), digest, "after kill {kill}");
            finished += 1;
        }
    }
    assert!(left_partial_file > 0, "every process ended before its kill");
    eprintln!("{KILLS} kills: {left_partial_file} left a partial file, {finished} came after the end");

    for number in 0..=KILLS / 3 {
        let target = dir.path().join(format!("target-{number}"));
        let request = Url::parse(&format!("{}/file", server.url())).unwrap().into();
        Client::default().download(&request, &target, &ExpectedFile::default()).unwrap();
        assert_eq!(digest.recompute(&target).unwrap(), digest, "target {number}");
    }
}
