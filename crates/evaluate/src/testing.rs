//! Predictions for unit tests.

use std::collections::BTreeMap;

use artifacts::Label;
use artifacts::hash::Hash;
use artifacts::predictions::Prediction;
use artifacts::statistics::sigmoid;

/// A prediction whose P(fake) and verdict follow from `margin`, and whose id follows from `path`.
pub(crate) fn prediction(path: &str, label: Label, generator: &str, margin: f32) -> Prediction {
    let p_fake = sigmoid(f64::from(margin));
    Prediction {
        id: Hash::of(path.as_bytes()),
        path: path.to_owned(),
        label,
        generator: generator.to_owned(),
        run: 0,
        logit_real: 0.0,
        logit_fake: margin,
        p_fake,
        p_fake_calibrated: None,
        predicted: if p_fake >= 0.5 { Label::Fake } else { Label::Real },
        branches: BTreeMap::new(),
        columns: BTreeMap::new(),
    }
}

/// The margin of a P(fake).
pub(crate) fn margin(p_fake: f64) -> f32 {
    (p_fake / (1.0 - p_fake)).ln() as f32
}
