//! `robustness.json`: the judged split again after what happens to pictures on their way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Interval, Scores};
use crate::Label;
use crate::hash::Hash;

/// The whole of `robustness.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Robustness {
    /// Version of this schema.
    pub schema_version: u32,
    /// Images that were degraded and judged again.
    pub images: u64,
    /// Of these, images whose original file was still there and unchanged: the file was degraded before it was resized
    /// for the network. Of the others, the stored pixels were.
    pub from_files: u64,
    /// The same images as they are.
    pub untouched: Scores,
    /// Intervals of these scores.
    pub intervals: BTreeMap<String, Interval>,
    /// One curve for each operation.
    pub curves: Vec<RobustnessCurve>,
    /// By operation and level, how many images could not be changed so, and why the first of them could not.
    pub left_out: BTreeMap<String, String>,
    /// Every image whose verdict flips somewhere, those with the most flips first.
    #[serde(default)]
    pub flips: Vec<FlippingImage>,
}

impl Robustness {
    /// The version that this build writes; a reader refuses newer ones.
    pub const SCHEMA_VERSION: u32 = 1;
    /// The name of its file, in the folder of the evaluation.
    pub const FILE: &str = "robustness.json";
}

/// One operation at rising strength.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RobustnessCurve {
    /// A stable word: "jpeg", "resize", "blur", "noise", "crop", "social_media" …
    pub operation: String,
    /// What a level is, for an axis: "quality", "factor" …
    pub unit: String,
    /// The points, from the weakest to the strongest.
    pub points: Vec<RobustnessPoint>,
}

/// One operation at one strength.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RobustnessPoint {
    /// The strength, in the curve's unit.
    pub level: f64,
    /// At threshold 0.5.
    pub scores: Scores,
    /// 95% intervals of the scores.
    pub intervals: BTreeMap<String, Interval>,
    /// Images called real before and fake now.
    pub flips_to_fake: u64,
    /// Images called fake before and real now.
    pub flips_to_real: u64,
    /// The share of verdicts that flipped, either way.
    pub flipped: Option<f64>,
    /// Its 95% interval (Wilson).
    pub flipped_interval: Option<Interval>,
}

/// One image whose verdict at threshold 0.5 does not last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlippingImage {
    /// BLAKE3 of the source file.
    pub id: Hash,
    /// Where the source has it.
    pub path: String,
    /// Its class.
    pub label: Label,
    /// Its generator, "" where unknown.
    pub generator: String,
    /// P(fake) of the image as it is.
    pub p_fake: f64,
    /// The verdict on the image as it is.
    pub predicted: Label,
    /// Where the verdict is the other one, in the order of the curves.
    pub flips: Vec<Flip>,
}

/// One change under which a verdict flips.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flip {
    /// The curve's operation.
    pub operation: String,
    /// The point's level.
    pub level: f64,
    /// P(fake) of the changed image.
    pub p_fake: f64,
}
