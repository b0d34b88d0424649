//! `metrics.json`: the metrics of an evaluation. `docs/metrics.md` documents its keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Judged, Metric, Scores};
use crate::hash::Hash;
use crate::{Label, Split};

/// Content of `metrics.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Version of this schema.
    pub schema_version: u32,
    /// Source of the evaluated images, as configured for ingest.
    pub dataset: String,
    /// Whether the images are simulated.
    pub simulated: bool,
    /// Evaluated split.
    pub split: Split,
    /// Evaluated checkpoint: "best", "last" or a path.
    pub checkpoint: String,
    /// Evaluated images that are in the run's own training or validation split; `None` if the run's own data were
    /// evaluated.
    #[serde(default)]
    pub seen: Option<Seen>,
    /// Where the predictions come from, if they were read from a file; `None` for a detector of Candling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Box<Judged>>,
    /// Metrics of run 0 at threshold 0.5, as keys of the top level: `accuracy`, `roc_auc` …
    #[serde(flatten)]
    pub headline: Scores,
    /// 95% intervals of the metrics of run 0, by key.
    #[serde(default)]
    pub intervals: BTreeMap<String, Interval>,
    /// Parameters of the bootstrap.
    #[serde(default)]
    pub bootstrap: Bootstrap,
    /// Metrics of each training run.
    pub runs: Vec<RunMetrics>,
    /// Mean and standard deviation of each metric over the runs; empty for a single run.
    pub over_runs: BTreeMap<String, Moments>,
}

impl Metrics {
    /// The version that this build writes. Readers reject newer versions.
    pub const SCHEMA_VERSION: u32 = 1;

    /// Explains why a metric of the headline is undefined, in a sentence without a full stop. Returns `None` if it is
    /// defined.
    pub fn why_undefined(&self, metric: &Metric) -> Option<String> {
        match self.judged.as_ref().and_then(|judged| judged.why_undefined(metric)) {
            Some(why) => Some(format!("{} is undefined: {why}", metric.name)),
            None => metric.why_undefined(&self.headline),
        }
    }
}

/// Numbers of evaluated images whose files are also in the run's own splits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Images in the training split. Scores on these images are too high.
    pub training: u64,
    /// Images in the validation split, on which checkpoint, threshold and temperature were chosen.
    pub validation: u64,
}

/// Parameters of the stratified bootstrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Number of resamples.
    pub resamples: u32,
    /// Seed of the random streams.
    pub seed: u64,
    /// Nominal coverage, 0.95.
    pub level: f64,
}

/// Metrics of one training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunMetrics {
    /// Number of the training run, from 0.
    pub run: usize,
    /// BLAKE3 of the weights.
    #[serde(default)]
    pub weights: Option<Hash>,
    /// Metrics at threshold 0.5.
    #[serde(flatten)]
    pub scores: Scores,
    /// 95% intervals of the metrics, by key.
    #[serde(default)]
    pub intervals: BTreeMap<String, Interval>,
    /// Metrics with the temperature and threshold that were fitted on validation; `None` if they could not be fitted.
    #[serde(default)]
    pub fitted: Option<CalibratedScores>,
    /// 95th percentile of `expected_calibration_error` if P(fake) is perfectly calibrated.
    #[serde(default)]
    pub calibration_error_by_chance: Option<f64>,
    /// ROC curve: x is the false-positive rate, y the true-positive rate.
    pub roc: Vec<CurvePoint>,
    /// Precision-recall curve: x is the recall, y the precision.
    pub pr: Vec<CurvePoint>,
    /// Risk-coverage curve at threshold 0.5: x is the share of images that get a verdict, the most certain ones; y the
    /// share of these verdicts that are wrong. An image gets a verdict if P(fake) or 1 - P(fake) is at least the
    /// point's threshold. Empty in evaluations of earlier versions.
    #[serde(default)]
    pub risk_coverage: Vec<CurvePoint>,
    /// 95% bootstrap interval of the share of wrong verdicts at coverages of 0.01, 0.02 … 1.
    #[serde(default)]
    pub risk_coverage_band: Vec<BandPoint>,
    /// Reliability diagram of uncalibrated P(fake).
    #[serde(default)]
    pub reliability: Vec<ReliabilityBin>,
    /// The fakes of each generator with all real images; empty if no generator is known.
    #[serde(default)]
    pub generators: Groups,
    /// The images of each source folder. Parts of a path that name a split or class are ignored. Empty if there is only
    /// one folder, or if the folders are the generators.
    #[serde(default)]
    pub sources: Groups,
    /// The images by their cells of each column that `ingest.report_columns` or `judge --report-columns` names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, Groups>,
    /// The branches of a detector of branches: each alone, all but one, and all. Empty for other detectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ablation: Vec<AblationRow>,
}

