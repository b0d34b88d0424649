//! `metrics.json`: what the scores are worth. Fake is the positive class, the definitions are scikit-learn's, and
//! what is undefined is null.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Scores;
use crate::Split;
use crate::hash::Hash;

/// The whole of `metrics.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Version of this schema.
    pub schema_version: u32,
    /// The data that were judged: the source as ingest was given it.
    pub dataset: String,
    /// Whether the data set is a simulated one.
    pub simulated: bool,
    /// The split that was judged.
    pub split: Split,
    /// The checkpoint that was judged: "best", "last" or a path.
    pub checkpoint: String,
    /// Judged images that the model had seen, where the data are not the run's own.
    #[serde(default)]
    pub seen: Option<Seen>,
    /// Run 0 at threshold 0.5, at the top level: `accuracy`, `roc_auc` …
    #[serde(flatten)]
    pub headline: Scores,
    /// 95% intervals of run 0's scores by their names.
    #[serde(default)]
    pub intervals: BTreeMap<String, Interval>,
    /// How the intervals were made.
    #[serde(default)]
    pub bootstrap: Bootstrap,
    /// Every training run on its own.
    pub runs: Vec<RunMetrics>,
    /// Mean and deviation of each score over the runs, where there are several.
    pub over_runs: BTreeMap<String, Moments>,
}

impl Metrics {
    /// The version that this build writes; a reader refuses newer ones.
    pub const SCHEMA_VERSION: u32 = 1;
}

/// Judged images whose files, byte for byte, are also in the run's own splits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// In the training split: scores on these flatter the model.
    pub training: u64,
    /// In the validation split, which chose the checkpoint, the threshold and the temperature.
    pub validation: u64,
}

/// How intervals were made: percentiles over stratified resamples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Number of resamples.
    pub resamples: u32,
    /// Seed of the random streams they were drawn from.
    pub seed: u64,
    /// Nominal coverage, 0.95.
    pub level: f64,
}

/// The scores of one training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunMetrics {
    /// Which run, from 0.
    pub run: usize,
    /// BLAKE3 of the weights that were judged.
    #[serde(default)]
    pub weights: Option<Hash>,
    /// At threshold 0.5.
    #[serde(flatten)]
    pub scores: Scores,
    /// 95% intervals of the scores by their names.
    #[serde(default)]
    pub intervals: BTreeMap<String, Interval>,
    /// The same images with the temperature and threshold that validation chose; null where it has one class only.
    #[serde(default)]
    pub fitted: Option<Fitted>,
    /// What `expected_calibration_error` stays below in 95 of 100 such sets where P(fake) is honest.
    #[serde(default)]
    pub calibration_error_by_chance: Option<f64>,
    /// ROC curve: x false-positive rate, y true-positive rate.
    pub roc: Vec<CurvePoint>,
    /// Precision-recall curve: x recall, y precision.
    pub pr: Vec<CurvePoint>,
    /// Reliability diagram of P(fake) as judged.
    #[serde(default)]
    pub reliability: Vec<ReliabilityBin>,
    /// The fakes of each generator against all real images; empty where no generator is known.
    #[serde(default)]
    pub generators: Groups,
    /// The images of each source folder, split and class folders left out of its name; empty where there is only one
    /// and where they are the generators over again.
    #[serde(default)]
    pub sources: Groups,
}

/// What validation chose, and what it gives on the judged split. All probabilities here are calibrated:
/// `1 / (1 + e^-((logit_fake - logit_real) / temperature))`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    /// Validation images that it was fitted on.
    pub fitted_on: u64,
    /// Temperature with the lowest log loss.
    pub temperature: f64,
    /// Where no verdict is given.
    pub inconclusive: Inconclusive,
    /// At the fitted threshold, of the calibrated probabilities.
    #[serde(flatten)]
    pub scores: Scores,
    /// 95% intervals of these scores by their names.
    pub intervals: BTreeMap<String, Interval>,
    /// What `expected_calibration_error` stays below in 95 of 100 such sets where these probabilities are honest.
    #[serde(default)]
    pub calibration_error_by_chance: Option<f64>,
    /// Reliability diagram of the calibrated probabilities.
    pub reliability: Vec<ReliabilityBin>,
}

/// The band of calibrated P(fake) without a verdict: real below `low`, fake from `high` on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inconclusive {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// The share of the judged images in the band.
    pub share: Option<f64>,
    /// The share of all real images that is called fake.
    pub false_accusations: Option<f64>,
    /// The share of all fake images that is called real.
    pub misses: Option<f64>,
}

/// A 95% interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Scores by group of images, with their mean and the worst.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Groups {
    /// The groups by name.
    pub groups: Vec<Group>,
    /// Mean of each score over the groups in which it is defined.
    pub mean: BTreeMap<String, f64>,
    /// The worst group for each score of which higher is better.
    pub worst: BTreeMap<String, Worst>,
}

/// The scores of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Real images in it.
    pub reals: u64,
    /// Fakes in it.
    pub fakes: u64,
    /// At threshold 0.5.
    #[serde(flatten)]
    pub scores: Scores,
    /// Balanced accuracy at the fitted threshold.
    pub fitted_balanced_accuracy: Option<f64>,
    /// 95% intervals: DeLong's for `roc_auc`, Wilson's for `real_accuracy` and `fake_accuracy`.
    pub intervals: BTreeMap<String, Interval>,
}

/// The group with the lowest value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worst {
    /// Its name.
    pub name: String,
    /// The value.
    pub value: f64,
}

/// One bin of a reliability diagram; it holds its upper edge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Lower edge.
    pub lower: f64,
    /// Upper edge.
    pub upper: f64,
    /// Images in it.
    pub count: u64,
    /// Mean P(fake) of its images; null when it is empty.
    pub mean_p_fake: Option<f64>,
    /// Share of fakes among its images; null when it is empty.
    pub share_fake: Option<f64>,
}

/// One point of a curve and the threshold it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Horizontal coordinate.
    pub x: f64,
    /// Vertical coordinate.
    pub y: f64,
    /// The threshold; null at the end of the curve where it is infinite.
    pub threshold: Option<f64>,
}

/// Mean and sample standard deviation (n - 1) over runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Mean over the runs.
    pub mean: f64,
    /// Sample standard deviation; null for a single run.
    pub std: Option<f64>,
}
