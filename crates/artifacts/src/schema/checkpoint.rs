//! `config.json` and `preprocessor_config.json` of a checkpoint, in the shape that Hugging Face's tools know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Label;

/// `config.json`: what the network is, apart from its weights. A reader ignores keys it does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Name of the architecture, as torchvision and timm have it: "resnet50".
    pub architecture: String,
    /// Classes of the head.
    pub num_classes: usize,
    /// Name of each class by its index in the logits.
    pub id2label: BTreeMap<u8, Label>,
    /// Index in the logits by the name of the class.
    pub label2id: BTreeMap<Label, u8>,
}

impl ModelConfig {
    /// A detector of [`Label`]s.
    pub fn detector(architecture: &str) -> ModelConfig {
        ModelConfig {
            architecture: architecture.to_owned(),
            num_classes: Label::ALL.len(),
            id2label: Label::ALL.into_iter().map(|label| (label.index(), label)).collect(),
            label2id: Label::ALL.into_iter().map(|label| (label, label.index())).collect(),
        }
    }
}

/// The smallest side of an image that a network takes: it halves its input five times.
pub const MINIMUM_SIDE: usize = 32;

/// `preprocessor_config.json`: what is done to an image before the network sees it. A reader ignores keys it does not
/// know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreprocessorConfig {
    /// Whether images are resized to `size`.
    pub do_resize: bool,
    /// The size in pixels.
    pub size: ImageSize,
    /// Filter of the resizing, as ingest was configured ("bilinear" …).
    pub filter: Option<String>,
    /// How an image of another aspect is brought to `size`, as ingest was configured ("squash" …).
    pub fit: Option<String>,
    /// How every image is saved again before it is resized, where ingest was told to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reencode: Option<Reencode>,
    /// Whether bytes are multiplied by `rescale_factor`.
    pub do_rescale: bool,
    /// 1 / 255.
    pub rescale_factor: f64,
    /// Whether `image_mean` is subtracted, and the result divided by `image_std`, after rescaling.
    pub do_normalize: bool,
    /// Mean of red, green and blue.
    pub image_mean: [f32; 3],
    /// Standard deviation of red, green and blue.
    pub image_std: [f32; 3],
}

/// How all images are saved again, so that formats and qualities tell nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reencode {
    /// The format.
    pub format: ReencodeFormat,
    /// As libjpeg counts it, 1 to 100.
    pub quality: u8,
}

/// Formats that images can be saved in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReencodeFormat {
    /// JPEG with 4:2:0 colour, as most software writes it.
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
