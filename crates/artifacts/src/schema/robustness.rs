//! `robustness.json`: metrics after degradations such as JPEG compression and resizing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Interval, Scores};
use crate::Label;
use crate::hash::Hash;

/// Content of `robustness.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Robustness {
    /// Version of this schema.
    pub schema_version: u32,
    /// Number of images.
    pub images: u64,
    /// Number of images whose original file was degraded before resizing. For the others, whose file is missing or
    /// changed, the stored pixels were degraded.
    pub from_files: u64,
    /// Metrics of the images without degradation.
    pub untouched: Scores,
    /// 95% intervals of these metrics, by key.
    pub intervals: BTreeMap<String, Interval>,
    /// One curve for each operation.
    pub curves: Vec<RobustnessCurve>,
    /// How many images could not be degraded, and the error of the first of them, by operation and level ("webp 95").
    pub left_out: BTreeMap<String, String>,
    /// All images whose verdict flips at some level, by descending number of flips.
    #[serde(default)]
    pub flips: Vec<FlippingImage>,
}

impl Robustness {
    /// The version that this build writes. Readers reject newer versions.
    pub const SCHEMA_VERSION: u32 = 1;
    /// Name of the file in the folder of the evaluation.
    pub const FILE: &str = "robustness.json";
}

/// One operation at increasing strength.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RobustnessCurve {
    /// Name of the operation, one of a fixed set of words: "jpeg", "resize", "blur", "noise", "crop", "social_media" …
    pub operation: String,
    /// Unit of the levels, for an axis: "quality", "factor" …
    pub unit: String,
    /// The points, from weak to strong.
    pub points: Vec<RobustnessPoint>,
}

/// One operation at one strength.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RobustnessPoint {
    /// Strength in the unit of the curve.
    pub level: f64,
    /// Metrics at threshold 0.5.
    pub scores: Scores,
    /// 95% intervals of these metrics, by key.
    pub intervals: BTreeMap<String, Interval>,
    /// Number of images that are called real before and fake after the degradation.
    pub flips_to_fake: u64,
    /// Number of images that are called fake before and real after the degradation.
    pub flips_to_real: u64,
    /// Share of verdicts that flipped, in either direction.
    pub flipped: Option<f64>,
    /// 95% interval of that share (Wilson).
    pub flipped_interval: Option<Interval>,
}

/// An image whose verdict at threshold 0.5 flips.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlippingImage {
    /// BLAKE3 of the source file.
    pub id: Hash,
    /// Path in the source.
    pub path: String,
    /// True class.
    pub label: Label,
    /// Generator, "" if unknown.
    pub generator: String,
    /// P(fake) without degradation.
    pub p_fake: f64,
    /// Predicted class without degradation.
    pub predicted: Label,
    /// The operations and levels at which the verdict differs, in the order of the curves.
    pub flips: Vec<Flip>,
}

/// An operation and level at which a verdict flips.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flip {
    /// Operation of the curve.
    pub operation: String,
    /// Level of the point.
    pub level: f64,
    /// P(fake) of the degraded image.
    pub p_fake: f64,
}
