//! Scores and predictions for unit tests.

use std::collections::BTreeMap;

use artifacts::Label;
use artifacts::hash::Hash;
use artifacts::predictions::Prediction;
use artifacts::schema::Scores;
use serde_json::json;

/// Returns the scores of ten images, seven of them classified correctly.
pub(crate) fn scores() -> Scores {
    let scores = json!({
        "n": 10, "threshold": 0.5,
        "confusion": {"true_negative": 4, "false_positive": 1, "false_negative": 2, "true_positive": 3},
        "accuracy": 0.7, "balanced_accuracy": 0.7, "real_accuracy": 0.8, "fake_accuracy": 0.6, "roc_auc": 0.84,
        "pr_auc": 0.86, "f1": 0.667, "precision": 0.75, "recall": 0.6, "equal_error_rate": 0.2, "tpr_at_fpr_1": 0.4,
        "tpr_at_fpr_5": 0.4, "brier": 0.2, "log_loss": 0.6, "expected_calibration_error": 0.1,
    });
    serde_json::from_value(scores).unwrap()
}

/// Returns the prediction of an image with the given label and P(fake).
pub(crate) fn prediction(label: Label, p_fake: f64) -> Prediction {
    Prediction {
        id: Hash::of(b"x"),
        path: String::new(),
        label,
        generator: String::new(),
        run: 0,
        logit_real: 0.0,
        logit_fake: (p_fake / (1.0 - p_fake)).ln() as f32,
        p_fake,
        p_fake_calibrated: None,
        predicted: if p_fake >= 0.5 { Label::Fake } else { Label::Real },
        branches: BTreeMap::new(),
        columns: BTreeMap::new(),
    }
}
