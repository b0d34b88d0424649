//! The keys `model.patches` and `model.resnet`.

use artifacts::config::OutOfRange;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use signals::residual::Residual;

use super::{check, check_not_negative, check_positive};

/// The branch `patches`: a small ResNet on residuals of windows at native resolution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PatchesConfig {
    /// The side of a window in pixels, from 32 to 256. The branch has nothing to say about smaller images.
    #[schemars(range(min = 32, max = 256))]
    pub side: usize,
    /// The number of windows of an image. Training takes windows at random positions, new ones in each epoch; inference
    /// takes those of the richest and of the poorest texture.
    #[schemars(range(min = 1, max = 64))]
    pub count: usize,
    /// What the network sees of a window: `none` (the pixels), `srm`, `median`, `neighbours` or `npr`. The pixels gave the
    /// best validation scores (docs/detection.md).
    pub residual: Residual,
    /// The learning rate of the first step. It follows `train.schedule`.
    #[schemars(extend("x-range" = "above 0"))]
    pub learning_rate: f64,
    /// Weight decay of the head. The network has none.
    #[schemars(extend("x-range" = "at least 0"), example = 0.01)]
    pub weight_decay: f64,
}

impl Default for PatchesConfig {
    fn default() -> Self {
        PatchesConfig {
            side: signals::patches::SIDE as usize,
            count: signals::patches::COUNT,
            residual: Residual::None,
            learning_rate: 1e-3,
            weight_decay: 0.0,
        }
    }
}

impl PatchesConfig {
    pub(super) fn validate(&self) -> Result<(), OutOfRange> {
        check((32..=256).contains(&self.side), "patches.side", &self.side, "32 to 256")?;
        check((1..=64).contains(&self.count), "patches.count", &self.count, "1 to 64")?;
        check_positive("patches.learning_rate", self.learning_rate)?;
        check_not_negative("patches.weight_decay", self.weight_decay)
    }
}

/// A ResNet beside other branches. It sees the whole image, whose shorter side is resized, and which is cropped to a
/// square. Its initial weights are `train.weights`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResnetConfig {
    /// Height and width of the input in pixels.
    #[schemars(range(min = 32, max = 1024))]
    pub size: usize,
    /// The learning rate of the first step. It follows `train.schedule`.
    #[schemars(extend("x-range" = "above 0"))]
    pub learning_rate: f64,
    /// Weight decay of the head. The network has none.
    #[schemars(extend("x-range" = "at least 0"), example = 0.01)]
    pub weight_decay: f64,
}

impl Default for ResnetConfig {
    fn default() -> Self {
        ResnetConfig { size: 224, learning_rate: 1e-4, weight_decay: 0.0 }
    }
}

impl ResnetConfig {
    pub(super) fn validate(&self) -> Result<(), OutOfRange> {
        check((32..=1024).contains(&self.size), "resnet.size", &self.size, "32 to 1024")?;
        check_positive("resnet.learning_rate", self.learning_rate)?;
        check_not_negative("resnet.weight_decay", self.weight_decay)
    }
}
