//! Killed at random moments, no stage leaves an artifact that reads as complete but is not, and the next run
//! gives what an uninterrupted one would have given.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use artifacts::{RunDir, random};
use pipeline_tests::{Bench, complete_manifest, outcome, program, sound_manifest};
use rand::RngExt;

/// Kills of each stage; with four stages, 24 in all.
const KILLS: u64 = 6;

#[test]
fn a_kill_at_any_moment_leaves_nothing_half_done() {
    let bench = Bench::new();
    let (whole, killed) = (bench.run("whole"), bench.run("killed"));
    for (k, stage) in ["ingest", "train", "evaluate", "report"].into_iter().enumerate() {
        // Made first, because making it may build the program.
        let mut uninterrupted = bench.stage(stage, &whole);
        let start = Instant::now();
        outcome(&mut uninterrupted).expect_code(0);
        let duration = start.elapsed();
        for i in 0..KILLS {
            let share: f64 = random::stream(11, "kill", &[k as u64, i]).random();
            let mut delay = duration.mul_f64(share);
            // A stage may be faster than it was the first time: a kill that comes too late is tried again, sooner.
            while !kill_after(&mut bench.stage(stage, &killed), delay) {
                std::fs::remove_dir_all(output_of(stage, &killed)).expect("the complete artifact can be removed");
                delay /= 2;
            }
            // Either nothing complete, or complete and sound: `sound_manifest` fails the test on anything between.
            let _complete = sound_manifest(&output_of(stage, &killed));
        }
        outcome(&mut bench.stage(stage, &killed)).expect_code(0);
        let (expected, found) =
            (complete_manifest(&output_of(stage, &whole)), complete_manifest(&output_of(stage, &killed)));
        if stage == "ingest" || stage == "evaluate" {
            assert_eq!(found.outputs, expected.outputs, "{stage}");
        }
        if stage == "train" {
            for file in ["best/model.safetensors", "last/model.safetensors", "last/training_state.safetensors"] {
                assert_eq!(found.outputs[file], expected.outputs[file], "{file}");
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_stage_ends_its_pipeline_without_an_error() {
    use std::io::{BufRead, BufReader};

    let bench = Bench::new();
    let run = bench.run("first");
    let mut command = program("xtask");
    command.arg("pipeline").arg(bench.pipeline()).arg("--run-dir").arg(run.path());
    // So large that it cannot end before it is interrupted.
    command.args(["--until", "ingest", "--data", "simulated:train=100000,test=0,size=96,seed=1"]);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("xtask starts");
    let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("ingest: running")), "ingest does not start");
    // The handler stands when the stage has begun to work; SIGTERM to this process alone, which hands it on.
    std::thread::sleep(Duration::from_millis(300));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill starts").success());
    let said: Vec<String> = lines.collect();
    assert_eq!(child.wait().expect("xtask ends").code(), Some(130), "{said:?}");
    assert!(said.iter().any(|line| line.contains("nothing is half written")), "{said:?}");
    assert!(!said.iter().any(|line| line.contains("error")), "{said:?}");
    assert!(!run.ingest().exists());
}

/// Starts a program and kills it after this time; false if it had ended by itself, which it must have done well.
fn kill_after(program: &mut Command, delay: Duration) -> bool {
    let mut child = program.stderr(Stdio::null()).spawn().expect("the stage starts");
    std::thread::sleep(delay);
    child.kill().expect("the stage can be killed");
    let status = child.wait().expect("the stage ends");
    assert!(status.success() || status.code().is_none(), "the stage failed by itself: {status}");
    !status.success()
}

fn output_of(stage: &str, run: &RunDir) -> PathBuf {
    if stage == "train" { run.train_run(0) } else { run.stage(stage) }
}
