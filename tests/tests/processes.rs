//! Trainings by several processes that `mpirun` starts.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use artifacts::{RunDir, names};
use pipeline_tests::{Sandbox, complete_manifest, json, output_of, program};
use serde_json::Value;

use crate::branches::BRANCHES;

/// Returns whether MPI is missing, and records the skip.
fn lacks_mpi() -> bool {
    let missing = !cfg!(feature = "mpi");
    if missing {
        testing::skip(testing::Need::Mpi, format_args!("the tests were built without the feature `mpi`"));
    }
    missing
}

/// The command `cargo xtask train` on a run of `sandbox` with complete shards.
fn train(sandbox: &Sandbox, run: &RunDir, rest: &[&str]) -> Command {
    output_of(&mut sandbox.stage("ingest", run)).expect_code(0);
    let mut command = program("xtask");
    command.arg("train").arg("--run-dir").arg(run.path()).arg("--config").arg(sandbox.pipeline()).args(rest);
    command
}

fn history(run: &RunDir) -> Vec<Value> {
    let text = fs::read_to_string(run.train_run(0).join(names::HISTORY)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The digests of the checkpoints.
fn checkpoints(run: &RunDir) -> Vec<(String, String)> {
    let outputs = complete_manifest(&run.train_run(0)).outputs;
    let files = outputs.into_iter().filter(|(name, _)| name.ends_with("safetensors"));
    files.map(|(name, file)| (name, format!("{file:?}"))).collect()
}

#[test]
fn two_and_three_processes_train_like_one() {
    if lacks_mpi() {
        return;
    }
    let sandbox = Sandbox::new();
    // At a higher rate, Adam amplifies the differences of rounding within a few steps.
    let synchronised = ["--set", "train.sync_batch_norm=true", "--set", "train.learning_rate=1e-5"];
    let one = sandbox.run("one");
    output_of(&mut train(&sandbox, &one, &synchronised)).expect_code(0);
    for number in ["2", "3"] {
        let runs = ["first", "second"].map(|name| {
            let run = sandbox.run(&format!("{name}-{number}"));
            let options = [&synchronised[..], &["--processes", number]].concat();
            let output = output_of(&mut train(&sandbox, &run, &options)).expect_code(0);
            assert_eq!(
                output.stderr.matches("in 2 processes").count(),
                usize::from(number == "2"),
                "{}",
                output.stderr
            );
            run
        });
        assert_eq!(checkpoints(&runs[0]), checkpoints(&runs[1]), "{number} processes");
        for (found, expected) in history(&runs[0]).iter().zip(history(&one)) {
            for loss in ["train_loss", "val_loss"] {
                let difference = found[loss].as_f64().unwrap() - expected[loss].as_f64().unwrap();
                assert!(difference.abs() < 1e-4, "{number} processes: {found} {expected}");
            }
        }
    }
}

#[test]
fn two_processes_compute_features_like_one() {
    if lacks_mpi() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write_pipeline(BRANCHES);
    let frozen = ["--set", "model.branches=[\"frequency\"]"];
    let runs = [("one", &[][..]), ("two", &["--processes", "2"])].map(|(name, processes)| {
        let run = sandbox.run(name);
        output_of(&mut train(&sandbox, &run, &[&frozen[..], processes].concat())).expect_code(0);
        run
    });
    assert_eq!(checkpoints(&runs[0]), checkpoints(&runs[1]));
}

#[test]
fn a_pipeline_trains_with_two_processes() {
    if lacks_mpi() {
        return;
    }
    let sandbox = Sandbox::new();
    let run = sandbox.run("pipeline");
    sandbox.pipeline_into(&run, &["--processes", "2"]).expect_code(0);
    assert_eq!(complete_manifest(&run.train_run(0)).summary["processes"], serde_json::json!([2]));
    assert!(json(&run.evaluate().join(names::METRICS))["roc_auc"].is_number());
    // The number of processes does not make a training stale.
    let again = sandbox.pipeline_into(&run, &[]).expect_code(0);
    assert!(again.stderr.contains("train: up to date"), "{}", again.stderr);
}

/// Starts a training that is too long for a test, with two processes. Returns once it has saved a checkpoint.
fn start_long(sandbox: &Sandbox, run: &RunDir) -> (Child, Vec<u32>) {
    let mut command = train(sandbox, run, &["--processes", "2", "--set", "train.epochs=10000"]);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("xtask starts");
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("epoch 3/") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the training ends early");
    }
    // Otherwise the pipe would fill up.
    std::thread::spawn(move || lines.lines().count());
    (child, processes_of(run))
}

/// The numbers of the processes `candling-train` that work on a run.
fn processes_of(run: &RunDir) -> Vec<u32> {
    let folder = run.path().to_string_lossy().into_owned();
    let entries = fs::read_dir("/proc").expect("Linux").map_while(Result::ok);
    let numbers = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let trains = |number: &u32| {
        let line = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|&byte| byte == 0).map(String::from_utf8_lossy).collect();
        words[0].ends_with("candling-train") && words.iter().any(|word| *word == folder)
    };
    numbers.filter(trains).collect()
}

fn signal(name: &str, process: u32) {
    assert!(Command::new("kill").args([name, &process.to_string()]).status().expect("kill starts").success());
}

/// Checks that a training with several processes can be resumed by one.
fn resume_alone(sandbox: &Sandbox, run: &RunDir) {
    // The system releases the lock of a killed process shortly after mpirun has ended.
    let start = Instant::now();
    while artifacts::stage::lock(run, "train").is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "a process is left");
        std::thread::sleep(Duration::from_millis(50));
    }
    let epochs = history(run).len() + 1;
    let set = format!("train.epochs={epochs}");
    let output = output_of(&mut train(sandbox, run, &["--set", &set])).expect_code(0);
    assert!(output.stderr.contains("run-0 resumes from"), "{}", output.stderr);
    assert_eq!(complete_manifest(&run.train_run(0)).summary["processes"], serde_json::json!([2, 1]));
    assert_eq!(history(run).len(), epochs);
}

#[test]
fn the_death_of_one_process_ends_all_and_the_training_resumes() {
    if lacks_mpi() {
        return;
    }
    let sandbox = Sandbox::new();
    let run = sandbox.run("killed");
    let (mut child, processes) = start_long(&sandbox, &run);
    assert_eq!(processes.len(), 2, "{processes:?}");
    let start = Instant::now();
    signal("-KILL", processes[1]);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(processes_of(&run), [0_u32; 0]);
    resume_alone(&sandbox, &run);
}

#[test]
fn an_interruption_saves_the_progress_of_all_processes() {
    if lacks_mpi() {
        return;
    }
    let sandbox = Sandbox::new();
    let run = sandbox.run("interrupted");
    let (mut child, _) = start_long(&sandbox, &run);
    // xtask passes the signal on through mpirun.
    signal("-TERM", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(processes_of(&run), [0_u32; 0]);
    resume_alone(&sandbox, &run);
}