/// The ROC-AUC of some branches of a detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AblationRow {
    /// The branches.
    pub branches: Vec<String>,
    /// The number of images that at least one of them has features of. The margin of other images is 0.
    pub images: u64,
    /// The ROC-AUC over all images.
    pub roc_auc: Option<f64>,
    /// Its 95% interval.
    pub interval: Option<Interval>,
    /// This ROC-AUC minus that of all branches in the fusion; `None` in the row of all.
    pub difference: Option<f64>,
    /// The 95% interval of the difference.
    pub difference_interval: Option<Interval>,
    /// The p-value of DeLong's test of the difference.
    pub p: Option<f64>,
}

/// Temperature, threshold and band that were fitted on validation, and the metrics of the evaluated images with them.
/// All probabilities are calibrated: `1 / (1 + e^-((logit_fake - logit_real) / temperature))`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibratedScores {
    /// Number of validation images that the parameters were fitted on.
    pub fitted_on: u64,
    /// Temperature with the lowest log loss on validation.
    pub temperature: f64,
    /// The band of P(fake) in which the verdict is inconclusive.
    pub inconclusive: Inconclusive,
    /// Metrics of the calibrated probabilities at the fitted threshold.
    #[serde(flatten)]
    pub scores: Scores,
    /// 95% intervals of these metrics, by key.
    pub intervals: BTreeMap<String, Interval>,
    /// 95th percentile of `expected_calibration_error` if the calibrated probabilities are perfectly calibrated.
    #[serde(default)]
    pub calibration_error_by_chance: Option<f64>,
    /// Reliability diagram of the calibrated probabilities.
    pub reliability: Vec<ReliabilityBin>,
    /// The numbers of validation images in ranges of calibrated P(fake), in ascending order. They are predictions for
    /// held-out generators if the band was fitted to these. Empty in evaluations of earlier versions.
    #[serde(default)]
    pub validation: Vec<ScoreRange>,
}

/// The numbers of images in a range of calibrated P(fake).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreRange {
    /// Lower end.
    pub low: f64,
    /// Upper end. The last range contains it, the others do not.
    pub high: f64,
    /// Number of real images.
    pub reals: u64,
    /// Number of fakes.
    pub fakes: u64,
}

impl ScoreRange {
    /// The ends of the ranges. They are narrow near 0 and 1, where most scores are.
    pub const EDGES: [f64; 17] =
        [0.0, 0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0];

    /// Counts the images of each range.
    pub fn count(labels: &[Label], p_fake: &[f64]) -> Vec<ScoreRange> {
        let ends = ScoreRange::EDGES.windows(2);
        let mut ranges: Vec<ScoreRange> =
            ends.map(|ends| ScoreRange { low: ends[0], high: ends[1], reals: 0, fakes: 0 }).collect();
        for (label, &p) in labels.iter().zip(p_fake) {
            let above = ranges.partition_point(|range| range.high <= p);
            let last = ranges.len() - 1;
            let range = &mut ranges[above.min(last)];
            match label {
                Label::Real => range.reals += 1,
                Label::Fake => range.fakes += 1,
            }
        }
        ranges
    }
}

