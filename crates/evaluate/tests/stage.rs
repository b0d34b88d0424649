//! Runs the stage and the tools on a small synthetic run with an untrained network.

#![expect(clippy::unwrap_used, reason = "a run that cannot be set up fails the test")]

mod support;

use std::path::Path;

use artifacts::predictions;
use artifacts::schema::{Comparison, Explanations, Flip, Metrics, Robustness};
use artifacts::{Label, Manifest, names};
use serde_json::Value;
use support::{Run, program, read, succeed};

#[test]
fn evaluates_explains_compares_and_predicts() {
    let run = Run::new();
    succeed(&run.evaluate(&["--robustness", "--set", "evaluate.robustness_images=6"]));
    let folder = run.run_dir().evaluate();
    let metrics: Metrics = read(&folder.join(names::METRICS));
    check_metrics(&metrics, &folder);
    check_explanations(&folder);
    check_robustness(&read(&folder.join(Robustness::FILE)));

    let again = run.evaluate(&["--robustness", "--set", "evaluate.robustness_images=6"]);
    succeed(&again);
    assert!(String::from_utf8_lossy(&again.stderr).contains("up to date"));

    check_comparison(&run);
    check_predictions(&run, &folder);
}

fn check_metrics(metrics: &Metrics, folder: &Path) {
    let rows = predictions::read(&folder.join(names::PREDICTIONS)).unwrap();
    assert_eq!((metrics.headline.n, metrics.runs.len(), rows.len()), (12, 2, 24));
    let confusion = metrics.headline.confusion;
    let right = rows.iter().filter(|row| row.run == 0 && row.predicted == row.label).count() as u64;
    assert_eq!(confusion.true_negative + confusion.true_positive, right);
    assert_eq!(metrics.headline.accuracy, Some(right as f64 / 12.0));
    assert_ne!(metrics.runs[0].weights, metrics.runs[1].weights);
    assert_eq!(metrics.runs[0].generators.groups.len(), 3);
    assert!(metrics.over_runs["accuracy"].std.is_some());
    let fitted = metrics.runs[0].fitted.as_ref().unwrap();
    assert_eq!(fitted.fitted_on, 12);
    assert!(fitted.inconclusive.low <= fitted.scores.threshold && fitted.scores.threshold <= fitted.inconclusive.high);
    // The temperature keeps the order.
    assert_eq!(fitted.scores.roc_auc, metrics.headline.roc_auc);
    let brier = metrics.headline.brier.unwrap();
    let interval = metrics.intervals["brier"];
    assert!(interval.low <= brier && brier <= interval.high);
}

fn check_explanations(folder: &Path) {
    let folder = folder.join(names::EXPLANATIONS);
    let explanations: Explanations = read(&folder.join(names::EXPLANATIONS_INDEX));
    assert!(!explanations.examples.is_empty());
    for example in &explanations.examples {
        let pictures = example.heat_maps.iter().map(|map| &map.overlay).chain([&example.image]);
        for picture in pictures.chain(&explanations.legend) {
            assert!(image::open(folder.join(picture)).is_ok(), "{picture}");
        }
        assert_eq!(example.heat_maps.len(), 2);
        assert_eq!(example.heat_maps[0].class, example.predicted);
    }
    assert!(explanations.sanity.is_some());
}

fn check_robustness(robustness: &Robustness) {
    assert_eq!((robustness.images, robustness.from_files), (6, 6));
    let operations: Vec<&str> = robustness.curves.iter().map(|curve| curve.operation.as_str()).collect();
    assert_eq!(operations, ["jpeg", "webp", "resize", "shrink", "blur", "noise", "crop", "social_media"]);
    for point in robustness.curves.iter().flat_map(|curve| &curve.points) {
        let flips = (point.flips_to_fake + point.flips_to_real) as f64;
        assert_eq!(point.flipped, Some(flips / 6.0));
        assert_eq!(point.scores.n, 6);
    }
    assert!(robustness.left_out.is_empty(), "{:?}", robustness.left_out);
    // The list of flips agrees with the counts.
    for curve in &robustness.curves {
        for point in &curve.points {
            let listed = |from: Label| {
                let of_point = |flip: &&Flip| flip.operation == curve.operation && flip.level == point.level;
                let images = robustness.flips.iter().filter(|image| image.predicted == from);
                images.flat_map(|image| &image.flips).filter(of_point).count() as u64
            };
            assert_eq!((listed(Label::Real), listed(Label::Fake)), (point.flips_to_fake, point.flips_to_real));
        }
    }
    for image in &robustness.flips {
        assert!(image.flips.iter().all(|flip| (flip.p_fake >= 0.5) != (image.p_fake >= 0.5)), "{image:?}");
    }
}

