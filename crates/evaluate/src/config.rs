//! The section `[evaluate]` of a pipeline file.

use std::path::PathBuf;

use artifacts::config::OutOfRange;
use artifacts::{Split, names};
use model::PrecisionChoice;
use model::device::DeviceChoice;
use serde::{Deserialize, Serialize};

use crate::bootstrap::DEFAULT_RESAMPLES;
use crate::calibration::BandLimits;

/// What to judge, and how. Each field is a key of the section `[evaluate]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The checkpoint: `best`, `last`, or the folder of one.
    pub ckpt: String,
    /// The split that is judged.
    pub split: Split,
    /// A folder of shards to judge in place of the run's own; the result is `evaluate-NAME` beside `evaluate`, after the
    /// folder unless `name` says another.
    pub data: Option<PathBuf>,
    /// Puts the result into `evaluate-NAME` beside `evaluate`, so that it stays when the run is judged in another way:
    /// `last` for the last checkpoint, `val` for another split. Letters, digits, `-` and `_`.
    pub name: Option<String>,
    /// Images in a batch.
    pub batch: usize,
    /// Where to compute: auto, cpu or `cuda[:N]`.
    pub device: DeviceChoice,
    /// What convolutions multiply: auto (f32 on the CPU, a card's best), f32, bf16 or, on a card, tf32.
    pub precision: PrecisionChoice,
    /// Bootstrap resamples behind each interval; 0 leaves the intervals out.
    pub resamples: u32,
    /// Seed of the bootstrap and of the randomised network.
    pub seed: u64,
    /// Examples of each kind and class that are explained; 0 leaves them out.
    pub examples: usize,
    /// The layer that Grad-CAM looks at.
    pub layer: String,
    /// The error rates that verdicts may have on validation; between them lies the band without a verdict.
    pub band: BandLimits,
    /// Judges the split again under JPEG, resizing, blur, noise, cropping and sharing: `robustness.json`.
    pub robustness: bool,
    /// At most this many images for that, half of each class.
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
            robustness_images: 1000,
        }
    }
}

impl Config {
    /// Checks what types cannot express.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        let error =
            |key, value: &dyn std::fmt::Display, range| Err(OutOfRange::new(names::EVALUATE, key, value, range));
        if self.batch == 0 {
            return error("batch", &self.batch, "at least 1");
        }
        if self.robustness_images == 0 {
            return error("robustness_images", &self.robustness_images, "at least 1");
        }
        if self.ckpt.is_empty() {
            return error("ckpt", &"empty", "best, last or the folder of a checkpoint");
        }
        let harmless = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if let Some(name) = self.name.as_ref().filter(|name| name.is_empty() || !harmless(name)) {
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
    fn values_out_of_range_are_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        let error = Config { batch: 0, ..Config::default() }.validate().unwrap_err();
        assert_eq!(error.to_string(), "evaluate.batch must be at least 1, but is 0");
        let named = Config { name: Some("../x".to_owned()), ..Config::default() };
        assert!(named.validate().unwrap_err().to_string().contains("evaluate.name"));
        let band = BandLimits { misses: f64::NAN, ..BandLimits::default() };
        assert!(Config { band, ..Config::default() }.validate().unwrap_err().to_string().contains("band.misses"));
    }
}
