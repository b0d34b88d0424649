//! A process that is killed while it downloads leaves no file that reads as complete, and the next one goes on.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use fetch::{Checksum, Client, Expected, Retry, Url};
use loopback::{Reply, Server};

const ADDRESS: &str = "FETCH_TEST_ADDRESS";
const TARGET: &str = "FETCH_TEST_TARGET";
const KILLS: u64 = 25;

/// Kills processes that download. Each runs this test program again, with [`ADDRESS`] and [`TARGET`] set.
#[test]
fn killed_download_is_never_taken_for_complete() {
    if let (Ok(address), Ok(target)) = (std::env::var(ADDRESS), std::env::var(TARGET)) {
        let request = Url::parse(&address).unwrap().into();
        Client::new(Retry::default()).download(&request, &PathBuf::from(target), &Expected::default()).unwrap();
        return;
    }
    let content: Vec<u8> = (0..64_000_000_usize).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    let dir = tempfile::tempdir().unwrap();
    let original = dir.path().join("original");
    fs::write(&original, &content).unwrap();
    let digest = Checksum::Sha256([0; 32]).of_file_alike(&original).unwrap();
    let server = Server::start(move |request, _| Reply::file(request, &content, "\"v1\""));

    let size = original.metadata().unwrap().len();
    let (mut finished, mut left_a_part) = (0, 0);
    for kill in 0..KILLS {
        let target = dir.path().join(format!("target-{}", kill / 3));
        let part = dir.path().join(format!("target-{}.part", kill / 3));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed_download_is_never_taken_for_complete"])
            .env(ADDRESS, format!("{}/file", server.url()))
            .env(TARGET, &target)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Moments spread over the whole of a download: when so much has arrived, or at the end.
        let enough = kill.wrapping_mul(0x9E37_79B9_7F4A_7C15) % (size + size / 4);
        while child.try_wait().unwrap().is_none() && fs::metadata(&part).map_or(0, |meta| meta.len()) < enough {
            thread::sleep(Duration::from_micros(200));
        }
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().unwrap();
        if fs::metadata(&part).is_ok_and(|meta| meta.len() > 0) {
            left_a_part += 1;
        }
        if target.exists() {
            assert_eq!(digest.of_file_alike(&target).unwrap(), digest, "after kill {kill}");
            finished += 1;
        }
    }
    assert!(left_a_part > 0, "no kill came in time");
    eprintln!("{KILLS} kills: {left_a_part} left a part, {finished} came after the end");

    for number in 0..=KILLS / 3 {
        let target = dir.path().join(format!("target-{number}"));
        let request = Url::parse(&format!("{}/file", server.url())).unwrap().into();
        Client::default().download(&request, &target, &Expected::default()).unwrap();
        assert_eq!(digest.of_file_alike(&target).unwrap(), digest, "target {number}");
    }
}
