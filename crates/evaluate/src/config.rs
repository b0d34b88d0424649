//! The section `[evaluate]` of a pipeline file.

use std::path::PathBuf;

use artifacts::config::OutOfRange;
use artifacts::{Split, names};
use model::PrecisionChoice;
use model::device::DeviceChoice;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bootstrap::DEFAULT_RESAMPLES;
use crate::calibration::BandLimits;
use crate::robustness::{OPERATIONS, Operation};

/// Configuration of the stage. Each field is a key of the section `[evaluate]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The checkpoint: `best`, `last`, or the folder of a checkpoint.
    #[schemars(extend("x-range" = "best, last or the folder of a checkpoint"), example = &"last")]
    pub ckpt: String,
    /// The split to evaluate.
    #[schemars(example = &"val")]
    pub split: Split,
    /// A folder of shards to evaluate in place of the run's own. The result goes to `evaluate-NAME`, where `NAME` is
    /// the name of that folder unless `name` is set.
    #[schemars(extend("x-range" = "a folder of shards"), example = &"runs/other/ingest")]
    pub data: Option<PathBuf>,
    /// Writes the result to `evaluate-NAME` beside `evaluate`, so that several evaluations of a run are kept: for
    /// example `last` for the last checkpoint, or `val` for another split. Letters, digits, `-` and `_`.
    #[schemars(extend("x-range" = "letters, digits, - and _"), example = &"last")]
    pub name: Option<String>,
    /// The number of images in a batch.
    #[schemars(range(min = 1))]
    pub batch: usize,
    /// The device: `auto` (CUDA if the build and the machine have it), `cpu`, `cuda` or `cuda:N`.
    #[schemars(with = "String", extend("x-range" = "auto, cpu, cuda or cuda:N"), example = &"cpu")]
    pub device: DeviceChoice,
    /// Element type of the products of convolutions and of a frozen vision transformer: `auto` (f32 on the CPU, the
    /// fastest supported type on a GPU), `f32`, `bf16` or, on a GPU, `tf32`. In a detector of branches, a fine-tuned
    /// vision transformer computes in f32, and nothing on a GPU. `auto` does
    /// not follow `train.precision`: set both.
    #[schemars(with = "String", extend("x-range" = "auto, f32, bf16 or tf32"), example = &"f32")]
    pub precision: PrecisionChoice,
    /// Number of bootstrap resamples; 0 computes no intervals.
    #[schemars(extend("x-range" = "0 or a number of resamples"))]
    pub resamples: u32,
    /// Seed of the bootstrap and of the randomised network of the heat maps' sanity check.
    #[schemars(extend("x-range" = "at least 0"))]
    pub seed: u64,
    /// Number of examples of each kind and class with heat maps; 0 writes none.
    #[schemars(extend("x-range" = "at least 0"))]
    pub examples: usize,
    /// The layer whose activations Grad-CAM combines into a heat map.
    #[schemars(extend("x-range" = "layer1 to layer4"))]
    pub layer: String,
    /// Highest error rates of verdicts on validation. They determine the inconclusive band.
    pub band: BandLimits,
    /// Evaluates the split again after JPEG compression, resizing, blur, noise, cropping and sharing:
    /// `robustness.json`.
    #[schemars(example = true)]
    pub robustness: bool,
    /// The changes of the robustness evaluation, as `["jpeg 70", "shrink 0.5"]`. Empty: all changes at all levels, which
    /// are 42 inferences of each image.
    #[schemars(extend("x-range" = "changes with one of their levels"), example = ["jpeg 70", "shrink 0.5"])]
    pub robustness_changes: Vec<String>,
    /// Largest number of images of the robustness evaluation, half of each class. An odd number is rounded up.
    #[schemars(range(min = 1))]
    pub robustness_images: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            ckpt: "best".to_owned(),
            split: Split::Test,
            data: None,
            name: None,
            batch: 32,
            device: DeviceChoice::Auto,
            precision: PrecisionChoice::Auto,
            resamples: DEFAULT_RESAMPLES,
            seed: 0,
            examples: 8,
            layer: "layer4".to_owned(),
            band: BandLimits::default(),
            robustness: false,
            robustness_changes: Vec::new(),
            robustness_images: 1000,
        }
    }
}

impl Config {
    /// Checks the ranges of values.
    ///
    /// # Errors
    /// The first value out of range.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        let error =
            |key, value: &dyn std::fmt::Display, range| Err(OutOfRange::new(names::EVALUATE, key, value, range));
        if self.batch == 0 {
            return error("batch", &self.batch, "at least 1");
        }
        if let Some(unknown) = self.robustness_changes.iter().find(|change| Operation::parse(change).is_none()) {
            let changes: Vec<String> = OPERATIONS.iter().map(ToString::to_string).collect();
            let range = format!("a change with one of its levels: {}", changes.join("; "));
            return Err(OutOfRange::new(names::EVALUATE, "robustness_changes", unknown, range));
        }
        if self.robustness_images == 0 {
            return error("robustness_images", &self.robustness_images, "at least 1");
        }
        if self.ckpt.is_empty() {
            return error("ckpt", &"empty", "best, last or the folder of a checkpoint");
        }
        let is_file_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if let Some(name) = self.name.as_ref().filter(|name| name.is_empty() || !is_file_name(name)) {
            return error("name", name, "letters, digits, - and _");
        }
        for (key, share) in [("band.false_accusations", self.band.false_accusations), ("band.misses", self.band.misses)]
        {
            if !(0.0..=1.0).contains(&share) {
                return error(key, &share, "0 to 1");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_values_out_of_range_by_key() {
        assert_eq!(Config::default().validate(), Ok(()));
        let error = Config { batch: 0, ..Config::default() }.validate().unwrap_err();
        assert_eq!(error.to_string(), "evaluate.batch must be at least 1, but is 0");
        let named = Config { name: Some("../x".to_owned()), ..Config::default() };
        assert!(named.validate().unwrap_err().to_string().contains("evaluate.name"));
        let changes = vec!["jpeg 70".to_owned(), "jpeg 71".to_owned()];
        let error = Config { robustness_changes: changes, ..Config::default() }.validate().unwrap_err().to_string();
        assert!(error.contains("jpeg 71") && error.contains("shrink 0.75, 0.5, 0.25"), "{error}");
        let band = BandLimits { misses: f64::NAN, ..BandLimits::default() };
        assert!(Config { band, ..Config::default() }.validate().unwrap_err().to_string().contains("band.misses"));
    }
}
