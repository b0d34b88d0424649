//! A short run of every target.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

#[test]
fn finds_no_failure_in_a_short_run() {
    let place = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let mut fuzz = Command::new(env!("CARGO_BIN_EXE_candling-fuzz"));
    fuzz.args(["--seconds", "9", "--seed", "1", "--out"]).arg(place.path().join("failures"));
    let output = fuzz.arg("--corpus").arg(golden).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    for target in ["image", "metadata", "csv", "table", "zip", "safetensors", "manifest", "setting", "url"] {
        let line = message.lines().find(|line| line.starts_with(&format!("fuzz: {target} "))).unwrap_or_default();
        let cases: u64 = line.split_whitespace().nth(2).unwrap_or_default().parse().unwrap_or(0);
        // A worker that does not start would have none.
        assert!(cases > 20, "{target}: {message}");
    }
}
