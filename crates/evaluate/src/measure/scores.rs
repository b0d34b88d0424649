//! All metrics of a set of images at one operating point.

use std::collections::BTreeMap;

use artifacts::schema::{Interval, Scores};

use super::ScoredImages;
use super::intervals::fix_degenerate_intervals;
use crate::bootstrap::{OperatingPoint, Resampling, intervals};
use crate::metrics::{
    ConfidenceOrder, Error, NamedValue, ProbabilityMetrics, RankMetrics, Ranking, RiskMetrics, confusion,
};

/// Computes all metrics of a set of images at an operating point. `ranking` must be the ranking of `images`.
///
/// # Errors
/// A P(fake) outside 0 to 1.
pub fn scores(images: &ScoredImages, ranking: &Ranking, point: OperatingPoint) -> Result<Scores, Error> {
    let confusion = confusion(ranking, point.threshold, |margin| point.p_fake(margin));
    let probability = ProbabilityMetrics::of(&images.labels, &images.p_fake(point))?;
    let risk = RiskMetrics::of(&ConfidenceOrder::of_margins(ranking), ranking);
    let values: Vec<NamedValue> =
        RankMetrics::of(ranking).named().into_iter().chain(risk.named()).chain(probability.named()).collect();
    Ok(Scores::new(point.threshold, confusion, &values))
}

/// Computes all metrics at the headline's operating point, and their intervals.
///
/// # Errors
/// A P(fake) outside 0 to 1.
pub fn scores_with_intervals(
    images: &ScoredImages,
    ranking: &Ranking,
    resampling: Resampling,
) -> Result<(Scores, BTreeMap<String, Interval>), Error> {
    let by_point = intervals(ranking, &[OperatingPoint::HEADLINE], resampling).by_point;
    let scores = scores(images, ranking, OperatingPoint::HEADLINE)?;
    let intervals = fix_degenerate_intervals(by_point.into_iter().next().unwrap_or_default(), &scores);
    Ok((scores, intervals))
}

#[cfg(test)]
mod tests {
    use artifacts::Label;
    use artifacts::schema::METRICS;

    use super::*;

    #[test]
    fn computes_every_metric_within_its_range() {
        let labels = vec![Label::Real, Label::Fake, Label::Real, Label::Fake];
        let images = ScoredImages { labels, margins: vec![-1.0, 0.5, 0.7, 2.0] };
        let found = scores(&images, &images.ranking().unwrap(), OperatingPoint::HEADLINE).unwrap();
        for metric in METRICS {
            let value = metric.value(&found);
            assert!(value.is_some_and(|v| (metric.range.0..=metric.range.1).contains(&v)), "{}: {value:?}", metric.key);
        }
    }
}
