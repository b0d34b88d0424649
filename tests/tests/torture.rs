//! A short run of `cargo xtask torture`.

use pipeline_tests::{output_of, program};
use testing::{Need, skip};

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
    for result in ["torture: kill: ", "2 kills; 0 failures", "torture: flip: "] {
        assert!(messages.contains(result), "{messages}");
    }
    assert_eq!(messages.matches("; 0 failures").count(), 2, "{messages}");
}

#[test]
fn full_disks_leave_right_results() {
    let messages = torture(&["full-disk"]);
    if let Some((_, reason)) = messages.split_once("torture: full-disk: skipped, because ") {
        return skip(Need::UserNamespaces, reason.lines().next().unwrap_or_default());
    }
    assert!(messages.contains("torture: full-disk: "), "{messages}");
    assert_eq!(messages.matches("; 0 failures").count(), 1, "{messages}");
}
