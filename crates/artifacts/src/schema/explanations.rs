//! `explanations/index.json`: examples with heat maps.

use serde::{Deserialize, Serialize};

use crate::Label;
use crate::hash::Hash;

/// Content of `explanations/index.json`. Paths are relative to its folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanations {
    /// Version of this schema.
    pub schema_version: u32,
    /// The layer whose activations Grad-CAM combines into heat maps, for example "layer4", or
    /// [`Explanations::EVIDENCE_OF_BRANCHES`].
    pub layer: String,
    /// PNG file with the colours from 0 at the left to the maximum of a map at the right.
    #[serde(default)]
    pub legend: Option<String>,
    /// Whether the maps depend on the trained weights.
    #[serde(default)]
    pub sanity: Option<SanityCheck>,
    /// The examples, in display order.
    pub examples: Vec<Example>,
}

impl Explanations {
    /// Content of `layer` if each heat map is that of a branch ([`HeatMap::branch`]).
    pub const EVIDENCE_OF_BRANCHES: &'static str = "evidence of branches";

    /// The version that this build writes. Readers reject newer versions.
    pub const SCHEMA_VERSION: u32 = 1;
}

/// The model-randomisation test of Adebayo et al. 2018 (arXiv 1810.03292). A heat map that does not change with random
/// weights shows the structure of the image and not the evidence for the verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SanityCheck {
    /// Number of compared heat maps.
    pub maps: usize,
    /// Mean absolute Spearman correlation between a map and the map of the randomised network; near 1 if the weights
    /// have no effect. `None` if every map is constant.
    pub mean_rank_correlation: Option<f64>,
    /// Whether `mean_rank_correlation` is below 0.5.
    pub passed: Option<bool>,
}

/// Why an example was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExampleKind {
    /// Classified correctly with high confidence.
    Correct,
    /// A fake that is called real with high confidence.
    FalseNegative,
    /// A real image that is called fake with high confidence.
    FalsePositive,
    /// P(fake) near 0.5.
    Uncertain,
}

impl ExampleKind {
    /// The name of the kind in file names and HTML ids.
    pub fn word(self) -> &'static str {
        match self {
            ExampleKind::Correct => "correct",
            ExampleKind::FalseNegative => "false-negative",
            ExampleKind::FalsePositive => "false-positive",
            ExampleKind::Uncertain => "uncertain",
        }
    }
}

/// An example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Why it was chosen.
    pub kind: ExampleKind,
    /// BLAKE3 of the source file.
    pub id: Hash,
    /// Path in the source.
    pub path: String,
    /// True class.
    pub label: Label,
    /// Generator, "" if unknown.
    pub generator: String,
    /// Predicted class at threshold 0.5.
    pub predicted: Label,
    /// P(fake).
    pub p_fake: f64,
    /// PNG file with the input pixels of the network.
    pub image: String,
    /// Its heat maps.
    pub heat_maps: Vec<HeatMap>,
    /// The spectrum of its residual, for a detector with the branch `frequency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectrum: Option<Spectrum>,
}

impl Example {
    /// Describes a prediction. `image` is the PNG file with its image. There are no heat maps and no spectrum.
    #[cfg(feature = "tables")]
    pub fn new(kind: ExampleKind, prediction: &crate::predictions::Prediction, image: String) -> Example {
        Example {
            kind,
            id: prediction.id,
            path: prediction.path.clone(),
            label: prediction.label,
            generator: prediction.generator.clone(),
            predicted: prediction.predicted,
            p_fake: prediction.p_fake,
            image,
            heat_maps: Vec::new(),
            spectrum: None,
        }
    }

    /// The PNG files that explain the verdict.
    pub fn explanation_files(&self) -> impl Iterator<Item = &String> {
        self.heat_maps.iter().map(|map| &map.overlay).chain(self.spectrum.iter().map(|spectrum| &spectrum.image))
    }
}

/// The spectrum of an image after its content was removed. Up-sampling leaves peaks in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spectrum {
    /// PNG file: frequency 0 in the middle, half a cycle per pixel at the edges, and a ring around each peak.
    pub image: String,
    /// The peaks, strongest first.
    pub peaks: Vec<SpectrumPeak>,
}

/// A peak of a spectrum: a pattern that repeats all over the image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpectrumPeak {
    /// The length of the period in pixels.
    pub period: f32,
    /// The ratio to the surroundings in decibels.
    pub decibels: f32,
}

/// A heat map: what speaks for a class in each part of an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeatMap {
    /// The branch whose evidence it shows, for a detector of branches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The class that it shows evidence for.
    pub class: Label,
    /// Maximum of the map before scaling to the legend; 0 without evidence for the class.
    #[serde(default)]
    pub peak: f64,
    /// PNG file with the heat map drawn over the image.
    pub overlay: String,
}
