//! The section `[train.augment]`: random changes to the stored pixels of training images.

use serde::{Deserialize, Serialize};

/// Random changes to training images, applied in the order of the fields. All are off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Flip each image horizontally with probability 0.5.
    pub flip: bool,
    /// Blur some images.
    pub blur: Blur,
    /// Compress some images as JPEG and decode them again.
    pub jpeg: Jpeg,
}

/// Gaussian blur as augmentation. The default range follows Wang et al. 2020 (arXiv 1912.11035).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blur {
    /// Probability that an image is blurred.
    pub probability: f64,
    /// Lowest and highest standard deviation in pixels of the stored image; drawn uniformly.
    pub sigma: [f32; 2],
}

impl Default for Blur {
    fn default() -> Self {
        Blur { probability: 0.0, sigma: [0.0, 3.0] }
    }
}

/// JPEG compression as augmentation. The default range follows Wang et al. 2020 (arXiv 1912.11035).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jpeg {
    /// Probability that an image is compressed.
    pub probability: f64,
    /// Lowest and highest quality, 1 to 100; drawn uniformly, both ends included.
    pub quality: [u8; 2],
}

impl Default for Jpeg {
    fn default() -> Self {
        Jpeg { probability: 0.0, quality: [30, 100] }
    }
}
