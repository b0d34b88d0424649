//! Stratified bootstrap intervals of all metrics.
//!
//! A resample draws uniformly and with replacement, and keeps the number of images of each class. The images are sorted
//! once. A resample is a count for each image, and every metric follows from the counts in one pass over the ranking,
//! so that a resample costs O(n).
//!
//! Resample k draws from its own random stream, so that the intervals do not depend on the number of threads. Rank
//! metrics and rates are exact for each resample. Squared errors and log losses are summed in blocks of
//! single-precision floats with a relative error below 1e-5, which is far below the width of any interval.

mod interval;
mod paired;
mod probability_sums;
mod resample;

pub use interval::percentile_interval;
pub use paired::paired_differences;
pub use resample::resample;

use std::collections::BTreeMap;

use artifacts::schema::{BandPoint, Interval};
use rayon::prelude::*;

use self::probability_sums::ProbabilityTerms;
use crate::calibration::ProbabilityScale;
use crate::metrics::{
    ConfidenceOrder, Cut, GRID, NamedValue, RankMetrics, Ranking, ResampleCounts, RiskGrid, RiskMetrics,
};

/// Default number of resamples.
pub const DEFAULT_RESAMPLES: u32 = 2000;

/// Number of resamples, and the seed they are drawn with.
#[derive(Clone, Copy, Debug)]
pub struct Resampling {
    /// Number of resamples.
    pub resamples: u32,
    /// Seed of the random streams.
    pub seed: u64,
}

/// How a margin becomes a verdict: the scale of P(fake), and the threshold on that scale from which an image is called
/// fake.
#[derive(Clone, Copy, Debug)]
pub struct OperatingPoint {
    /// How P(fake) follows from the margin.
    pub scale: ProbabilityScale,
    /// The threshold.
    pub threshold: f64,
}

impl OperatingPoint {
    /// Uncalibrated P(fake) at threshold 0.5: the argmax of the two logits, which the published baseline reports.
    pub const HEADLINE: OperatingPoint = OperatingPoint { scale: ProbabilityScale::Uncalibrated, threshold: 0.5 };

    /// P(fake) of a margin.
    pub fn p_fake(&self, margin: f64) -> f64 {
        self.scale.p_fake(margin)
    }

    /// Whether an image with this margin is called fake.
    pub fn calls_fake(&self, margin: f64) -> bool {
        self.p_fake(margin) >= self.threshold
    }
}

/// The 95% intervals of a ranking of margins.
#[derive(Clone, Debug)]
pub struct Intervals {
    /// The intervals by metric, one map for each operating point. Rank and risk metrics are in every map; they are the
    /// same at every operating point.
    pub by_point: Vec<BTreeMap<String, Interval>>,
    /// The interval of the share of wrong verdicts at coverages of 0.01, 0.02 … 1. Empty without images.
    pub risk_coverage: Vec<BandPoint>,
}

/// Computes the 95% intervals of a ranking of margins at each operating point.
pub fn intervals(ranking: &Ranking, points: &[OperatingPoint], resampling: Resampling) -> Intervals {
    let points: Vec<(Cut, ProbabilityTerms)> = points
        .iter()
        .map(|point| {
            let p_fake = |margin| point.p_fake(margin);
            (Cut::new(ranking, point.threshold, p_fake), ProbabilityTerms::new(ranking, p_fake))
        })
        .collect();
    let order = ConfidenceOrder::of_margins(ranking);
    let resamples: Vec<(Vec<Vec<NamedValue>>, RiskGrid)> = (0..u64::from(resampling.resamples))
        .into_par_iter()
        .map_init(
            || ResampleCounts::ones(ranking),
            |weights, index| {
                resample(weights, resampling.seed, index);
                resampled_metrics(ranking, &order, weights, &points)
            },
        )
        .collect();
    let by_point = (0..points.len())
        .map(|point| percentile_intervals(resamples.iter().map(|(metrics, _)| metrics[point].as_slice())))
        .collect();
    let risk_coverage = if order.is_empty() { Vec::new() } else { risk_band(&resamples) };
    Intervals { by_point, risk_coverage }
}

/// The metrics of one resample at each operating point, and its risk-coverage curve.
fn resampled_metrics(
    ranking: &Ranking,
    order: &ConfidenceOrder,
    weights: &ResampleCounts,
    points: &[(Cut, ProbabilityTerms)],
) -> (Vec<Vec<NamedValue>>, RiskGrid) {
    let rank = RankMetrics::weighted(ranking, weights).named();
    let (risk, grid) = RiskMetrics::weighted_with_grid(order, weights);
    let by_point = points
        .iter()
        .map(|(cut, terms)| {
            let confusion = cut.confusion(weights);
            let at_point = confusion.named_metrics().chain(terms.weighted_means(weights));
            rank.into_iter().chain(risk.named()).chain(at_point).collect()
        })
        .collect();
    (by_point, grid)
}

/// Turns the risk-coverage curves of all resamples into an interval for each coverage of the grid.
fn risk_band(resamples: &[(Vec<Vec<NamedValue>>, RiskGrid)]) -> Vec<BandPoint> {
    let at = |index: usize| {
        let risks: Vec<Option<f64>> = resamples.iter().map(|(_, grid)| Some(grid[index])).collect();
        let Interval { low, high } = percentile_interval(&risks)?;
        Some(BandPoint { x: (index + 1) as f64 / GRID as f64, low, high })
    };
    (0..GRID).filter_map(at).collect()
}

/// Turns the metrics of all resamples into an interval for each metric.
fn percentile_intervals<'a>(resamples: impl Iterator<Item = &'a [NamedValue]>) -> BTreeMap<String, Interval> {
    let mut values: BTreeMap<&str, Vec<Option<f64>>> = BTreeMap::new();
    for resample in resamples {
        for (name, value) in resample {
            values.entry(name).or_default().push(*value);
        }
    }
    values.into_iter().filter_map(|(name, values)| Some((name.to_owned(), percentile_interval(&values)?))).collect()
}
