//! Runs the stage and the tools on a small synthetic run with an untrained network.

use std::path::Path;

use artifacts::predictions;
use artifacts::schema::{Comparison, Explanations, Flip, Metrics, Robustness};
use artifacts::{Label, Manifest, names};
use pipeline_tests::untrained::{Run, read, run_program, succeed};

#[test]
fn evaluates_explains_and_compares() {
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
    succeed(&run_program("candling-compare", &arguments));
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
        let output = run_program("candling-evaluate", &arguments);
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
