//! A short run of `cargo xtask torture`.

use pipeline_tests::{output_of, program};

#[test]
fn kills_damage_and_full_disks_leave_right_results() {
    let done = output_of(program("xtask").args(["torture", "--rounds", "2", "--seed", "1"])).expect_code(0);
    for campaign in ["kill: 2 kills", "flip: ", "full-disk: "] {
        assert!(done.stderr.contains(&format!("torture: {campaign}")), "{}", done.stderr);
    }
    assert_eq!(
        done.stderr.matches("; 0 failures").count() + done.stderr.matches(": skipped").count(),
        3,
        "{}",
        done.stderr
    );
}
