//! The section `[train.augment]`: random changes to the stored pixels of training images.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use signals::augment::{Noise, Webp};

/// Random changes to training images, applied in the order of the fields. All are off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Crop some images, and resize the crop to the size of the image.
    pub crop: Crop,
    /// Rotate some images about their centres.
    pub rotate: Rotate,
    /// Flip each image horizontally with probability 0.5.
    pub flip: bool,
    /// Change brightness, contrast and saturation of some images.
    pub colour: Colour,
    /// Blur some images.
    pub blur: Blur,
    /// Add noise to some images.
    pub noise: Noise,
    /// Cover a square of some images.
    pub cutout: Cutout,
    /// Compress some images as WebP and decode them again.
    pub webp: Webp,
    /// Compress some images as JPEG and decode them again.
    pub jpeg: Jpeg,
}

impl Augment {
    /// Whether any change can happen.
    pub(crate) fn is_on(&self) -> bool {
        self.flip || self.probabilities().into_iter().any(|(_, probability)| probability > 0.0)
    }

    pub(super) fn probabilities(&self) -> [(&'static str, f64); 8] {
        [
            ("augment.crop.probability", self.crop.probability),
            ("augment.rotate.probability", self.rotate.probability),
            ("augment.colour.probability", self.colour.probability),
            ("augment.blur.probability", self.blur.probability),
            ("augment.noise.probability", self.noise.probability),
            ("augment.cutout.probability", self.cutout.probability),
            ("augment.webp.probability", self.webp.probability),
            ("augment.jpeg.probability", self.jpeg.probability),
        ]
    }
}

/// Cropping as augmentation: the crop is resized to the size of the stored image.
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
        Crop { probability: 0.0, area: [0.5, 1.0] }
    }
}

/// Rotation about the centre as augmentation. Corners are filled by reflection at the edges.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rotate {
    /// Probability that an image is rotated.
    #[schemars(range(min = 0.0, max = 1.0), example = 0.5)]
    pub probability: f64,
    /// The largest angle in degrees; drawn uniformly from both directions.
    #[schemars(extend("x-range" = "0 to 180"))]
    pub degrees: f32,
}

impl Default for Rotate {
    fn default() -> Self {
        Rotate { probability: 0.0, degrees: 10.0 }
    }
}

/// Changes of brightness, contrast and saturation as augmentation, as `ColorJitter` of torchvision in this order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Colour {
    /// Probability that the colours of an image are changed.
    #[schemars(range(min = 0.0, max = 1.0), example = 0.5)]
    pub probability: f64,
    /// The factor of brightness is drawn uniformly from `1 - brightness` to `1 + brightness`.
    #[schemars(extend("x-range" = "0 to 1"))]
    pub brightness: f32,
    /// The factor of contrast is drawn in the same way.
    #[schemars(extend("x-range" = "0 to 1"))]
    pub contrast: f32,
    /// The factor of saturation is drawn in the same way.
    #[schemars(extend("x-range" = "0 to 1"))]
    pub saturation: f32,
}

impl Default for Colour {
    fn default() -> Self {
        Colour { probability: 0.0, brightness: 0.2, contrast: 0.2, saturation: 0.2 }
    }
}

/// Cutout (arXiv 1708.04552) as augmentation: a grey square at a random position, of which parts may lie outside.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cutout {
    /// Probability that an image gets a square.
    #[schemars(range(min = 0.0, max = 1.0), example = 0.5)]
    pub probability: f64,
    /// The side of the square as a share of the shorter side of the image.
    #[schemars(extend("x-range" = "above 0 and at most 1"))]
    pub side: f32,
}

impl Default for Cutout {
    fn default() -> Self {
        Cutout { probability: 0.0, side: 0.25 }
    }
}

/// Gaussian blur as augmentation. The default range follows Wang et al. 2020 (arXiv 1912.11035).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Blur {
    /// Probability that an image is blurred.
    #[schemars(range(min = 0.0, max = 1.0), example = 0.5)]
    pub probability: f64,
    /// Lowest and highest standard deviation in pixels of the stored image; drawn uniformly.
    #[schemars(extend("x-range" = "[low, high] with 0 <= low <= high"))]
    pub sigma: [f32; 2],
}

impl Default for Blur {
    fn default() -> Self {
        Blur { probability: 0.0, sigma: [0.0, 3.0] }
    }
}

/// JPEG compression as augmentation. The default range follows Wang et al. 2020 (arXiv 1912.11035).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Jpeg {
    /// Probability that an image is compressed.
    #[schemars(range(min = 0.0, max = 1.0), example = 0.5)]
    pub probability: f64,
    /// Lowest and highest quality, 1 to 100; drawn uniformly, both ends included.
    #[schemars(extend("x-range" = "[low, high] with 1 <= low <= high <= 100"))]
    pub quality: [u8; 2],
    /// Lowest and highest number of compressions one after the other, each with a quality of its own, as for images that
    /// are shared several times.
    #[schemars(extend("x-range" = "[low, high] with 1 <= low <= high <= 10"), example = [1, 3])]
    pub times: [u8; 2],
}

impl Default for Jpeg {
    fn default() -> Self {
        Jpeg { probability: 0.0, quality: [30, 100], times: [1, 1] }
    }
}
