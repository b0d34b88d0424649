//! Golden autoencoders from `tests/golden/autoencoder.py`, with weights that are hashes of their names.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use pixels::RgbImage;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Deserialize;
use serde_json::Value;

/// A tiny autoencoder, and what diffusers makes of an image.
#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) name: String,
    pub(crate) config: Value,
    pub(crate) tensors: BTreeMap<String, Vec<usize>>,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// `[3, height, width]`, from -1 to 1.
    pub(crate) result: Vec<f64>,
}

#[derive(Deserialize)]
struct File {
    cases: Vec<Golden>,
}

impl Golden {
    /// Reads all cases.
    pub(crate) fn all() -> Vec<Golden> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/autoencoder.json");
        let file: File = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        file.cases
    }

    /// Writes the weights and the configuration to a folder, and returns the path of the weights.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        fs::write(folder.join("config.json"), self.config.to_string()).unwrap();
        let path = folder.join("vae.safetensors");
        let data: Vec<(&String, &Vec<usize>, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, shape)| (name, shape, self.values(name, shape).flat_map(f32::to_le_bytes).collect()))
            .collect();
        let views = data
            .iter()
            .map(|(name, shape, data)| (name.as_str(), TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap()));
        safetensors::serialize_to_file(views, Some(HashMap::new()), &path).unwrap();
        path
    }

    fn values(&self, name: &str, shape: &[usize]) -> impl Iterator<Item = f32> {
        let scale = match shape {
            [_] => None,
            [_, inner @ ..] => Some((3.0 / inner.iter().product::<usize>() as f64).sqrt()),
            [] => Some(1.0),
        };
        let is_bias = name.ends_with("bias");
        let values = uniform(&format!("{} {name}", self.name), shape.iter().product());
        values.into_iter().map(move |u| match scale {
            _ if is_bias => (0.4 * u - 0.2) as f32,
            None => (0.5 + u) as f32,
            Some(scale) => ((2.0 * u - 1.0) * scale) as f32,
        })
    }

    /// The image that is reconstructed.
    pub(crate) fn image(&self) -> RgbImage {
        let values = uniform(&format!("{} pixels", self.name), (3 * self.width * self.height) as usize);
        RgbImage::new(self.width, self.height, values.into_iter().map(|u| (u * 256.0) as u8).collect()).unwrap()
    }
}

/// Returns `count` uniform values in [0, 1): the upper 24 bits of splitmix64, seeded with fnv1a(name).
fn uniform(name: &str, count: usize) -> Vec<f64> {
    let step = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    let state = name.bytes().fold(0xCBF2_9CE4_8422_2325, step);
    let value = |index: u64| {
        let mut z = state.wrapping_add((index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 40) as f64 / f64::from(1 << 24)
    };
    (0..count as u64).map(value).collect()
}
