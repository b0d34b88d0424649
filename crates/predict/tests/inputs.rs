//! Missing, truncated and changed checkpoints and evaluations: the programs end with exit code 3 and a message with
//! advice.

use std::fs;
use std::path::Path;
use std::process::Output;

use artifacts::hash::Hash;
use artifacts::{Checkpoint, Manifest, OutputFile, names, predictions};
use pipeline_tests::untrained::{Run, run_program, succeed};

fn compare(run: &Run) -> Output {
    let given = run.run_dir().path().to_string_lossy().into_owned();
    let out = run.dir.path().join("compare").to_string_lossy().into_owned();
    let second = format!("{given}:1");
    let arguments = [given.as_str(), &second, "--out", &out, "--resamples", "20"].map(str::to_owned);
    run_program("candling-compare", &arguments)
}

fn predict(run: &Run, options: &[&str]) -> Output {
    let images = run.source().join("test").to_string_lossy().into_owned();
    run.predict(&[&[images.as_str()], options].concat()).1
}

/// Asserts that a program ended with exit code 3 and a message that holds `file` and `text`.
fn assert_bad_input(output: &Output, file: &str, text: &str) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{message}");
    assert!(message.contains(file) && message.contains(text), "{message}");
}

const CHANGED: &str = "not the file its manifest describes";

#[test]
fn rejects_changed_evaluation() {
    let run = Run::new();
    succeed(&run.evaluate(&["--set", "evaluate.examples=0"]));
    succeed(&compare(&run));
    let dir = run.run_dir().evaluate();
    let path = dir.join(names::METRICS);
    let whole = fs::read_to_string(&path).unwrap();

    let at = whole.find("\"temperature\": ").unwrap() + "\"temperature\": ".len();
    fs::write(&path, format!("{}-{}", &whole[..at], &whole[at..])).unwrap();
    assert_bad_input(&predict(&run, &[]), names::METRICS, CHANGED);
    assert_bad_input(&compare(&run), names::METRICS, CHANGED);

    // Schema version 2, as a later version of Candling may write it.
    let later = whole.replacen("\"schema_version\": 1", "\"schema_version\": 2", 1);
    fs::write(&path, &later).unwrap();
    let manifest = Manifest::read(&dir).unwrap().unwrap();
    let mut renewed = manifest.clone();
    let output = OutputFile { blake3: Hash::of(later.as_bytes()), bytes: later.len() as u64 };
    renewed.outputs.insert(names::METRICS.to_owned(), output);
    renewed.write(&dir).unwrap();
    assert_bad_input(&predict(&run, &[]), names::METRICS, "schema version 2");
    assert_bad_input(&compare(&run), names::METRICS, "schema version 2");
    fs::write(&path, &whole).unwrap();
    manifest.write(&dir).unwrap();
    succeed(&predict(&run, &[]));

    let table = dir.join(names::PREDICTIONS);
    let mut rows = predictions::read(&table).unwrap();
    rows[0].p_fake = 0.5;
    predictions::write(&table, &rows).unwrap();
    assert_bad_input(&compare(&run), names::PREDICTIONS, CHANGED);
}

fn copy(from: &Checkpoint, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from.path()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn rejects_changed_checkpoint_of_a_training_run_only() {
    let run = Run::new();
    let [best, other] = [0, 1].map(|number| Checkpoint::best(&run.run_dir().train_run(number)));
    let alone = run.dir.path().join("alone");
    copy(&best, &alone);
    let alone_text = alone.to_string_lossy().into_owned();
    succeed(&predict(&run, &["--ckpt", &alone_text]));

    // A `manifest.json` of another program in the folder above the checkpoint is ignored.
    let site = run.dir.path().join("site");
    copy(&best, &site.join("best"));
    fs::write(site.join(names::MANIFEST), r#"{"name": "a site", "icons": []}"#).unwrap();
    succeed(&predict(&run, &["--ckpt", &site.join("best").to_string_lossy()]));
    // A folder with a training history is a training run, whose manifest must be readable.
    fs::write(site.join(names::HISTORY), "").unwrap();
    assert_bad_input(&predict(&run, &["--ckpt", &site.join("best").to_string_lossy()]), names::MANIFEST, "manifest");

    let whole = fs::read(best.weights()).unwrap();
    let mut flipped = whole.clone();
    let middle = whole.len() / 2;
    flipped[middle..middle + 16].iter_mut().for_each(|byte| *byte ^= 0xff);
    for changed in [flipped, fs::read(other.weights()).unwrap()] {
        fs::write(best.weights(), changed).unwrap();
        assert_bad_input(&predict(&run, &[]), names::WEIGHTS, CHANGED);
        assert_bad_input(&run.evaluate(&[]), names::WEIGHTS, CHANGED);
        // The same checkpoint by its path.
        let path = best.path().to_string_lossy().into_owned();
        assert_bad_input(&predict(&run, &["--ckpt", &path]), names::WEIGHTS, CHANGED);
    }
    fs::write(best.weights(), whole).unwrap();
    let config = fs::read_to_string(best.preprocessor_config()).unwrap();
    fs::write(best.preprocessor_config(), config.replacen("0.485", "0.5", 1)).unwrap();
    assert_bad_input(&predict(&run, &[]), names::PREPROCESSOR_CONFIG, CHANGED);

    fs::copy(other.weights(), Checkpoint::new(&alone).weights()).unwrap();
    succeed(&predict(&run, &["--ckpt", &alone_text]));
}

#[test]
fn rejects_missing_or_truncated_checkpoint_with_advice() {
    let run = Run::new();
    let nowhere = run.dir.path().join("nowhere").to_string_lossy().into_owned();
    assert_bad_input(&predict(&run, &["--ckpt", &nowhere]), "nowhere", "--ckpt");
    // The stage checks its configuration before it runs.
    let output = run.evaluate(&["--ckpt", &nowhere]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && message.contains("evaluate.ckpt"), "{message}");
    // Paths inside the run are checked only when they are needed, because an earlier stage makes them.
    let later = run.dir.path().join("later");
    for (key, path) in [("ckpt", "train/run-0/best"), ("data", "ingest")] {
        let set = format!("evaluate.{key}={}", later.join(path).display());
        let output = run.evaluate_in(&later, &["--plan", "--set", &set]);
        succeed(&output);
        assert_bad_input(&run.evaluate_in(&later, &["--set", &set]), "later", "cargo xtask pipeline");
    }
    let of_no_run = ["--run-dir", &nowhere, "x.png"].map(str::to_owned);
    assert_bad_input(&run_program("candling-predict", &of_no_run), "nowhere", "--run-dir");

    let alone = run.dir.path().join("alone");
    let best = Checkpoint::best(&run.run_dir().train_run(0));
    copy(&best, &alone);
    let whole = fs::read(best.weights()).unwrap();
    for checkpoint in [&best, &Checkpoint::new(&alone)] {
        fs::write(checkpoint.weights(), &whole[..whole.len() / 2]).unwrap();
    }
    let alone = alone.to_string_lossy().into_owned();
    assert_bad_input(&predict(&run, &[]), names::WEIGHTS, "cargo xtask train");
    assert_bad_input(&run.evaluate(&[]), names::WEIGHTS, "cargo xtask train");
    assert_bad_input(&predict(&run, &["--ckpt", &alone]), "alone", "name another with --ckpt");
    assert_bad_input(&run.evaluate(&["--ckpt", &alone]), "alone", "name another with --ckpt");
}
