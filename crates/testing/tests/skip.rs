//! Tests that a skip is recorded, or fails the test if its need is required.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use testing::{Need, RECORD_FILE, parse_records, skip};

/// The environment variable that is set in the child processes, which skip the test.
const CHILD: &str = "CANDLING_TEST_SKIPS";

#[test]
fn skip_is_recorded_unless_required() {
    if std::env::var_os(CHILD).is_some() {
        return skip(Need::Peers, "PyTorch is not installed");
    }
    let record = std::env::temp_dir().join(format!("candling-skip-record-{}", std::process::id()));
    let (passed, output) = skip_in_child("", &record);
    assert!(passed && output.contains("needs peers, but PyTorch is not installed"), "{output}");
    let recorded = std::fs::read_to_string(&record).unwrap();
    std::fs::remove_file(&record).unwrap();
    let [skipped] = &parse_records(&recorded)[..] else { panic!("{recorded}") };
    assert_eq!((skipped.test.as_str(), skipped.need.as_str()), ("testing::skip_is_recorded_unless_required", "peers"));

    for (required, message) in
        [("shared,peers", "set CANDLING_PEER_PYTHON"), ("shared,peer", "unknown need `peer` in CANDLING_REQUIRE")]
    {
        let (passed, output) = skip_in_child(required, &record);
        assert!(!passed && output.contains(message), "{output}");
        assert!(!record.exists(), "a test that fails is not recorded as skipped");
    }
}

/// Runs this test in a child process, where it is skipped. Returns whether it passed, and its output.
fn skip_in_child(required: &str, record: &Path) -> (bool, String) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "skip_is_recorded_unless_required"]);
    child.env(CHILD, "1").env("CANDLING_REQUIRE", required).env(RECORD_FILE, record);
    let output = child.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.success(), text.concat())
}
