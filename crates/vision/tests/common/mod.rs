//! Golden towers from `tests/golden/vision.py`, with weights that are hashes of their names.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Deserialize;
use serde_json::Value;

/// All cases of the script.
pub(crate) const CASES: [&str; 6] =
    ["clip", "clip_with_text", "dinov2", "dinov2_enlarged", "dinov2_registers", "siglip"];

/// The expected results of a tower.
#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) config: Value,
    pub(crate) preprocessor: Value,
    pub(crate) tensors: BTreeMap<String, Vec<usize>>,
    pub(crate) images: usize,
    pub(crate) features: Vec<f64>,
    pub(crate) pooled: Vec<f64>,
    pub(crate) loss: f64,
    pub(crate) gradients: BTreeMap<String, Summary>,
}

/// The norm of a tensor, and some of its elements.
#[derive(Deserialize)]
pub(crate) struct Summary {
    pub(crate) norm: f64,
    pub(crate) at: Vec<usize>,
    pub(crate) values: Vec<f64>,
}

impl Golden {
    /// Reads a case.
    pub(crate) fn read(case: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/golden/vision/{case}.json"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// Writes the weights and both configurations to a folder, and returns the path of the weights.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        std::fs::write(folder.join("config.json"), self.config.to_string()).unwrap();
        std::fs::write(folder.join("preprocessor_config.json"), self.preprocessor.to_string()).unwrap();
        self.write_weights(folder, Dtype::F32, "")
    }

    /// Writes the weights alone, with elements of type `dtype`. `prefix` stands before all names.
    pub(crate) fn write_weights(&self, folder: &Path, dtype: Dtype, prefix: &str) -> PathBuf {
        let path = folder.join("model.safetensors");
        let bytes = |name: &str, shape: &[usize]| -> Vec<u8> {
            let values = values(name, shape).into_iter();
            match dtype {
                Dtype::F16 => values.flat_map(|value| half::f16::from_f32(value).to_le_bytes()).collect(),
                Dtype::BF16 => values.flat_map(|value| half::bf16::from_f32(value).to_le_bytes()).collect(),
                _ => values.flat_map(f32::to_le_bytes).collect(),
            }
        };
        let data: Vec<_> =
            self.tensors.iter().map(|(name, shape)| (format!("{prefix}{name}"), shape, bytes(name, shape))).collect();
        let views = data
            .iter()
            .map(|(name, shape, data)| (name.as_str(), TensorView::new(dtype, shape.to_vec(), data).unwrap()));
        safetensors::serialize_to_file(views, Some(HashMap::new()), &path).unwrap();
        path
    }

    /// The input pixels, `[images, side, side, 3]`.
    pub(crate) fn pixels(&self) -> Vec<u8> {
        let side = self.preprocessor["size"].as_u64().unwrap() as usize;
        uniform("pixels", self.images * side * side * 3).into_iter().map(|u| (u * 256.0) as u8).collect()
    }
}

/// Returns `count` uniform values in [0, 1): the upper 24 bits of splitmix64, seeded with fnv1a(name).
pub(crate) fn uniform(name: &str, count: usize) -> Vec<f64> {
    let step = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    let state = name.bytes().fold(0xCBF2_9CE4_8422_2325, step);
    let value = |i: usize| {
        let mut z = state.wrapping_add((i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24)
    };
    (0..count).map(value).collect()
}

/// Returns the values of the golden tensor called `name`.
fn values(name: &str, shape: &[usize]) -> Vec<f32> {
    let fan_in: usize = shape.iter().skip(1).product();
    let value = |u: f64| match name {
        _ if name.ends_with("bias") => 0.4 * u - 0.2,
        _ if shape.len() < 2 => 0.5 + u,
        _ => (2.0 * u - 1.0) * (6.0 / fan_in as f64).sqrt(),
    };
    uniform(name, shape.iter().product()).into_iter().map(|u| value(u) as f32).collect()
}

/// Asserts that the values differ by at most `tolerance` times the largest expected magnitude or 1.
pub(crate) fn assert_close(found: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0, |scale: f64, value| scale.max(value.abs()));
    for (i, (&found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(found) - expected).abs();
        assert!(difference <= tolerance * scale, "{what}: element {i} is {found} instead of {expected}");
    }
}
