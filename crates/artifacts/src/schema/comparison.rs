//! `compare.json`: detectors side by side on the same images.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Bootstrap, CurvePoint, Interval, Scores, Seen};
use crate::Label;
use crate::hash::Hash;

/// The whole of `compare.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Version of this schema.
    pub schema_version: u32,
    /// Images that every entrant judged; all that follows is about these.
    pub images: u64,
    /// How the intervals were made.
    pub bootstrap: Bootstrap,
    /// The detectors, in the order they were given.
    pub entrants: Vec<Entrant>,
    /// Every two of them.
    pub pairs: Vec<Pair>,
    /// Images whose verdicts at threshold 0.5 are not all the same.
    pub disagreeing: u64,
    /// The first of these, those with the most distant scores first.
    pub disagreements: Vec<Disagreement>,
}

impl Comparison {
    /// The version that this build writes; a reader refuses newer ones.
    pub const SCHEMA_VERSION: u32 = 1;
    /// The name of its file.
    pub const FILE: &str = "compare.json";
    /// The folder of the page about it, within its own.
    pub const REPORT: &str = "report";
    /// Where a comparison goes unless it is told otherwise.
    pub const DEFAULT_DIR: &str = "runs/compare";
}

/// One image that the entrants do not agree on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disagreement {
    /// BLAKE3 of the source file.
    pub id: Hash,
    /// Where the source has it.
    pub path: String,
    /// Its class.
    pub label: Label,
    /// Its generator, "" where unknown.
    pub generator: String,
    /// P(fake) of each entrant, in their order.
    pub p_fake: Vec<f64>,
}

/// One detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entrant {
    /// What it was called on the command line.
    pub name: String,
    /// Which training run of it, from 0.
    pub run: usize,
    /// The data it judged.
    pub dataset: String,
    /// The checkpoint that was judged: "best", "last" or a path.
    pub checkpoint: String,
    /// BLAKE3 of its weights.
    pub weights: Option<Hash>,
    /// Images that it judged and another did not.
    pub left_out: u64,
    /// Whether the data set is a simulated one.
    pub simulated: bool,
    /// Images of what it judged that it had seen in training, where the data are not its run's own.
    #[serde(default)]
    pub seen: Option<Seen>,
    /// On the common images, at threshold 0.5.
    pub scores: Scores,
    /// 95% intervals of these scores by their names.
    pub intervals: BTreeMap<String, Interval>,
    /// ROC curve on the common images: x false-positive rate, y true-positive rate.
    pub roc: Vec<CurvePoint>,
    /// On the common images, with the temperature and at the threshold that its validation chose.
    pub fitted: Option<Scores>,
}

/// Two detectors on the same images. Differences are first minus second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// Index of the first among the entrants.
    pub first: usize,
    /// Index of the second.
    pub second: usize,
    /// DeLong's test for the two ROC-AUCs; null unless there are two images of each class.
    pub roc_auc: Option<DeLong>,
    /// McNemar's test for the two accuracies at threshold 0.5.
    pub accuracy: McNemar,
    /// McNemar's test with each at its own fitted threshold; null where one has none.
    pub fitted_accuracy: Option<McNemar>,
    /// Differences of scores at threshold 0.5, with intervals over resamples of the images.
    pub differences: Vec<Difference>,
}

/// DeLong's test for two ROC-AUCs on the same images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeLong {
    /// The first area minus the second.
    pub difference: f64,
    /// 95% interval of the difference.
    pub interval: Interval,
    /// The difference in standard errors; null where the areas differ without any variance.
    pub z: Option<f64>,
    /// Two-sided p-value.
    pub p: Option<f64>,
    /// The p-value after Holm's correction for as many pairs as are compared.
    pub p_holm: Option<f64>,
}

/// McNemar's test for two accuracies on the same images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct McNemar {
    /// Images that only the first has right.
    pub only_first: u64,
    /// Images that only the second has right.
    pub only_second: u64,
    /// Two-sided p-value of the exact binomial test.
    pub p: f64,
    /// The p-value after Holm's correction for as many pairs as are compared.
    pub p_holm: f64,
    /// Statistic with continuity correction, one degree of freedom.
    pub chi_square: f64,
    /// Its p-value.
    pub chi_square_p: f64,
}

/// The difference of one score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The score's name in `metrics.json`.
    pub score: String,
    /// First minus second; null where either is.
    pub value: Option<f64>,
    /// Its 95% interval.
    pub interval: Option<Interval>,
}
