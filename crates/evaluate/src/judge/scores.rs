//! One set of images at one threshold.

use std::collections::BTreeMap;

use artifacts::schema::{Interval, ReliabilityBin, Scores};

use super::Scored;
use super::width::mend;
use crate::bootstrap::{Plan, View, intervals};
use crate::metrics::{Error, Named, ProbabilityMetrics, RankMetrics, Ranking, confusion, reliability};

/// All scores of a set of images on a scale and at a threshold. `ranking` is the set's own.
///
/// # Errors
/// A P(fake) outside 0 to 1.
pub fn scores(scored: &Scored, ranking: &Ranking, view: View) -> Result<Scores, Error> {
    let confusion = confusion(ranking, view.threshold, |margin| view.scale.p_fake(margin));
    let probability = ProbabilityMetrics::of(&scored.labels, &on_scale(scored, view))?;
    let values: Vec<Named> = RankMetrics::of(ranking).named().into_iter().chain(probability.named()).collect();
    Ok(Scores::new(view.threshold, confusion, &values))
}

/// The same at the headline's threshold, with the intervals that are issued: those of the bootstrap that the images can bear.
///
/// # Errors
/// A P(fake) outside 0 to 1.
pub fn with_intervals(
    scored: &Scored,
    ranking: &Ranking,
    resamples: u32,
    seed: u64,
) -> Result<(Scores, BTreeMap<String, Interval>), Error> {
    let plan = Plan { resamples, seed, views: vec![View::HEADLINE] };
    let drawn = intervals(ranking, &plan).into_iter().next().unwrap_or_default();
    let scores = scores(scored, ranking, View::HEADLINE)?;
    let intervals = mend(drawn, &scores);
    Ok((scores, intervals))
}

/// The reliability diagram on a scale.
///
/// # Errors
/// A P(fake) outside 0 to 1.
pub fn bins(scored: &Scored, view: View) -> Result<Vec<ReliabilityBin>, Error> {
    let bins = reliability(&scored.labels, &on_scale(scored, view))?;
    Ok(bins
        .iter()
        .map(|bin| ReliabilityBin {
            lower: bin.lower,
            upper: bin.upper,
            count: bin.count,
            mean_p_fake: bin.mean_p_fake(),
            share_fake: bin.share_fake(),
        })
        .collect())
}

/// P(fake) of each image on a scale.
pub(super) fn on_scale(scored: &Scored, view: View) -> Vec<f64> {
    scored.margins.iter().map(|&margin| view.scale.p_fake(margin)).collect()
}

#[cfg(test)]
mod tests {
    use artifacts::Label;
    use artifacts::schema::METRICS;

    use super::*;

    #[test]
    fn computes_every_metric_within_its_range() {
        let scored = Scored {
            labels: vec![Label::Real, Label::Fake, Label::Real, Label::Fake],
            margins: vec![-1.0, 0.5, 0.7, 2.0],
        };
        let found = scores(&scored, &scored.ranking().unwrap(), View::HEADLINE).unwrap();
        for metric in METRICS {
            let value = metric.value(&found);
            assert!(value.is_some_and(|v| (metric.range.0..=metric.range.1).contains(&v)), "{}: {value:?}", metric.key);
        }
    }
}
