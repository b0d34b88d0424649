//! The configuration of native augmentation.

use artifacts::config::OutOfRange;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Random changes to training images at native resolution, applied in the order of the fields. All are off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// Crop some images.
    pub crop: Crop,
    /// Flip each image horizontally with probability 0.5.
    pub flip: bool,
    /// Resize some images, with a filter drawn from bilinear, bicubic and Lanczos.
    pub resize: Resize,
    /// Blur some images.
    pub blur: Blur,
    /// Add noise to some images.
    pub noise: Noise,
    /// Encode some images as lossy WebP and decode them again.
    pub webp: Webp,
    /// Encode some images as JPEG and decode them again, half of them with full chroma resolution.
    pub jpeg: Jpeg,
}

/// Cropping as augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Crop {
    /// Probability that an image is cropped.
    #[schemars(range(min = 0.0, max = 1.0), example = 0.5)]
    pub probability: f64,
    /// Lowest and highest share of the area that is kept; drawn uniformly. The aspect ratio is kept.
    #[schemars(extend("x-range" = "[low, high] with 0.01 <= low <= high <= 1"))]
    pub area: [f32; 2],
}

impl Default for Crop {
    fn default() -> Self {
        Crop { probability: 0.0, area: [0.6, 1.0] }
    }
}

/// Resizing as augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Resize {
    /// Probability that an image is resized.
    #[schemars(range(min = 0.0, max = 1.0), example = 0.5)]
    pub probability: f64,
    /// Lowest and highest factor of both sides; drawn uniformly on a logarithmic scale.
    #[schemars(extend("x-range" = "[low, high] with 0.1 <= low <= high <= 4"))]
    pub scale: [f32; 2],
}

impl Default for Resize {
    fn default() -> Self {
        Resize { probability: 0.0, scale: [0.5, 1.25] }
    }
}

/// Gaussian blur as augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Blur {
    /// Probability that an image is blurred.
    #[schemars(range(min = 0.0, max = 1.0), example = 0.5)]
    pub probability: f64,
    /// Lowest and highest standard deviation in pixels; drawn uniformly.
    #[schemars(extend("x-range" = "[low, high] with 0 <= low <= high <= 20"))]
    pub sigma: [f32; 2],
}

impl Default for Blur {
    fn default() -> Self {
        Blur { probability: 0.0, sigma: [0.2, 1.5] }
    }
}

/// Gaussian noise as augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Noise {
    /// Probability that an image gets noise.
    #[schemars(range(min = 0.0, max = 1.0), example = 0.5)]
    pub probability: f64,
    /// Lowest and highest standard deviation in levels of 0 to 255; drawn uniformly.
    #[schemars(extend("x-range" = "[low, high] with 0 <= low <= high <= 255"))]
    pub std: [f32; 2],
}

impl Default for Noise {
    fn default() -> Self {
        Noise { probability: 0.0, std: [0.5, 5.0] }
    }
}

/// WebP compression as augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Webp {
    /// Probability that an image is compressed.
    #[schemars(range(min = 0.0, max = 1.0), example = 0.5)]
    pub probability: f64,
    /// Lowest and highest quality, 0 to 100; drawn uniformly, both ends included.
    #[schemars(extend("x-range" = "[low, high] with 0 <= low <= high <= 100"))]
    pub quality: [u8; 2],
}

impl Default for Webp {
    fn default() -> Self {
        Webp { probability: 0.0, quality: [50, 95] }
    }
}

/// JPEG compression as augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Jpeg {
    /// Probability that an image is compressed.
    #[schemars(range(min = 0.0, max = 1.0), example = 0.5)]
    pub probability: f64,
    /// Lowest and highest quality, 1 to 100; drawn uniformly, both ends included.
    #[schemars(extend("x-range" = "[low, high] with 1 <= low <= high <= 100"))]
    pub quality: [u8; 2],
}

