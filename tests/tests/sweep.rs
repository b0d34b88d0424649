//! Sweeps over settings and generators.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use artifacts::{Manifest, RunDir};
use pipeline_tests::{Sandbox, json, output_of, program};

/// A pipeline of seconds: heads on the features of one branch.
const PIPELINE: &str = "
[ingest]
source = 'simulated:train=64,test=48,size=96,seed=3'
size = 32
val_fraction = 0.25
keep_files = true

[model]
branches = ['frequency']
held_out_folds = 0

[model.views]
train = 0

[train]
epochs = 2
batch = 16

[evaluate]
resamples = 50
examples = 0
";

/// The command `cargo xtask sweep` on the pipeline file.
fn sweep(sandbox: &Sandbox, folder: &Path, options: &[&str]) -> Command {
    let mut command = program("xtask");
    command.arg("sweep").arg(sandbox.pipeline()).arg("--run-dir").arg(folder).args(options);
    command
}

#[test]
fn killed_sweep_continues_and_validation_chooses() {
    let sandbox = Sandbox::new();
    sandbox.write_pipeline(PIPELINE);
    let folder = sandbox.path().join("sweep");
    let options = [
        "--set",
        "train.learning_rate=1e-2,1e-1",
        "--set",
        "train.seed=0..3",
        "--device",
        "cpu",
        "--set",
        "ingest.size=40",
    ];
    let dry = output_of(sweep(&sandbox, &folder, &options).arg("--dry-run")).expect_code(0);
    assert_eq!(dry.stdout.lines().count(), 6, "{}", dry.stdout);
    assert!(!folder.exists(), "a dry run writes nothing");

    // Killed while one of the jobs runs, with at least one complete.
    let mut running = sweep(&sandbox, &folder, &options).spawn().unwrap();
    let first = RunDir::new(folder.join("learning_rate=1e-2,seed=0"));
    let start = Instant::now();
    while !first.report().join("manifest.json").exists() {
        assert!(start.elapsed() < Duration::from_secs(300), "the first job does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
    running.kill().unwrap();
    running.wait().unwrap();
    let trained = fs::read(first.train_run(0).join("manifest.json")).unwrap();

    // A stage of the killed sweep may still hold the lock of its run for a moment.
    let output = loop {
        let output = output_of(&mut sweep(&sandbox, &folder, &options));
        if output.code == Some(0) || start.elapsed() > Duration::from_secs(400) {
            break output.expect_code(0);
        }
    };
    assert_eq!(fs::read(first.train_run(0).join("manifest.json")).unwrap(), trained, "a complete job ran again");
    let results = json(&folder.join("sweep.json"));
    assert_eq!(results["jobs"].as_array().unwrap().len(), 6);
    assert_eq!(results["chosen"]["seeds"], 3);
    let chosen = results["chosen"]["name"].as_str().unwrap();
    assert!(output.stdout.contains(&format!("Validation chose {chosen}")), "{}", output.stdout);
    assert_eq!(fs::read_to_string(folder.join("sweep.csv")).unwrap().lines().next().unwrap().split(',').count(), 7);
    // The images are ingested once.
    let shards = first.ingest().canonicalize().unwrap();
    assert_eq!(shards, folder.canonicalize().unwrap().join("data/ingest"));

    let compared = ["--base", "learning_rate=1e-2,seed=0", "--json"];
    let output = output_of(&mut sweep(&sandbox, &folder, &[&options[..], &compared].concat())).expect_code(0);
    let last = output.stdout.lines().last().unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(last).unwrap(), json(&folder.join("sweep.json")));
    let comparison = json(&folder.join("compare/compare.json"));
    assert_eq!(comparison["entrants"].as_array().unwrap().len(), 6);
}

#[test]
fn each_generator_is_left_out_trained_on_alone_and_with_few_images() {
    let sandbox = Sandbox::new();
    sandbox.write_pipeline(PIPELINE);
    let folder = sandbox.path().join("left-out");
    let output = output_of(&mut sweep(&sandbox, &folder, &["--leave-out-each"])).expect_code(0);
    assert!(output.stdout.contains("On generators that were left out: mean"), "{}", output.stdout);
    let data = Manifest::read(&folder.join("data/ingest")).unwrap().unwrap();
    let generators = data.summary["splits"]["train"]["generators"].as_object().unwrap();
    let generators: Vec<&String> = generators.keys().filter(|name| !name.is_empty()).collect();
    let results = json(&folder.join("sweep.json"));
    let jobs = results["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), generators.len());
    for job in jobs {
        let run = RunDir::new(folder.join(job["name"].as_str().unwrap()));
        let config = Manifest::read(&run.train_run(0)).unwrap().unwrap().config;
        assert_eq!(config["leave_out"][0], job["choices"][0]["value"]);
    }

    // The pipeline file names no source.
    let source = "simulated:train=64,test=48,size=96,seed=3";
    sandbox.write_pipeline(&PIPELINE.replace(&format!("source = '{source}'\n"), ""));
    let folder = sandbox.path().join("alone");
    let options = ["--train-on-each", "--data", source];
    let output = output_of(&mut sweep(&sandbox, &folder, &options)).expect_code(0);
    assert!(output.stdout.contains("mean of the others"), "{}", output.stdout);
    assert!(fs::read_to_string(folder.join("matrix.svg")).unwrap().contains(generators[0].as_str()));

    sandbox.write_pipeline(PIPELINE);
    let folder = sandbox.path().join("few");
    let few = format!("{}=0,2", generators[0]);
    let output = output_of(&mut sweep(&sandbox, &folder, &["--few-shot", &few])).expect_code(0);
    assert!(output.stdout.contains("| 2 |"), "{}", output.stdout);
    let images = |count: &str| {
        let run = RunDir::new(folder.join(format!("{}={count}", generators[0])));
        Manifest::read(&run.train_run(0)).unwrap().unwrap().summary["train_images"].as_u64().unwrap()
    };
    assert_eq!(images("2"), images("0") + 2);
}

#[test]
fn wrong_arguments_are_refused_before_anything_is_written() {
    let sandbox = Sandbox::new();
    sandbox.write_pipeline(PIPELINE);
    let folder = sandbox.path().join("refused");
    for (options, message) in [
        (&["--set", "train.epochs=2"][..], "one job only"),
        (&["--set", "train.seed=0,0"], "twice"),
        (&["--few-shot", "nearest"], "GENERATOR=N"),
        (&["--set", "train.seed=0..2", "--base", "seed=7"], "seed=0, seed=1"),
        (&["--leave-out-each", "--set", "ingest.size=32,64"], "[ingest]"),
    ] {
        let stderr = output_of(&mut sweep(&sandbox, &folder, options)).expect_code(2).stderr;
        assert!(stderr.contains(message), "{options:?}: {stderr}");
    }
    let dry = output_of(&mut sweep(&sandbox, &folder, &["--leave-out-each", "--dry-run"])).expect_code(3).stderr;
    assert!(dry.contains("--until ingest"), "{dry}");
    assert!(!folder.exists());
}
