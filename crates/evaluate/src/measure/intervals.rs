//! Replacing bootstrap intervals that are too narrow because there are too few images.
//!
//! If no image is classified wrongly, every resample is perfect too, and the bootstrap interval has no width. If 1% of
//! the real images are only a few images, every resample of a metric at this false-positive rate depends on the same
//! few scores.

use std::collections::BTreeMap;

use artifacts::schema::{Basis, Interval, IntervalMethod, METRICS, Scores};

use crate::significance::wilson;

/// Replaces bootstrap intervals without width: proportions of images get Wilson's interval, and other metrics none.
/// Also removes the interval of a metric at a false-positive rate that allows too few false positives.
pub(super) fn fix_degenerate_intervals(
    mut intervals: BTreeMap<String, Interval>,
    scores: &Scores,
) -> BTreeMap<String, Interval> {
    let reals = scores.confusion.reals() as f64;
    for metric in METRICS {
        let allows_too_few = |rate: f64| rate * reals < IntervalMethod::MIN_FALSE_POSITIVES;
        if matches!(metric.interval, IntervalMethod::AtFalsePositiveRate(rate) if allows_too_few(rate)) {
            intervals.remove(metric.key);
        }
        if let Basis::Proportion(proportion) = metric.basis
            && let Some(interval) = intervals.get_mut(metric.key).filter(|interval| !has_width(interval))
        {
            *interval = wilson(proportion(&scores.confusion)).unwrap_or(*interval);
        }
    }
    intervals.retain(|_, interval| has_width(interval));
    intervals
}

/// Whether an interval is wider than the rounding errors of the single-precision sums of a resample.
fn has_width(interval: &Interval) -> bool {
    interval.high - interval.low > 1e-6 * interval.high.abs()
}

#[cfg(test)]
mod tests {
    use artifacts::Label;

    use crate::bootstrap::Resampling;
    use crate::measure::{ScoredImages, scores_with_intervals};

    #[test]
    fn perfect_proportions_have_wilsons_interval_and_other_metrics_none() {
        let labels: Vec<Label> = (0..20).map(|i| Label::ALL[i % 2]).collect();
        let margins = labels
            .iter()
            .enumerate()
            .map(|(i, label)| f64::from(label.index()) * 4.0 - 2.0 + i as f64 / 40.0)
            .collect();
        let images = ScoredImages { labels, margins };
        let ranking = images.ranking().unwrap();
        let resampling = Resampling { resamples: 100, seed: 1 };
        let (_, found) = scores_with_intervals(&images, &ranking, resampling).unwrap();
        assert!((found["accuracy"].low - 0.8389).abs() < 1e-4 && (found["accuracy"].high - 1.0).abs() < 1e-12);
        assert!(found["recall"].low < found["accuracy"].low, "recall has half as many images");
        assert!(found.contains_key("brier") && !found.contains_key("roc_auc"), "{found:?}");
    }

    #[test]
    fn omits_intervals_of_rounding_width_and_of_too_few_false_positives() {
        let intervals_of = |n: usize, margin: &dyn Fn(usize) -> f64| {
            let labels: Vec<Label> = (0..2 * n).map(|i| Label::ALL[i % 2]).collect();
            let images = ScoredImages { labels, margins: (0..2 * n).map(margin).collect() };
            let ranking = images.ranking().unwrap();
            scores_with_intervals(&images, &ranking, Resampling { resamples: 50, seed: 1 }).unwrap().1
        };
        let equal = intervals_of(600, &|_| 0.0);
        assert!(!equal.contains_key("log_loss") && !equal.contains_key("brier"), "{equal:?}");
        let mixed = |i: usize| ((i * 7919) % 1000) as f64 / 500.0 - 1.0 + 0.5 * (i % 2) as f64;
        let [few, some, many] = [190, 210, 1010].map(|n| intervals_of(n, &mixed));
        assert!(!few.contains_key("tpr_at_fpr_5") && few.contains_key("roc_auc"));
        assert!(some.contains_key("tpr_at_fpr_5") && !some.contains_key("tpr_at_fpr_1"));
        assert!(many.contains_key("tpr_at_fpr_1"));
    }
}