impl Default for Jpeg {
    fn default() -> Self {
        Jpeg { probability: 0.0, quality: [50, 98] }
    }
}

impl AugmentConfig {
    /// Whether any change can happen.
    pub fn is_on(&self) -> bool {
        self.flip || self.probabilities().into_iter().any(|(_, probability)| probability > 0.0)
    }

    fn probabilities(&self) -> [(&'static str, f64); 6] {
        [
            ("augment.crop.probability", self.crop.probability),
            ("augment.resize.probability", self.resize.probability),
            ("augment.blur.probability", self.blur.probability),
            ("augment.noise.probability", self.noise.probability),
            ("augment.webp.probability", self.webp.probability),
            ("augment.jpeg.probability", self.jpeg.probability),
        ]
    }

    /// Checks the ranges of all values. `section` is the section of the pipeline file that has the table `augment`.
    ///
    /// # Errors
    /// A value is out of range. The error names the first such key.
    pub fn validate(&self, section: &'static str) -> Result<(), OutOfRange> {
        for (key, probability) in self.probabilities() {
            if !(0.0..=1.0).contains(&probability) {
                return Err(OutOfRange::new(section, key, probability, "0 to 1"));
            }
        }
        let fractions = [
            ("augment.crop.area", self.crop.area, 0.01, 1.0, "[low, high] with 0.01 <= low <= high <= 1"),
            ("augment.resize.scale", self.resize.scale, 0.1, 4.0, "[low, high] with 0.1 <= low <= high <= 4"),
            ("augment.blur.sigma", self.blur.sigma, 0.0, 20.0, "[low, high] with 0 <= low <= high <= 20"),
            ("augment.noise.std", self.noise.std, 0.0, 255.0, "[low, high] with 0 <= low <= high <= 255"),
        ];
        for (key, [low, high], least, greatest, range) in fractions {
            if !(least <= low && low <= high && high <= greatest) {
                return Err(OutOfRange::new(section, key, format!("[{low}, {high}]"), range));
            }
        }
        let qualities = [
            ("augment.webp.quality", self.webp.quality, 0, "[low, high] with 0 <= low <= high <= 100"),
            ("augment.jpeg.quality", self.jpeg.quality, 1, "[low, high] with 1 <= low <= high <= 100"),
        ];
        for (key, [low, high], least, range) in qualities {
            if !(least <= low && low <= high && high <= 100) {
                return Err(OutOfRange::new(section, key, format!("[{low}, {high}]"), range));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_off() {
        let config = AugmentConfig::default();
        config.validate("train").unwrap();
        assert!(!config.is_on());
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<AugmentConfig>(&json).unwrap(), config);
        let some: AugmentConfig = serde_json::from_str(r#"{"jpeg": {"probability": 0.5}}"#).unwrap();
        assert_eq!(some.jpeg, Jpeg { probability: 0.5, ..Jpeg::default() });
        assert!(some.is_on());
    }

    #[test]
    fn rejects_values_out_of_range() {
        let fails = |change: fn(&mut AugmentConfig), key: &str| {
            let mut config = AugmentConfig::default();
            change(&mut config);
            let message = config.validate("train").unwrap_err().to_string();
            assert!(message.starts_with(&format!("train.augment.{key} must be ")), "{message}");
        };
        fails(|c| c.crop.probability = 1.5, "crop.probability");
        fails(|c| c.noise.probability = f64::NAN, "noise.probability");
        fails(|c| c.crop.area = [0.0, 0.5], "crop.area");
        fails(|c| c.resize.scale = [2.0, 1.0], "resize.scale");
        fails(|c| c.blur.sigma = [0.0, f32::INFINITY], "blur.sigma");
        fails(|c| c.noise.std = [f32::NAN, 1.0], "noise.std");
        fails(|c| c.webp.quality = [0, 101], "webp.quality");
        fails(|c| c.jpeg.quality = [0, 50], "jpeg.quality");
    }
}
