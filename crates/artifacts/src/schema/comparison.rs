//! `compare.json`: comparison of detectors on the same images.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Bootstrap, CurvePoint, Interval, Judged, Scores, Seen};
use crate::Label;
use crate::hash::Hash;

/// Content of `compare.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Version of this schema.
    pub schema_version: u32,
    /// Number of images that all detectors were evaluated on. All metrics and tests are computed on these images.
    pub images: u64,
    /// Parameters of the bootstrap.
    pub bootstrap: Bootstrap,
    /// The detectors, in the order of the command line.
    #[serde(rename = "entrants")]
    pub detectors: Vec<ComparedDetector>,
    /// All pairs of detectors.
    pub pairs: Vec<Pair>,
    /// Number of images with different verdicts at threshold 0.5.
    pub disagreeing: u64,
    /// At most 200 of these images, by descending difference between the highest and the lowest P(fake).
    pub disagreements: Vec<Disagreement>,
}

impl Comparison {
    /// The version that this build writes. Readers reject newer versions.
    pub const SCHEMA_VERSION: u32 = 1;
    /// Name of the file.
    pub const FILE: &str = "compare.json";
    /// Folder of the thumbnails, relative to its own.
    pub const IMAGES: &str = "images";
    /// Folder of its report, relative to its own.
    pub const REPORT: &str = "report";
    /// Default folder of a comparison.
    pub const DEFAULT_DIR: &str = "runs/compare";
}

/// An image with different verdicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disagreement {
    /// BLAKE3 of the source file.
    pub id: Hash,
    /// Path in the source.
    pub path: String,
    /// True class.
    pub label: Label,
    /// Generator, "" if unknown.
    pub generator: String,
    /// P(fake) of each detector, in the order of `detectors`.
    pub p_fake: Vec<f64>,
    /// File of its thumbnail, relative to the folder of the comparison. Only the first images have one, if a detector's
    /// run still has their pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// A detector in a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparedDetector {
    /// The argument that names it on the command line.
    pub name: String,
    /// Number of the training run, from 0.
    pub run: usize,
    /// Source of the evaluated images.
    pub dataset: String,
    /// Evaluated checkpoint: "best", "last" or a path.
    pub checkpoint: String,
    /// BLAKE3 of the weights.
    pub weights: Option<Hash>,
    /// Number of its evaluated images that are left out, because another detector was not evaluated on them.
    pub left_out: u64,
    /// Whether the images are simulated.
    pub simulated: bool,
    /// Numbers of evaluated images that are in the detector's own training and validation splits; `None` if its run's
    /// own data were evaluated.
    #[serde(default)]
    pub seen: Option<Seen>,
    /// Where its predictions come from, if they were read from a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Box<Judged>>,
    /// Metrics on the common images at threshold 0.5.
    pub scores: Scores,
    /// 95% intervals of these metrics, by key.
    pub intervals: BTreeMap<String, Interval>,
    /// ROC curve on the common images: x is the false-positive rate, y the true-positive rate.
    pub roc: Vec<CurvePoint>,
    /// Metrics on the common images with the temperature and threshold that were fitted on its validation split; `None`
    /// if they could not be fitted.
    pub fitted: Option<Scores>,
}

/// Comparison of two detectors. Differences are first minus second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// Index of the first detector.
    pub first: usize,
    /// Index of the second detector.
    pub second: usize,
    /// DeLong's test of the ROC-AUCs; `None` with fewer than two images of a class.
    pub roc_auc: Option<DeLong>,
    /// McNemar's test of the accuracies at threshold 0.5.
    pub accuracy: McNemar,
    /// McNemar's test of the accuracies at the fitted thresholds; `None` if a detector has none.
    pub fitted_accuracy: Option<McNemar>,
    /// Differences of metrics at threshold 0.5, with paired bootstrap intervals.
    pub differences: Vec<Difference>,
}

/// DeLong's test of two ROC-AUCs on the same images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeLong {
    /// First area minus second.
    pub difference: f64,
    /// 95% interval of the difference.
    pub interval: Interval,
    /// The difference in standard errors; `None` if the areas differ but the variance of the difference is 0.
    pub z: Option<f64>,
    /// Two-sided p-value.
    pub p: Option<f64>,
    /// The p-value after Holm's correction for the number of pairs.
    pub p_holm: Option<f64>,
}

/// McNemar's test of two accuracies on the same images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct McNemar {
    /// Images that only the first detector classifies correctly.
    pub only_first: u64,
    /// Images that only the second detector classifies correctly.
    pub only_second: u64,
    /// Two-sided p-value of the exact binomial test.
    pub p: f64,
    /// The p-value after Holm's correction for the number of pairs.
    pub p_holm: f64,
    /// Chi-square statistic with continuity correction and one degree of freedom.
    pub chi_square: f64,
    /// Its p-value.
    pub chi_square_p: f64,
}

/// Difference of a metric between two detectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Key of the metric in `metrics.json`.
    pub score: String,
    /// First minus second; `None` if either is undefined.
    pub value: Option<f64>,
    /// Its 95% interval.
    pub interval: Option<Interval>,
}