/// The band of calibrated P(fake) in which the verdict is inconclusive. An image is called real below `low`, and fake
/// from `high` on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inconclusive {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// The number of predictions for held-out generators that the band was fitted to; `None` if it was fitted to the
    /// validation split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<u64>,
    /// Share of the evaluated images in the band.
    pub share: Option<f64>,
    /// Share of the real images that are called fake.
    pub false_accusations: Option<f64>,
    /// Share of the fakes that are called real.
    pub misses: Option<f64>,
    /// Share of wrong verdicts among those that are not inconclusive.
    #[serde(default)]
    pub wrong: Option<f64>,
    /// Wilson's 95% interval of `wrong`.
    #[serde(default)]
    pub wrong_interval: Option<Interval>,
}

/// The verdicts on a group of images with the fitted temperature and inconclusive band.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BandVerdicts {
    /// Verdicts on the real images.
    pub real: VerdictCounts,
    /// Verdicts on the fakes.
    pub fake: VerdictCounts,
    /// Share of the images whose verdict is inconclusive; `None` without images.
    pub inconclusive: Option<f64>,
    /// Share of wrong verdicts among those that are not inconclusive; `None` if all are.
    pub wrong: Option<f64>,
    /// Wilson's 95% interval of `wrong`.
    pub wrong_interval: Option<Interval>,
}

/// Numbers of images by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictCounts {
    /// Images called real.
    pub called_real: u64,
    /// Images called fake.
    pub called_fake: u64,
    /// Images whose verdict is inconclusive.
    pub inconclusive: u64,
}

impl VerdictCounts {
    /// Number of images.
    pub fn total(&self) -> u64 {
        self.called_real + self.called_fake + self.inconclusive
    }
}

/// A 95% interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Metrics by group of images, with the mean and the worst value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Groups {
    /// The groups, ordered by name.
    pub groups: Vec<Group>,
    /// Mean of each metric over the groups in which it is defined.
    pub mean: BTreeMap<String, f64>,
    /// Worst value of each metric: the highest of errors, the lowest of other metrics.
    pub worst: BTreeMap<String, Worst>,
}

/// Metrics of a group of images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Name of the generator or source folder.
    pub name: String,
    /// Number of real images.
    pub reals: u64,
    /// Number of fakes.
    pub fakes: u64,
    /// Metrics at threshold 0.5.
    #[serde(flatten)]
    pub scores: Scores,
    /// Balanced accuracy at the fitted threshold.
    pub fitted_balanced_accuracy: Option<f64>,
    /// Verdicts with the fitted inconclusive band; `None` without one, and in evaluations of earlier versions.
    #[serde(default)]
    pub fitted_verdicts: Option<BandVerdicts>,
    /// 95% intervals by key: DeLong's for `roc_auc`, Wilson's for `accuracy`, `real_accuracy` and `fake_accuracy`.
    pub intervals: BTreeMap<String, Interval>,
}

/// Worst value of a metric over groups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worst {
    /// Name of the group.
    pub name: String,
    /// Value of the metric.
    pub value: f64,
}

/// A bin of a reliability diagram. It contains its upper edge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Lower edge.
    pub lower: f64,
    /// Upper edge.
    pub upper: f64,
    /// Number of images.
    pub count: u64,
    /// Mean P(fake) of its images; `None` if the bin is empty.
    pub mean_p_fake: Option<f64>,
    /// Share of fakes among its images; `None` if the bin is empty.
    pub share_fake: Option<f64>,
}

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Horizontal coordinate.
    pub x: f64,
    /// Vertical coordinate.
    pub y: f64,
    /// Threshold as a value of P(fake). `None` at the start of the ROC curve, where no image is called fake.
    pub threshold: Option<f64>,
}

/// The 95% interval of a curve at one place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BandPoint {
    /// Horizontal coordinate.
    pub x: f64,
    /// Lower end of the interval of the vertical coordinate.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Mean and standard deviation over training runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Mean over the runs.
    pub mean: f64,
    /// Sample standard deviation (divided by n - 1); `None` for a single value.
    pub std: Option<f64>,
}
