//! Stratified bootstrap intervals of every headline number.
//!
//! A resample draws as many fake images as there are fake images, and as many real ones, with replacement, each draw
//! exactly uniform. Nothing is binned and no multinomial is approximated: the images are sorted once, a resample is
//! a count for each of them, and every metric follows from the counts in one pass over the ranking, so a resample
//! costs O(n) and the cost for each prediction does not grow with their number.
//!
//! Resample k draws from its own random stream, so the intervals do not depend on the number of threads. Rank
//! metrics and rates are exact for each resample; sums of squared errors and log losses are taken in blocks of
//! single-precision floats, with a relative error below 1e-5, far below the spread of any interval.

mod columns;
mod interval;
mod paired;
mod resample;

pub use interval::interval;
pub use paired::paired_difference;
pub use resample::resample;

use std::collections::BTreeMap;

use artifacts::schema::Interval;
use rayon::prelude::*;

use self::columns::ProbabilityColumns;
use crate::calibration::Scale;
use crate::metrics::{Cut, Named, RankMetrics, Ranking, Weights};

/// How many resamples a headline number's interval is made of, unless configured.
pub const DEFAULT_RESAMPLES: u32 = 2000;

/// What is bootstrapped besides the rank metrics.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Number of resamples.
    pub resamples: u32,
    /// Seed of the random streams.
    pub seed: u64,
    /// The ways in which the probabilities are read.
    pub views: Vec<View>,
}

/// One way of reading a ranking of margins: as P(fake) on a scale, with a threshold on that scale.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The scale.
    pub scale: Scale,
    /// The threshold.
    pub threshold: f64,
}

impl View {
    /// The headline's: P(fake) as judged, at the threshold that the published baseline used and a softmax decides by.
    pub const HEADLINE: View = View { scale: Scale::AsJudged, threshold: 0.5 };
}

/// 95% intervals by metric of a ranking of margins, one map for each view. The rank metrics are in each map; they are
/// the same on every scale.
pub fn intervals(ranking: &Ranking, plan: &Plan) -> Vec<BTreeMap<String, Interval>> {
    let views: Vec<(Cut, ProbabilityColumns)> = plan
        .views
        .iter()
        .map(|view| {
            let p_fake = |margin| view.scale.p_fake(margin);
            (Cut::new(ranking, view.threshold, p_fake), ProbabilityColumns::new(ranking, p_fake))
        })
        .collect();
    let resamples: Vec<Vec<Vec<Named>>> = (0..u64::from(plan.resamples))
        .into_par_iter()
        .map_init(
            || Weights::ones(ranking),
            |weights, index| {
                resample(weights, plan.seed, index);
                one(ranking, weights, &views)
            },
        )
        .collect();
    (0..views.len()).map(|view| collect(resamples.iter().map(|resample| resample[view].as_slice()))).collect()
}

/// The metrics of one resample, for each view.
fn one(ranking: &Ranking, weights: &Weights, views: &[(Cut, ProbabilityColumns)]) -> Vec<Vec<Named>> {
    let rank = RankMetrics::weighted(ranking, weights).named();
    views
        .iter()
        .map(|(cut, columns)| {
            let confusion = cut.confusion(weights);
            rank.into_iter().chain(confusion.named_metrics()).chain(columns.weighted(weights)).collect()
        })
        .collect()
}

/// Turns resamples of named values into an interval for each name.
fn collect<'a>(resamples: impl Iterator<Item = &'a [Named]>) -> BTreeMap<String, Interval> {
    let mut values: BTreeMap<&str, Vec<Option<f64>>> = BTreeMap::new();
    for resample in resamples {
        for (name, value) in resample {
            values.entry(name).or_default().push(*value);
        }
    }
    values.into_iter().filter_map(|(name, values)| Some((name.to_owned(), interval(&values)?))).collect()
}
