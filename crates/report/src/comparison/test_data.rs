//! A comparison for unit tests.

use artifacts::hash::Hash;
use artifacts::schema::Comparison;
use serde_json::json;

use crate::test_data::scores;

/// Returns a comparison of two detectors on 400 images. The second has the higher ROC-AUC, by 0.02.
pub(super) fn comparison() -> Comparison {
    let detector = |name: &str, area: f64| {
        let mut scores = serde_json::to_value(scores()).unwrap();
        scores["roc_auc"] = area.into();
        json!({
            "name": name, "run": 0, "dataset": "/home/me/photos", "checkpoint": "best", "weights": null, "left_out": 0,
            "simulated": false, "scores": scores, "intervals": {"roc_auc": {"low": area - 0.02, "high": area + 0.02}},
            "roc": [{"x": 0.0, "y": 0.0, "threshold": null}, {"x": 0.1, "y": area, "threshold": 0.5},
                {"x": 1.0, "y": 1.0, "threshold": 0.0}],
            "fitted": null,
        })
    };
    let value = json!({
        "schema_version": 1, "images": 400, "bootstrap": {"resamples": 2000, "seed": 0, "level": 0.95},
        "entrants": [detector("runs/a", 0.92), detector("runs/b", 0.94)],
        "pairs": [{
            "first": 0, "second": 1,
            "roc_auc": {"difference": -0.02, "interval": {"low": -0.035, "high": -0.005}, "z": -2.65, "p": 0.008, "p_holm": 0.008},
            "accuracy": {"only_first": 4, "only_second": 12, "p": 0.0768, "p_holm": 0.0768, "chi_square": 3.06, "chi_square_p": 0.08},
            "fitted_accuracy": null,
            "differences": [{"score": "roc_auc", "value": -0.02, "interval": {"low": -0.036, "high": -0.004}}],
        }],
        "disagreeing": 16,
        "disagreements": [{"id": Hash::of(b"a"), "path": "test/fake/<b>\u{1b}.jpg", "label": "fake", "generator": "</td>",
            "p_fake": [0.1, 0.9]}],
    });
    serde_json::from_value(value).unwrap()
}
