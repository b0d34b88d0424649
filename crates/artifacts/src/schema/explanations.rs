//! `explanations/index.json`: examples worth looking at, with their heat maps.

use serde::{Deserialize, Serialize};

use crate::Label;
use crate::hash::Hash;

/// The whole of `explanations/index.json`. Paths are relative to the folder it stands in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanations {
    /// Version of this schema.
    pub schema_version: u32,
    /// The layer that Grad-CAM looked at, e.g. "layer4".
    pub layer: String,
    /// The colours of an overlay from nothing to the map's own maximum, left to right, as PNG.
    #[serde(default)]
    pub legend: Option<String>,
    /// Whether the maps depend on what was learnt.
    #[serde(default)]
    pub sanity: Option<SanityCheck>,
    /// The examples, in the order they should be shown.
    pub examples: Vec<Example>,
}

impl Explanations {
    /// The version that this build writes; a reader refuses newer ones.
    pub const SCHEMA_VERSION: u32 = 1;
}

/// The model-randomisation test of Adebayo et al. 2018 (arXiv 1810.03292): a heat map that stays the same when the
/// weights are drawn anew shows the image, not the detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SanityCheck {
    /// Number of heat maps compared.
    pub maps: usize,
    /// Mean size of the Spearman correlation between a map and that of the randomised network: near 1 if nothing changed.
    /// Null where every map is constant.
    pub mean_rank_correlation: Option<f64>,
    /// Whether the maps depend on the weights: that mean is below 0.5.
    pub passed: Option<bool>,
}

/// Why an example was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExampleKind {
    /// Right, and most confident of it.
    Correct,
    /// A fake called real, most confident first.
    FalseNegative,
    /// A real called fake, most confident first.
    FalsePositive,
    /// Nearest to P(fake) = 0.5.
    Uncertain,
}

impl ExampleKind {
    /// A word for names of files and of elements in a page.
    pub fn word(self) -> &'static str {
        match self {
            ExampleKind::Correct => "correct",
            ExampleKind::FalseNegative => "false-negative",
            ExampleKind::FalsePositive => "false-positive",
            ExampleKind::Uncertain => "uncertain",
        }
    }
}

/// One example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Why it was chosen.
    pub kind: ExampleKind,
    /// BLAKE3 of the source file.
    pub id: Hash,
    /// Where the source had it.
    pub path: String,
    /// Its class.
    pub label: Label,
    /// Its generator, "" where unknown.
    pub generator: String,
    /// What it was called at threshold 0.5.
    pub predicted: Label,
    /// Probability of being fake.
    pub p_fake: f64,
    /// The pixels the network saw, as PNG.
    pub image: String,
    /// Heat maps of it.
    pub heat_maps: Vec<HeatMap>,
}

/// One Grad-CAM heat map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeatMap {
    /// The class whose evidence it shows.
    pub class: Label,
    /// The map's maximum before it was scaled to the legend; 0 when nothing speaks for the class.
    #[serde(default)]
    pub peak: f64,
    /// The heat map laid over the image, as PNG.
    pub overlay: String,
}
