//! Tensors on a device under test, random values, and the comparison.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use half::bf16;
use rand::RngExt;

use crate::cuda::engine::{Address, Engine, download};
use crate::precision::Precision;

/// Both stored elements.
pub const ELEMENTS: [Precision; 2] = [Precision::F32, Precision::Bf16];

/// A tensor on a device.
pub struct Tensor<'a, E: Engine> {
    engine: &'a E,
    memory: E::Memory,
    len: usize,
    precision: Precision,
}

impl<'a, E: Engine> Tensor<'a, E> {
    /// With these values, rounded to the element.
    pub fn new(engine: &'a E, precision: Precision, values: &[f32]) -> Self {
        let memory = engine.allocate(values.len() * precision.bytes()).unwrap();
        let bytes: Vec<u8> = match precision {
            Precision::Bf16 => values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect(),
            _ => bytemuck::cast_slice(values).to_vec(),
        };
        engine.upload(&bytes, engine.address(&memory)).unwrap();
        Self { engine, memory, len: values.len(), precision }
    }

    /// NaN everywhere, so that what a kernel does not write is found.
    pub fn poisoned(engine: &'a E, precision: Precision, len: usize) -> Self {
        Self::new(engine, precision, &vec![f32::NAN; len])
    }

    /// In f32, whatever the activations are.
    pub fn floats(engine: &'a E, values: &[f32]) -> Self {
        Self::new(engine, Precision::F32, values)
    }

    pub fn at(&self) -> Address {
        self.engine.address(&self.memory)
    }

    pub fn values(&self) -> Vec<f32> {
        match self.precision {
            Precision::Bf16 => {
                let stored: Vec<u16> = download(self.engine, self.at(), self.len).unwrap();
                stored.into_iter().map(|bits| bf16::from_bits(bits).to_f32()).collect()
            }
            _ => download(self.engine, self.at(), self.len).unwrap(),
        }
    }
}

/// Bytes on a device.
pub fn bytes<E: Engine>(engine: &E, values: &[u8]) -> E::Memory {
    let memory = engine.allocate(values.len()).unwrap();
    engine.upload(values, engine.address(&memory)).unwrap();
    memory
}

const SEED: &str = "CANDLING_TEST_SEED";

/// What the inputs of kernels are derived from: `CANDLING_TEST_SEED`, or another number in each run where there may be a
/// card. Where only the emulation runs it is always the same, so that a change is judged by what it changes.
pub fn seed() -> u64 {
    static FOUND: OnceLock<u64> = OnceLock::new();
    *FOUND.get_or_init(|| {
        if std::env::var_os(SEED).is_some() || !super::has_driver() {
            return fixed_seed();
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        super::say(&format!("inputs of kernels are those of {SEED}={now}"));
        now
    })
}

/// The same for whole networks, and always the same unless it is set: with a few of a hundred seeds a value so near to zero
/// stands before a ReLU that rounding decides about it.
pub fn fixed_seed() -> u64 {
    std::env::var(SEED).map_or(7, |text| text.parse().expect("CANDLING_TEST_SEED is a number"))
}

/// Values around `mean`, the same for the same `key`, rounded to `precision`.
pub fn random(key: u64, len: usize, mean: f32, precision: Precision) -> Vec<f32> {
    let mut stream = artifacts::random::stream(seed(), "cuda-tests", &[key]);
    let value = || {
        // Four uniform deviates added up: smooth, bounded, standard deviation 1.
        let sum: f32 = (0..4).map(|_| stream.random::<f32>() - 0.5).sum();
        rounded(mean + sum * 3f32.sqrt(), precision)
    };
    std::iter::repeat_with(value).take(len).collect()
}

/// What is left of a value when it is stored.
pub fn rounded(value: f32, precision: Precision) -> f32 {
    match precision {
        Precision::Bf16 => bf16::from_f32(value).to_f32(),
        _ => value,
    }
}

/// How far a stored result may be from the exact one, relative to the largest: rounding once, and the sums' error.
pub fn tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::Bf16 => 1.0 / 256.0,
        _ => 1e-5,
    }
}

/// Fails where `actual` is further from `expected` than `tolerance` times the largest of `expected`; NaN fails.
pub fn assert_close(what: &str, actual: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-30, |largest: f64, value| largest.max(value.abs()));
    for (i, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
        let difference = (f64::from(actual) - expected).abs();
        assert!(difference <= tolerance * largest, "{what}[{i}]: {actual} instead of {expected} (largest {largest})");
    }
}
