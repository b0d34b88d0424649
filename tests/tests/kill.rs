//! Kills stages at random moments: an incomplete artifact must not look complete, and the next run must give the same
//! result as an uninterrupted one.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use artifacts::{RunDir, random};
use pipeline_tests::{Sandbox, TINY, complete_manifest, output_of, program, verified_manifest};
use rand::RngExt;

/// The number of times that each stage is killed.
const KILLS: u64 = 6;

/// The options of a training that keep a state, or draw at random.
const OPTIONS: &str = "[train]
schedule = 'cosine'
warmup_epochs = 0.5
weight_decay = 0.01
clip_norm = 1.0
accumulate = 2
label_smoothing = 0.1
class_balance = 'weights'
ema = 0.8
select = 'loss'
augment = { flip = true, jpeg = { probability = 0.5, times = [1, 3] }, crop = { probability = 0.5 } }
";

#[test]
fn killed_stage_leaves_no_partial_artifact() {
    let sandbox = Sandbox::new();
    sandbox.write_pipeline(&TINY.replace("[train]\n", OPTIONS));
    let (whole, killed) = (sandbox.run("whole"), sandbox.run("killed"));
    for (k, stage) in ["ingest", "train", "evaluate", "report"].into_iter().enumerate() {
        // Before the time is measured, because this may build the program.
        let mut uninterrupted = sandbox.stage(stage, &whole);
        let start = Instant::now();
        output_of(&mut uninterrupted).expect_code(0);
        let duration = start.elapsed();
        for i in 0..KILLS {
            let share: f64 = random::stream(11, "kill", &[k as u64, i]).random();
            let mut delay = duration.mul_f64(share);
            // The stage may be faster than the first time. If the kill came too late, repeat it with half the delay.
            while !kill_after(&mut sandbox.stage(stage, &killed), delay) {
                std::fs::remove_dir_all(artifact_of(stage, &killed)).expect("the complete artifact can be removed");
                delay /= 2;
            }
            // Either incomplete, or complete and undamaged: `verified_manifest` panics on anything between.
            let _complete = verified_manifest(&artifact_of(stage, &killed));
        }
        output_of(&mut sandbox.stage(stage, &killed)).expect_code(0);
        let (expected, found) =
            (complete_manifest(&artifact_of(stage, &whole)), complete_manifest(&artifact_of(stage, &killed)));
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
fn interrupted_stage_ends_pipeline_without_error() {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;

    for signal in ["-TERM", "-INT"] {
        let sandbox = Sandbox::new();
        let run = sandbox.run("first");
        let mut command = program("xtask");
        command.arg("pipeline").arg(sandbox.pipeline()).arg("--run-dir").arg(run.path());
        // The data set is so large that ingest does not end before the interruption.
        command.args(["--until", "ingest", "--data", "simulated:train=100000,test=0,size=96,seed=1"]);
        // In the background, no terminal sends SIGINT to the stage.
        let mut child = command.process_group(0).stderr(Stdio::piped()).spawn().expect("xtask starts");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.starts_with("ingest: running")), "ingest does not start");
        // The signal goes to xtask alone, which forwards it.
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill starts").success());
        let output: Vec<String> = lines.collect();
        assert_eq!(child.wait().expect("xtask ends").code(), Some(130), "{signal}: {output:?}");
        let messages = output.iter().filter(|line| line.contains("nothing is half written")).count();
        assert_eq!(messages, 1, "{signal}: {output:?}");
        assert!(!output.iter().any(|line| line.contains("error")), "{signal}: {output:?}");
        assert!(!run.ingest().exists());
    }
}

#[cfg(unix)]
#[test]
fn each_stage_ends_with_130_when_it_is_interrupted() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("interrupted");
    for stage in ["ingest", "train", "evaluate", "report"] {
        for signal in ["-INT", "-TERM"] {
            // A stage may end before the signal arrives.
            let interrupted = (0..20).find_map(|_| interrupt(sandbox.stage(stage, &run).arg("--force"), stage, signal));
            let message = interrupted.unwrap_or_else(|| panic!("{stage} always ended before {signal}"));
            assert!(message.contains("interrupted") && !message.contains("error"), "{stage} {signal}: {message}");
        }
        output_of(&mut sandbox.stage(stage, &run)).expect_code(0);
    }
}

/// Starts a stage, and sends it a signal as soon as it runs. Returns its messages, or `None` if it had ended before.
#[cfg(unix)]
fn interrupt(program: &mut Command, stage: &str, signal: &str) -> Option<String> {
    use std::io::{BufRead, BufReader};

    let mut child = program.stderr(Stdio::piped()).spawn().expect("the stage starts");
    let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with(&format!("{stage}: running"))), "{stage} does not start");
    // The program may have ended.
    let _ = Command::new("kill").args([signal, &child.id().to_string()]).stderr(Stdio::null()).status();
    let message: Vec<String> = lines.collect();
    match child.wait().expect("the stage ends").code() {
        Some(130) => Some(message.join("\n")),
        Some(0) => None,
        code => panic!("{stage} ended with {code:?} after {signal}: {message:?}"),
    }
}

/// Starts a program and kills it after `delay`. Returns `false` if it had ended before.
///
/// # Panics
/// The program failed before it was killed.
fn kill_after(program: &mut Command, delay: Duration) -> bool {
    let mut child = program.stderr(Stdio::null()).spawn().expect("the stage starts");
    std::thread::sleep(delay);
    child.kill().expect("the stage can be killed");
    let status = child.wait().expect("the stage ends");
    assert!(status.success() || status.code().is_none(), "the stage failed before it was killed: {status}");
    !status.success()
}

/// The folder of a stage's artifact.
fn artifact_of(stage: &str, run: &RunDir) -> PathBuf {
    if stage == "train" { run.train_run(0) } else { run.stage(stage) }
}
