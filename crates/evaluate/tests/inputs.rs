//! Checkpoints and evaluations that are missing, cut short, or not those their manifests describe: each is the input's fault,
//! and said so.

#![expect(clippy::unwrap_used, reason = "a run that cannot be set up is a failed test")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Output;

use artifacts::hash::Hash;
use artifacts::{Checkpoint, Manifest, OutputFile, names, predictions};
use support::{Run, program, succeed};

fn compare(run: &Run) -> Output {
    let given = run.run_dir().path().to_string_lossy().into_owned();
    let out = run.dir.path().join("compare").to_string_lossy().into_owned();
    let second = format!("{given}:1");
    let arguments = [given.as_str(), &second, "--out", &out, "--resamples", "20"].map(str::to_owned);
    program(env!("CARGO_BIN_EXE_candling-compare"), &arguments)
}

fn predict(run: &Run, options: &[&str]) -> Output {
    let images = run.source().join("test").to_string_lossy().into_owned();
    run.predict(&[&[images.as_str()], options].concat()).1
}

/// Asserts that a program refused a file for its content, and said which and what to do.
fn refused(output: &Output, file: &str, why: &str) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{message}");
    assert!(message.contains(file) && message.contains(why), "{message}");
}

const CHANGED: &str = "not the file its manifest describes";

#[test]
fn a_changed_evaluation_is_refused() {
    let run = Run::new();
    succeed(&run.evaluate(&["--set", "evaluate.examples=0"]));
    succeed(&compare(&run));
    let dir = run.run_dir().evaluate();
    let path = dir.join(names::METRICS);
    let whole = fs::read_to_string(&path).unwrap();

    let at = whole.find("\"temperature\": ").unwrap() + "\"temperature\": ".len();
    fs::write(&path, format!("{}-{}", &whole[..at], &whole[at..])).unwrap();
    refused(&predict(&run, &[]), names::METRICS, CHANGED);
    refused(&compare(&run), names::METRICS, CHANGED);

    // As a later Candling may have written it.
    let later = whole.replacen("\"schema_version\": 1", "\"schema_version\": 2", 1);
    fs::write(&path, &later).unwrap();
    let manifest = Manifest::read(&dir).unwrap().unwrap();
    let mut renewed = manifest.clone();
    let output = OutputFile { blake3: Hash::of(later.as_bytes()), bytes: later.len() as u64 };
    renewed.outputs.insert(names::METRICS.to_owned(), output);
    renewed.write(&dir).unwrap();
    refused(&predict(&run, &[]), names::METRICS, "schema version 2");
    refused(&compare(&run), names::METRICS, "schema version 2");
    fs::write(&path, &whole).unwrap();
    manifest.write(&dir).unwrap();
    succeed(&predict(&run, &[]));

    let table = dir.join(names::PREDICTIONS);
    let mut rows = predictions::read(&table).unwrap();
    rows[0].p_fake = 0.5;
    predictions::write(&table, &rows).unwrap();
    refused(&compare(&run), names::PREDICTIONS, CHANGED);
}

fn copy(from: &Checkpoint, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from.path()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn a_changed_checkpoint_is_refused_and_one_that_stands_alone_is_not() {
    let run = Run::new();
    let [best, other] = [0, 1].map(|number| Checkpoint::best(&run.run_dir().train_run(number)));
    let alone = run.dir.path().join("alone");
    copy(&best, &alone);
    let alone_text = alone.to_string_lossy().into_owned();
    succeed(&predict(&run, &["--ckpt", &alone_text]));

    // Beside the manifest of some web application.
    let site = run.dir.path().join("site");
    copy(&best, &site.join("best"));
    fs::write(site.join(names::MANIFEST), r#"{"name": "a site", "icons": []}"#).unwrap();
    succeed(&predict(&run, &["--ckpt", &site.join("best").to_string_lossy()]));
    // A training run's own, which is known by its history, must be whole.
    fs::write(site.join(names::HISTORY), "").unwrap();
    refused(&predict(&run, &["--ckpt", &site.join("best").to_string_lossy()]), names::MANIFEST, "manifest");

    let whole = fs::read(best.weights()).unwrap();
    let mut flipped = whole.clone();
    let middle = whole.len() / 2;
    flipped[middle..middle + 16].iter_mut().for_each(|byte| *byte ^= 0xff);
    for changed in [flipped, fs::read(other.weights()).unwrap()] {
        fs::write(best.weights(), changed).unwrap();
        refused(&predict(&run, &[]), names::WEIGHTS, CHANGED);
        refused(&run.evaluate(&[]), names::WEIGHTS, CHANGED);
        // By whatever way it is reached.
        let path = best.path().to_string_lossy().into_owned();
        refused(&predict(&run, &["--ckpt", &path]), names::WEIGHTS, CHANGED);
    }
    fs::write(best.weights(), whole).unwrap();
    let config = fs::read_to_string(best.preprocessor_config()).unwrap();
    fs::write(best.preprocessor_config(), config.replacen("0.485", "0.5", 1)).unwrap();
    refused(&predict(&run, &[]), names::PREPROCESSOR_CONFIG, CHANGED);

    fs::copy(other.weights(), Checkpoint::new(&alone).weights()).unwrap();
    succeed(&predict(&run, &["--ckpt", &alone_text]));
}

#[test]
fn a_missing_or_cut_checkpoint_is_bad_input_and_told_with_advice() {
    let run = Run::new();
    let nowhere = run.dir.path().join("nowhere").to_string_lossy().into_owned();
    refused(&predict(&run, &["--ckpt", &nowhere]), "nowhere", "--ckpt");
    // For a stage that is a setting, and refused before anything runs.
    let output = run.evaluate(&["--ckpt", &nowhere]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && message.contains("evaluate.ckpt"), "{message}");
    // What an earlier stage has yet to make is asked for when it is needed.
    let later = run.dir.path().join("later");
    for (key, path) in [("ckpt", "train/run-0/best"), ("data", "ingest")] {
        let set = format!("evaluate.{key}={}", later.join(path).display());
        let output = run.evaluate_in(&later, &["--plan", "--set", &set]);
        succeed(&output);
        refused(&run.evaluate_in(&later, &["--set", &set]), "later", "cargo xtask ingest");
    }
    let of_no_run = ["--run-dir", &nowhere, "x.png"].map(str::to_owned);
    refused(&program(env!("CARGO_BIN_EXE_candling-predict"), &of_no_run), "nowhere", "--run-dir");

    let alone = run.dir.path().join("alone");
    let best = Checkpoint::best(&run.run_dir().train_run(0));
    copy(&best, &alone);
    let whole = fs::read(best.weights()).unwrap();
    for checkpoint in [&best, &Checkpoint::new(&alone)] {
        fs::write(checkpoint.weights(), &whole[..whole.len() / 2]).unwrap();
    }
    let alone = alone.to_string_lossy().into_owned();
    refused(&predict(&run, &[]), names::WEIGHTS, "cargo xtask train");
    refused(&run.evaluate(&[]), names::WEIGHTS, "cargo xtask train");
    refused(&predict(&run, &["--ckpt", &alone]), "alone", "name another with --ckpt");
    refused(&run.evaluate(&["--ckpt", &alone]), "alone", "name another with --ckpt");
}
