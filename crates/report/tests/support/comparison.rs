//! The fixture of a comparison: `compare.json` with thumbnails.

use std::path::Path;

use artifacts::hash::Hash;
use serde_json::{Value, json};

use super::scenes;

/// The number of images with a thumbnail. More images have different verdicts.
pub(crate) const THUMBNAILS: usize = 24;

/// Returns the file name of an image in the order of the differences.
pub(crate) fn file_name(index: usize) -> String {
    format!("{index:05}-a-rather-long-name-of-a-picture.jpg")
}

/// Writes the comparison of `detectors` detectors into the folder `dir`. `change` changes its JSON.
pub(crate) fn write(dir: &Path, detectors: usize, change: impl FnOnce(&mut Value)) {
    std::fs::create_dir_all(dir.join("images")).unwrap();
    for index in 0..THUMBNAILS {
        let png = scenes::png(&scenes::scene(index as u32, index.is_multiple_of(2)));
        std::fs::write(dir.join(image(index)), png).unwrap();
    }
    let mut value = comparison(detectors);
    change(&mut value);
    std::fs::write(dir.join("compare.json"), value.to_string()).unwrap();
}

fn image(index: usize) -> String {
    format!("images/{index:03}.png")
}

fn comparison(detectors: usize) -> Value {
    let pairs: Vec<Value> =
        (0..detectors).flat_map(|first| (first + 1..detectors).map(move |second| pair(first, second))).collect();
    let disagreements: Vec<Value> = (0..THUMBNAILS + 10).map(|index| disagreement(index, detectors)).collect();
    json!({
        "schema_version": 1, "images": 400, "bootstrap": {"resamples": 2000, "seed": 0, "level": 0.95},
        "entrants": (0..detectors).map(detector).collect::<Vec<_>>(), "pairs": pairs,
        "disagreeing": disagreements.len(), "disagreements": disagreements,
    })
}

fn disagreement(index: usize, detectors: usize) -> Value {
    let fake = !index.is_multiple_of(3);
    let mut value = json!({
        "id": Hash::of(&index.to_le_bytes()), "path": format!("test/{}", file_name(index)),
        "label": if fake { "fake" } else { "real" }, "generator": if fake { "SD 1.5" } else { "" },
        "p_fake": (0..detectors).map(|k| if k.is_multiple_of(2) { 0.49 - 0.01 * index as f64 } else { 0.99 }).collect::<Vec<_>>(),
    });
    if index < THUMBNAILS {
        value["image"] = image(index).into();
    }
    value
}

fn detector(index: usize) -> Value {
    let area = 0.6 + 0.05 * index as f64;
    let exponent = 1.0 / area - 1.0;
    let roc: Vec<Value> = (0..=100)
        .map(|i| f64::from(i) / 100.0)
        .map(|x| json!({"x": x, "y": x.powf(exponent), "threshold": 1.0 - x}))
        .collect();
    json!({
        "name": format!("runs/a-long-name-of-a-folder/model-{index}"), "run": 0, "dataset": "folder:pictures", "checkpoint": "best",
        "weights": null, "left_out": 0, "simulated": false,
        "scores": {
            "n": 400, "threshold": 0.5,
            "confusion": {"true_negative": 150, "false_positive": 50, "false_negative": 80, "true_positive": 120},
            "accuracy": 0.675, "balanced_accuracy": 0.675, "real_accuracy": 0.75, "fake_accuracy": 0.6, "roc_auc": area,
            "pr_auc": area, "f1": 0.65, "precision": 0.7, "recall": 0.6, "equal_error_rate": 0.33, "tpr_at_fpr_1": 0.1,
            "tpr_at_fpr_5": 0.2, "brier": 0.22, "log_loss": 0.6, "expected_calibration_error": 0.1,
        },
        "intervals": {"roc_auc": {"low": area - 0.03, "high": area + 0.03}}, "roc": roc, "fitted": null,
    })
}

fn pair(first: usize, second: usize) -> Value {
    let difference = 0.05 * (first as f64 - second as f64);
    json!({
        "first": first, "second": second,
        "roc_auc": {"difference": difference, "interval": {"low": difference - 0.02, "high": difference + 0.02}, "z": -2.6,
            "p": 0.008, "p_holm": 0.02},
        "accuracy": {"only_first": 20, "only_second": 35, "p": 0.06, "p_holm": 0.1, "chi_square": 3.6, "chi_square_p": 0.06},
        "fitted_accuracy": null,
        "differences": [{"score": "roc_auc", "value": difference,
            "interval": {"low": difference - 0.03, "high": difference + 0.03}}],
    })
}
