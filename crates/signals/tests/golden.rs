//! Comparison of the frequency features with NumPy and SciPy (`tests/golden/signals.py`).

use std::path::Path;

use pixels::RgbImage;
use serde::Deserialize;
use signals::frequency;

#[derive(Deserialize)]
struct Golden {
    features: Vec<f32>,
}

/// Makes the image of `tests/golden/signals.py`.
fn picture() -> RgbImage {
    let mut state = 1_u32;
    RgbImage::from_fn(150, 118, |x, y| {
        let block = ((x + 5) / 8 * 37 + (y + 3) / 8 * 91) % 24;
        [0, 1, 2].map(|channel| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (30 + x / 2 + y / 2 + 17 * channel * (x / 40) / 2 + block + (state >> 24) % (8 + 8 * channel)) as u8
        })
    })
}

#[test]
fn features_equal_those_of_scipy() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/signals/frequency.json");
    let golden: Golden = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let features = frequency::features(&picture()).unwrap();
    assert_eq!(features.len(), golden.features.len());
    let mut differences = Vec::new();
    for ((name, found), expected) in frequency::feature_names().iter().zip(features).zip(golden.features) {
        // NumPy computes in double precision, so that values at the edges of bins are counted in other bins.
        let is_counted = name.contains("quantile") || name.contains("share");
        let tolerance = if is_counted { 2e-3 } else { 2e-4 };
        if (found - expected).abs() > tolerance * expected.abs().max(1.0) {
            differences.push(format!("{name}: {found}, expected {expected}"));
        }
    }
    assert_eq!(differences, Vec::<String>::new());
}
