//! A short run of `cargo xtask torture`.

use std::fs::OpenOptions;
use std::io::{self, Write};

use pipeline_tests::{output_of, program};

/// The need of the test of full disks in the record of skipped tests.
const NEED: &str = "user-namespaces";

/// Runs two rounds of these campaigns and returns the messages.
fn torture(campaigns: &[&str]) -> String {
    let mut xtask = program("xtask");
    xtask.args(["torture", "--rounds", "2", "--seed", "1"]);
    xtask.args(campaigns.iter().flat_map(|campaign| ["--campaign", campaign]));
    output_of(&mut xtask).expect_code(0).stderr
}

#[test]
fn kills_and_damage_leave_right_results() {
    let messages = torture(&["kill", "flip"]);
    for campaign in ["kill: 2 kills", "flip: "] {
        assert!(messages.contains(&format!("torture: {campaign}")), "{messages}");
    }
    assert_eq!(messages.matches("; 0 failures").count(), 2, "{messages}");
}

#[test]
fn full_disks_leave_right_results() {
    let messages = torture(&["full-disk"]);
    if let Some((_, reason)) = messages.split_once("torture: full-disk: skipped, because ") {
        return record_skip("full_disks_leave_right_results", reason.lines().next().unwrap_or_default());
    }
    assert!(messages.contains("torture: full-disk: "), "{messages}");
    assert_eq!(messages.matches("; 0 failures").count(), 1, "{messages}");
}

/// Records a skip as `testing::skip` does, which has no such need.
fn record_skip(test: &str, reason: &str) {
    let test = format!("{}::{test}", env!("CARGO_PKG_NAME"));
    // Not `eprintln`, whose output the harness hides.
    let _ = writeln!(io::stderr(), "skipped {test}: needs {NEED}, but {reason}");
    if let Some(path) = std::env::var_os(testing::RECORD_FILE) {
        let mut file = OpenOptions::new().append(true).create(true).open(path).expect("the record opens");
        file.write_all(format!("{test}\t{NEED}\t{reason}\n").as_bytes()).expect("the record is written");
    }
}
