//! A pipeline with a detector of branches that needs no pretrained weights.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use artifacts::{RunDir, config, names, predictions};
use pipeline_tests::{Sandbox, complete_manifest, json, output_of, program};
use pixels::RgbImage;
use pixels::encode::{Subsampling, jpeg};
use serde_json::Value;

const BRANCHES: &str = "
[ingest]
source = 'simulated:train=60,test=24,size=96,seed=3'
size = 32
val_fraction = 0.25
keep_files = true

[model]
branches = ['frequency', 'patches', 'metadata']
patches = { side = 32, count = 2 }
held_out_folds = 2

[model.views]
train = 1
augment = { jpeg = { probability = 0.5 } }

[train]
epochs = 3
batch = 16

[evaluate]
resamples = 50
examples = 2
";

fn weights(run: &RunDir) -> Vec<u8> {
    fs::read(run.train_run(0).join("best").join(names::WEIGHTS)).unwrap()
}

/// Returns the row of `predict --json` for a file.
fn predict(run: &RunDir, file: &Path) -> Value {
    let mut command = program("candling-predict");
    command.arg("--run-dir").arg(run.path()).arg("--json").arg(file);
    let output = output_of(&mut command).expect_code(0).stdout;
    let parsed: Value = serde_json::from_str(output.trim()).unwrap();
    parsed.as_array().and_then(|rows| rows.first().cloned()).unwrap_or(parsed)
}

#[test]
fn pipeline_trains_judges_and_reports_branches() {
    let sandbox = Sandbox::new();
    sandbox.write_pipeline(BRANCHES);
    let run = sandbox.run("first");
    let robustness = ["--set", "evaluate.robustness=true", "--set", "evaluate.robustness_images=4"];
    sandbox.pipeline_into(&run, &robustness).expect_code(0);
    for dir in [run.ingest(), run.train_run(0), run.evaluate(), run.report()] {
        complete_manifest(&dir);
    }
    let written = config::read(&run.config()).unwrap();
    assert_eq!(written["model"]["branches"].as_array().unwrap().len(), 3);
    assert!(written["train"].get("model").is_none());
    let dry = sandbox.pipeline_into(&run, &[&["--dry-run"], &robustness[..]].concat());
    assert_eq!(dry.expect_code(0).stderr.matches("would not run: up to date").count(), 4);

    // Metadata has its own P(fake), and does not change the verdict.
    let rows = predictions::read(&run.evaluate().join(names::PREDICTIONS)).unwrap();
    for row in &rows {
        assert_eq!(row.branches.keys().collect::<Vec<_>>(), ["frequency", "metadata", "patches"]);
        let fused = [row.branches["frequency"].unwrap(), row.branches["patches"].unwrap()];
        assert!(fused[0].min(fused[1]) - 1e-6 <= row.p_fake && row.p_fake <= fused[0].max(fused[1]) + 1e-6);
    }
    let metrics = json(&run.evaluate().join(names::METRICS));
    let ablation = metrics["runs"][0]["ablation"].as_array().unwrap();
    // Each branch alone, and both branches of the fusion.
    assert_eq!(ablation.len(), 4, "{ablation:?}");
    assert!(fs::read_to_string(run.page()).unwrap().contains("id=\"branches\""));

    // The prediction for a file equals the evaluation's.
    let sample = &rows[0];
    let image = sandbox.path().join("image.jpg");
    let shards = artifacts::shard::Shards::open(&run.ingest(), artifacts::Split::Test).unwrap();
    let row = shards.samples().iter().position(|found| found.id == sample.id).unwrap();
    fs::write(&image, shards.file(row).unwrap()).unwrap();
    let predicted = predict(&run, &image);
    assert!((predicted["p_fake"].as_f64().unwrap() - sample.p_fake).abs() < 1e-6, "{predicted}");
    assert!(predicted["branches"]["frequency"].is_f64() && predicted["branches"]["patches"].is_f64(), "{predicted}");

    // The branches have nothing to say about a picture that is too small for them.
    let small = sandbox.path().join("small.jpg");
    let grey = RgbImage::from_fn(30, 30, |x, y| [(x * 3 + y) as u8; 3]);
    fs::write(&small, jpeg(&grey, 90, Subsampling::Full).unwrap()).unwrap();
    let predicted = predict(&run, &small);
    assert!(predicted["branches"]["patches"].is_null(), "{predicted}");
    assert!(predicted["branches"]["frequency"].is_null() && predicted["p_fake"].as_f64() == Some(0.5), "{predicted}");
}

#[test]
fn number_of_threads_does_not_change_a_training() {
    let sandbox = Sandbox::new();
    sandbox.write_pipeline(BRANCHES);
    let runs = ["1", "2"].map(|threads| {
        let run = sandbox.run(threads);
        for stage in ["ingest", "train"] {
            output_of(sandbox.stage(stage, &run).env("RAYON_NUM_THREADS", threads)).expect_code(0);
        }
        run
    });
    assert!(weights(&runs[0]) == weights(&runs[1]), "the weights differ");
}

#[test]
fn refuses_branches_without_files_or_weights_before_it_writes() {
    let sandbox = Sandbox::new();
    sandbox.write_pipeline(BRANCHES);
    let run = sandbox.run("refused");
    let files = sandbox.pipeline_into(&run, &["--set", "ingest.keep_files=false"]).expect_code(2);
    assert!(files.stderr.contains("ingest.keep_files"), "{}", files.stderr);
    let vit = ["--set", "model.branches=['vit']", "--set", "model.vit.weights=none"];
    let weights = sandbox.pipeline_into(&run, &vit).expect_code(2);
    assert!(weights.stderr.contains("model.vit.weights"), "{}", weights.stderr);
    assert!(!run.path().exists());
}
