//! Kills and interrupts the program at random moments, and checks that it resumes with the same result.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

// Shared with the unit tests.
#[path = "../src/testing.rs"]
mod testing;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use artifacts::stage::{Failure, exit};
use artifacts::{Manifest, OutputFile, RunDir, Split, names, random};
use rand::RngExt;

const SPLITS: [(Split, usize); 2] = [(Split::Train, 12), (Split::Val, 4)];

/// The epochs of most trainings.
const EPOCHS: usize = 3;
/// So many epochs that a training does not end before a signal.
const ENDLESS: usize = 100_000;
/// The longest time until a signal ends a training.
const PATIENCE: Duration = Duration::from_secs(300);

/// The smallest ResNet, and the default one.
const SMALL: &[&str] = &["--set", r#"model.branches=["resnet18"]"#];
const DEFAULT: &[&str] = &[];

fn start(run: &RunDir, epochs: usize, model: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candling-train"));
    command.arg("--run-dir").arg(run.path()).args(["--weights", "none", "--device", "cpu"]).args(model);
    for set in [format!("epochs={epochs}"), "batch=4".to_owned(), "learning_rate=1e-3".to_owned()] {
        command.arg("--set").arg(format!("train.{set}"));
    }
    command.stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    // Fails if the child has ended already.
    let _ = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).stderr(Stdio::null()).status();
}

/// Runs the program to its end.
fn finish(run: &RunDir, epochs: usize, model: &[&str]) {
    let output = start(run, epochs, model).wait_with_output().unwrap();
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// Returns the number of the epoch whose end a line reports.
fn finished_epoch(line: &str) -> Option<usize> {
    line.split_once(" epoch ")?.1.split_once(&format!("/{ENDLESS}: "))?.0.parse().ok()
}

/// Starts an endless training, and sends it a signal when it has finished an epoch. Returns its messages until then, the
/// number of epochs that were finished in the end, and the later messages.
fn interrupt(run: &RunDir, name: &str) -> (Vec<String>, usize, Vec<String>) {
    let mut child = start(run, ENDLESS, SMALL);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let (mut before, mut after, mut epochs) = (Vec::new(), Vec::new(), None);
    for line in lines.by_ref() {
        epochs = finished_epoch(&line);
        before.push(line);
        if epochs.is_some() {
            break;
        }
    }
    let mut epochs = epochs.unwrap_or_else(|| panic!("the training ended before the signal: {before:?}"));
    assert!(child.try_wait().unwrap().is_none(), "the training runs when the signal is sent");
    signal(&child, name);
    let sent = Instant::now();
    for line in lines {
        epochs = finished_epoch(&line).unwrap_or(epochs);
        after.push(line);
        if sent.elapsed() > PATIENCE {
            signal(&child, "KILL");
        }
    }
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(i32::from(exit::INTERRUPTED)), "{name}: {status}, {after:?}");
    (before, epochs, after)
}

/// The files of both checkpoints of a complete run, with their hashes.
fn checkpoints(run: &RunDir) -> Vec<(String, OutputFile)> {
    let manifest = Manifest::require(&run.train_run(0), names::TRAIN).unwrap();
    manifest.outputs.into_iter().filter(|(name, _)| name.contains('/')).collect()
}

#[test]
fn interrupted_training_ends_with_a_message_and_resumes() {
    let [whole, broken] = [(); 2].map(|()| testing::ingested(&SPLITS));
    let mut epochs = 0;
    for name in ["INT", "TERM"] {
        let (before, finished, after) = interrupt(&broken.dir(), name);
        assert!(after.iter().any(|line| line.contains(&Failure::Interrupted.to_string())), "{after:?}");
        assert!(Manifest::read(&broken.dir().train_run(0)).unwrap().is_none());
        let resumed = before.iter().any(|line| line.contains("run-0 resumes from"));
        assert_eq!((resumed, finished > epochs), (epochs > 0, true), "{before:?}");
        epochs = finished;
    }
    // The interrupted training has begun the next epoch, or ended the last one.
    finish(&broken.dir(), epochs + 1, SMALL);
    finish(&whole.dir(), epochs + 1, SMALL);
    assert_eq!(checkpoints(&broken.dir()), checkpoints(&whole.dir()));
}

#[test]
fn killed_training_gives_same_result() {
    let [whole, broken] = [(); 2].map(|()| testing::ingested(&SPLITS));
    let begun = Instant::now();
    finish(&whole.dir(), EPOCHS, DEFAULT);
    let whole_time = begun.elapsed().as_secs_f64();

    let mut random = random::stream(3, "kills", &[]);
    let (mut killed, mut interrupted) = (0, 0);
    for attempt in 0..6 {
        let child = start(&broken.dir(), EPOCHS, DEFAULT);
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
    finish(&broken.dir(), EPOCHS, DEFAULT);

    for run in [&whole, &broken] {
        let manifest = Manifest::require(&run.dir().train_run(0), names::TRAIN).unwrap();
        let listed = manifest.outputs.keys().filter(|name| !name.starts_with("events")).count();
        assert_eq!(listed, 9, "{:?}", manifest.outputs.keys());
    }
    assert_eq!(checkpoints(&broken.dir()), checkpoints(&whole.dir()));
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
