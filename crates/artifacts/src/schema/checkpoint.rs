//! `config.json` and `preprocessor_config.json` of a checkpoint, in Hugging Face's format.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Label;

/// Content of `config.json`: the architecture and its classes. Readers ignore unknown keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Name of the architecture in torchvision and timm, "resnet50", or "branches".
    pub architecture: String,
    /// Number of classes.
    pub num_classes: usize,
    /// Class of each logit.
    pub id2label: BTreeMap<u8, Label>,
    /// Index of the logit of each class.
    pub label2id: BTreeMap<Label, u8>,
    /// The branches of a detector of branches, with their settings. The crate `branches` defines the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<serde_json::Value>,
}

impl ModelConfig {
    /// The configuration of a detector with the classes of [`Label`].
    pub fn detector(architecture: &str) -> ModelConfig {
        ModelConfig {
            architecture: architecture.to_owned(),
            num_classes: Label::ALL.len(),
            id2label: Label::ALL.into_iter().map(|label| (label.index(), label)).collect(),
            label2id: Label::ALL.into_iter().map(|label| (label, label.index())).collect(),
            detector: None,
        }
    }
}

/// Smallest side of an image in pixels. The network halves its input five times.
pub const MINIMUM_SIDE: usize = 32;

/// Content of `preprocessor_config.json`: how an image is preprocessed. Readers ignore unknown keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreprocessorConfig {
    /// Whether images are resized to `size`.
    pub do_resize: bool,
    /// Size in pixels after resizing.
    pub size: ImageSize,
    /// Resizing filter: `ingest.filter` ("bilinear" …).
    pub filter: Option<String>,
    /// How an image of another aspect ratio is resized: `ingest.fit` ("squash" …).
    pub fit: Option<String>,
    /// How images are encoded again before resizing: `ingest.reencode`, if it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reencode: Option<Reencode>,
    /// Whether bytes are multiplied by `rescale_factor`.
    pub do_rescale: bool,
    /// The factor, 1/255.
    pub rescale_factor: f64,
    /// Whether `image_mean` is subtracted, and the result divided by `image_std`, after rescaling.
    pub do_normalize: bool,
    /// Mean of each channel, red, green and blue.
    pub image_mean: [f32; 3],
    /// Standard deviation of each channel.
    pub image_std: [f32; 3],
}

/// How all images are encoded again, so that format and quality do not separate the classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reencode {
    /// The format.
    pub format: ReencodeFormat,
    /// Quality on libjpeg's scale, 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub quality: u8,
}

/// Format of [`Reencode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReencodeFormat {
    /// JPEG with 4:2:0 chroma subsampling.
    Jpeg,
}

/// Size of an image in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}
