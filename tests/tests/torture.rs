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
    let result = |campaign: &str| {
        let is_result =
            |line: &&str| line.starts_with(&format!("torture: {campaign}: ")) && line.ends_with("; 0 failures");
        messages.lines().find(is_result).unwrap_or_else(|| panic!("{campaign}: {messages}"))
    };
    assert!(result("kill").contains("2 kills"), "{messages}");
    result("flip");
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
