//! A short run of every target.

use std::path::Path;
use std::process::Command;

fn fuzz(out: &Path) -> Command {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let mut fuzz = Command::new(env!("CARGO_BIN_EXE_candling-fuzz"));
    fuzz.args(["--seed", "1", "--out"]).arg(out).arg("--corpus").arg(golden);
    fuzz
}

#[test]
fn saves_the_inputs_that_made_a_reader_fail() {
    let place = tempfile::tempdir().unwrap();
    let output = fuzz(place.path()).args(["--target", "faulty", "--seconds", "60"]).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("10 failures"), "{message}");
    // A panic is noticed, and on Unix the limit on memory.
    assert!(message.contains("exit status: 101") || cfg!(windows), "{message}");
    assert!(message.contains("signal: 6") || cfg!(not(target_os = "linux")), "{message}");
    let mut saved = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().path());
    let panicking = saved.find(|path| path.metadata().unwrap().len() % 2 == 1).unwrap();
    let replayed = fuzz(place.path()).args(["--target", "faulty", "--replay"]).arg(panicking).output().unwrap();
    assert_eq!(replayed.status.code(), Some(101));
    assert!(String::from_utf8_lossy(&replayed.stderr).contains("an input of"));
}

#[test]
fn finds_no_failure_in_a_short_run() {
    let place = tempfile::tempdir().unwrap();
    let output = fuzz(place.path()).args(["--seconds", "11"]).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    for target in [
        "image",
        "metadata",
        "csv",
        "table",
        "zip",
        "safetensors",
        "manifest",
        "setting",
        "url",
        "provenance",
        "predictions",
    ] {
        let line = message.lines().find(|line| line.starts_with(&format!("fuzz: {target} "))).unwrap_or_default();
        let cases: u64 = line.split_whitespace().nth(2).unwrap_or_default().parse().unwrap_or(0);
        // A worker that does not start would have none.
        assert!(cases > 20, "{target}: {message}");
    }
}