fn check_comparison(run: &Run) {
    let out = run.dir.path().join("compare");
    let given = run.run_dir().path().to_string_lossy().into_owned();
    let second = format!("{given}:1");
    let out_text = out.to_string_lossy().into_owned();
    let arguments = [given.as_str(), &second, "--out", &out_text, "--resamples", "50"].map(str::to_owned);
    succeed(&program(env!("CARGO_BIN_EXE_candling-compare"), &arguments));
    let comparison: Comparison = read(&out.join(Comparison::FILE));
    assert_eq!((comparison.images, comparison.detectors.len(), comparison.pairs.len()), (12, 2, 1));
    let pair = &comparison.pairs[0];
    let areas = [0, 1].map(|index| comparison.detectors[index].scores.roc_auc.unwrap());
    assert!((pair.roc_auc.unwrap().difference - (areas[0] - areas[1])).abs() < 1e-12);
    assert_eq!(pair.differences[0].value, Some(areas[0] - areas[1]));
    for detector in &comparison.detectors {
        assert!(detector.intervals.contains_key("brier") && detector.roc.len() > 2);
    }
    assert_eq!(comparison.disagreeing, comparison.disagreements.len() as u64);
    for image in &comparison.disagreements {
        assert_ne!(image.p_fake[0] >= 0.5, image.p_fake[1] >= 0.5, "{image:?}");
    }
}

fn check_predictions(run: &Run, folder: &Path) {
    let predictions = predictions::read(&folder.join(names::PREDICTIONS)).unwrap();
    let metrics: Metrics = read(&folder.join(names::METRICS));
    let band = metrics.runs[0].fitted.as_ref().unwrap().inconclusive;
    let source = run.source().join("test");
    let hostile = source.join("a\u{1b}[31m<b>\n.png");
    std::fs::write(&hostile, b"\x89PNG\r\n\x1a\n and then nothing").unwrap();
    std::fs::write(source.join("empty.jpg"), b"").unwrap();
    let overlays = run.dir.path().join("overlays");
    let (rows, output) =
        run.predict(&[&source.to_string_lossy(), "--batch", "5", "--explain", &overlays.to_string_lossy()]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(rows.len(), 14);
    assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b));
    let (broken, good): (Vec<&Value>, Vec<&Value>) = rows.iter().partition(|row| row["error"].is_string());
    assert_eq!(broken.len(), 2);
    assert!(broken.iter().all(|row| row["verdict"].is_null() && row["p_fake"].is_null()));
    for row in good {
        let file = row["file"].as_str().unwrap();
        let expected = predictions.iter().find(|row| row.run == 0 && row.id.to_string() == file).unwrap();
        assert_eq!(row["p_fake"].as_f64().unwrap().to_bits(), expected.p_fake.to_bits(), "{row}");
        let calibrated = expected.p_fake_calibrated.unwrap();
        assert_eq!(row["p_fake_calibrated"].as_f64().unwrap().to_bits(), calibrated.to_bits(), "{row}");
        let verdict = match calibrated {
            p if p < band.low => "real",
            p if p >= band.high => "fake",
            _ => "inconclusive",
        };
        assert_eq!(row["verdict"], verdict, "{row}");
        assert!(image::open(row["explanation"].as_str().unwrap()).is_ok());
    }
}

#[test]
fn rejects_training_runs_with_different_settings() {
    let run = Run::new();
    let dir = run.run_dir().train_run(1);
    let mut manifest = Manifest::require(&dir, names::TRAIN).unwrap();
    manifest.config = serde_json::json!({ "seed": 7 });
    manifest.write(&dir).unwrap();
    succeed(&run.evaluate(&["--plan"]));
    manifest.config = serde_json::json!({ "seed": 7, "epochs": 3 });
    manifest.write(&dir).unwrap();
    let output = run.evaluate(&[]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(3) && message.contains("run-1") && message.contains("different settings"),
        "{message}"
    );
}

#[test]
fn exit_codes_distinguish_usage_from_input() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().to_string_lossy().into_owned();
    let evaluate = |arguments: &[&str]| {
        let arguments: Vec<String> = arguments.iter().map(|s| (*s).to_owned()).collect();
        let output = program(env!("CARGO_BIN_EXE_candling-evaluate"), &arguments);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, message) = evaluate(&["--run-dir", &empty]);
    assert_eq!(code, Some(3), "{message}");
    assert!(message.contains("cargo xtask ingest"), "{message}");
    let (code, message) = evaluate(&["--run-dir", &empty, "--set", "evaluate.bacth=3"]);
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains("evaluate.batch"), "{message}");
    let (code, message) = evaluate(&["--run-dir", &empty, "--set", "evaluate.batch=0"]);
    assert_eq!(code, Some(2), "{message}");
}
