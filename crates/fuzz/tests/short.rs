//! A run of every target for half a minute in total.

use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// The time for all targets together, in seconds.
const SECONDS: u32 = 32;

/// The targets.
const TARGETS: [&str; 16] = [
    "image",
    "metadata",
    "provenance",
    "csv",
    "table",
    "zip",
    "safetensors",
    "shard",
    "manifest",
    "predictions",
    "scores",
    "training-state",
    "configuration",
    "setting",
    "url",
    "header",
];

fn fuzz(seed: u64, out: &Path) -> Command {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let mut fuzz = Command::new(env!("CARGO_BIN_EXE_candling-fuzz"));
    fuzz.args(["--seed", &seed.to_string(), "--out"]).arg(out).arg("--corpus").arg(golden);
    fuzz
}

#[test]
fn saves_the_inputs_that_made_a_reader_fail() {
    let place = tempfile::tempdir().unwrap();
    let output = fuzz(1, place.path()).args(["--target", "faulty", "--seconds", "60"]).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("10 failures"), "{message}");
    // A panic is noticed, and on Unix the limit on memory.
    assert!(message.contains("exit status: 101") || cfg!(windows), "{message}");
    assert!(message.contains("signal: 6") || cfg!(not(target_os = "linux")), "{message}");
    let mut saved = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().path());
    let panicking = saved.find(|path| path.metadata().unwrap().len() % 2 == 1).unwrap();
    let replayed = fuzz(1, place.path()).args(["--target", "faulty", "--replay"]).arg(panicking).output().unwrap();
    assert_eq!(replayed.status.code(), Some(101));
    assert!(String::from_utf8_lossy(&replayed.stderr).contains("an input of"));
}

/// Each run has another seed, so that the runs of CI try different inputs. `cargo xtask fuzz --seed S` repeats a run, and
/// the inputs of failures are kept in the folder that the message names.
#[test]
fn finds_no_failure_in_a_short_run() {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz-failures");
    let output = fuzz(seed, &out).args(["--seconds", &SECONDS.to_string()]).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    // Not `eprintln`, whose output the harness hides if the test passes.
    let lines = message.lines().filter(|line| line.starts_with("fuzz: "));
    writeln!(io::stderr(), "{}", lines.collect::<Vec<_>>().join("\n")).unwrap();
    assert!(output.status.success(), "repeat it with `cargo xtask fuzz --seed {seed}`: {message}");
    for target in TARGETS {
        let line = message.lines().find(|line| line.starts_with(&format!("fuzz: {target} "))).unwrap_or_default();
        let cases: u64 = line.split_whitespace().nth(2).unwrap_or_default().parse().unwrap_or(0);
        // A worker that does not start would have none.
        assert!(cases > 20, "{target}: {message}");
    }
    let targets = message.lines().filter(|line| line.ends_with(" failures")).count();
    assert_eq!(targets, TARGETS.len(), "a target is missing in the list above: {message}");
}
