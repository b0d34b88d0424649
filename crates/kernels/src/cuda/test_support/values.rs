//! Random inputs, and the comparison of results with references in f64.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use half::bf16;
use rand::RngExt;

use crate::precision::Precision;

/// The precisions with different element types.
pub const ELEMENT_TYPES: [Precision; 2] = [Precision::F32, Precision::Bf16];

/// The environment variable that sets the seed.
const SEED: &str = "CANDLING_TEST_SEED";

/// Returns the seed for the inputs of kernels: `CANDLING_TEST_SEED`, or else the time if there is a driver, or else a
/// constant. On machines without a card, test results only change with the code.
fn seed() -> u64 {
    static CHOSEN: OnceLock<u64> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        if std::env::var_os(SEED).is_some() || !super::has_driver() {
            return fixed_seed();
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        super::print_uncaptured(&format!("to repeat the inputs of this run, set {SEED}={now}"));
        now
    })
}

/// Returns the seed for whole networks: `CANDLING_TEST_SEED`, or else a constant. The time is not used as a seed,
/// because with a few of a hundred seeds an input of a ReLU is so close to zero that rounding decides its sign.
pub fn fixed_seed() -> u64 {
    std::env::var(SEED).map_or(7, |text| text.parse().expect("CANDLING_TEST_SEED must be a number"))
}

/// Returns random values with mean `mean` and standard deviation 1, rounded to `precision`. They depend on the seed and
/// `key`.
pub fn random(key: u64, len: usize, mean: f32, precision: Precision) -> Vec<f32> {
    let mut stream = artifacts::random::stream(seed(), "cuda-tests", &[key]);
    let value = || {
        // The sum of four uniform deviates approximates a normal distribution and is bounded.
        let sum: f32 = (0..4).map(|_| stream.random::<f32>() - 0.5).sum();
        rounded(mean + sum * 3f32.sqrt(), precision)
    };
    std::iter::repeat_with(value).take(len).collect()
}

/// Rounds a value to the element type of `precision`.
pub fn rounded(value: f32, precision: Precision) -> f32 {
    match precision {
        Precision::Bf16 => bf16::from_f32(value).to_f32(),
        _ => value,
    }
}

/// The largest error of a result, relative to the largest result: one rounding, and the error of the sums.
pub fn tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::Bf16 => 1.0 / 256.0,
        _ => 1e-5,
    }
}

/// Panics if a value differs from `expected` by more than `tolerance` times the largest expected value, or is NaN.
pub fn assert_close(name: &str, actual: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{name}");
    let largest = expected.iter().fold(1e-30, |largest: f64, value| largest.max(value.abs()));
    for (i, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
        let difference = (f64::from(actual) - expected).abs();
        assert!(
            difference <= tolerance * largest,
            "{name}[{i}] is {actual}, but should be {expected} (largest {largest})"
        );
    }
}
