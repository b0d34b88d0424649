//! Kills and interrupts the program at random moments, and checks that it resumes with the same result.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

// Shared with the unit tests.
#[path = "../src/testing.rs"]
mod testing;

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use artifacts::stage::exit;
use artifacts::{Manifest, RunDir, Split, names, random};
use rand::RngExt;

const SPLITS: [(Split, usize); 2] = [(Split::Train, 12), (Split::Val, 4)];

fn start(run: &RunDir) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candling-train"));
    command.arg("--run-dir").arg(run.path()).args(["--weights", "none", "--device", "cpu"]);
    for set in ["epochs=3", "batch=4", "learning_rate=1e-3"] {
        command.arg("--set").arg(format!("train.{set}"));
    }
    command.stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    // Fails if the child has ended already.
    let _ = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).stderr(Stdio::null()).status();
}

/// Runs the program to its end.
fn finish(run: &RunDir) {
    let output = start(run).wait_with_output().unwrap();
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}

#[test]
fn killed_training_gives_same_result() {
    let [whole, broken] = [(); 2].map(|()| testing::ingested(&SPLITS));
    let begun = Instant::now();
    finish(&whole.dir());
    let whole_time = begun.elapsed().as_secs_f64();

    let mut random = random::stream(3, "kills", &[]);
    let (mut killed, mut interrupted) = (0, 0);
    for attempt in 0..6 {
        let child = start(&broken.dir());
        thread::sleep(Duration::from_secs_f64(whole_time * random.random_range(0.1..0.5)));
        signal(&child, if attempt % 3 == 2 { "TERM" } else { "KILL" });
        let output = child.wait_with_output().unwrap();
        let status = output.status;
        killed += u32::from(status.code().is_none());
        interrupted += u32::from(status.code() == Some(i32::from(exit::INTERRUPTED)));
        assert!(status.code().is_none_or(|code| code == 0 || code == i32::from(exit::INTERRUPTED)), "{output:?}");
        let complete = Manifest::read(&broken.dir().train_run(0)).unwrap();
        assert_eq!(complete.is_some(), status.success());
        if status.success() {
            break;
        }
    }
    assert!(killed + interrupted > 0, "every process ended before its signal");
    finish(&broken.dir());

    let outputs = |run: &RunDir| {
        let dir = run.train_run(0);
        let manifest = Manifest::require(&dir, names::TRAIN).unwrap();
        let listed = manifest.outputs.keys().filter(|name| !name.starts_with("events")).count();
        assert_eq!(listed, 9, "{:?}", manifest.outputs.keys());
        manifest.outputs.into_iter().filter(|(name, _)| name.contains('/')).collect::<Vec<_>>()
    };
    assert_eq!(outputs(&broken.dir()), outputs(&whole.dir()));
}

#[test]
fn unknown_key_exits_with_usage_code() {
    let run = testing::ingested(&SPLITS);
    let output = Command::new(env!("CARGO_BIN_EXE_candling-train"))
        .arg("--run-dir")
        .arg(run.dir().path())
        .args(["--set", "train.epoch=2"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(i32::from(exit::USAGE)));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("train.epoch") && message.contains("did you mean `train.epochs`"), "{message}");
}
