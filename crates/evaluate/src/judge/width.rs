//! Intervals that the images cannot bear.
//!
//! Where no image was judged wrongly every resample is perfect, and the bootstrap's interval is a point: certainty out of
//! having seen too little. And where a false-positive rate of 1% is a handful of real images, the scores of a few of them
//! decide about every resample.

use std::collections::BTreeMap;

use artifacts::schema::{Basis, Interval, IntervalMethod, METRICS, Scores};

use crate::significance::wilson;

/// Gives shares of images Wilson's interval where the bootstrap's has no width, and other scores none; none either to the
/// scores at a false-positive rate of which there are too few images.
pub(super) fn mend(mut intervals: BTreeMap<String, Interval>, scores: &Scores) -> BTreeMap<String, Interval> {
    for metric in METRICS {
        let too_few = |rate| rate * (scores.confusion.reals() as f64) < IntervalMethod::MIN_FALSE_POSITIVES;
        if matches!(metric.interval, IntervalMethod::AtFalsePositiveRate(rate) if too_few(rate)) {
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

/// More width than the single-precision sums of a resample have by rounding.
fn has_width(interval: &Interval) -> bool {
    interval.high - interval.low > 1e-6 * interval.high.abs()
}

#[cfg(test)]
mod tests {
    use artifacts::Label;

    use crate::judge::{Scored, with_intervals};

    #[test]
    fn twenty_right_verdicts_do_not_prove_that_none_is_ever_wrong() {
        let labels: Vec<Label> = (0..20).map(|i| Label::ALL[i % 2]).collect();
        let margins = labels
            .iter()
            .enumerate()
            .map(|(i, label)| f64::from(label.index()) * 4.0 - 2.0 + i as f64 / 40.0)
            .collect();
        let scored = Scored { labels, margins };
        let ranking = scored.ranking().unwrap();
        let (_, found) = with_intervals(&scored, &ranking, 100, 1).unwrap();
        assert!((found["accuracy"].low - 0.8389).abs() < 1e-4 && (found["accuracy"].high - 1.0).abs() < 1e-12);
        assert!(found["recall"].low < found["accuracy"].low, "half of the images say less");
        assert!(found.contains_key("brier") && !found.contains_key("roc_auc"), "{found:?}");
    }

    #[test]
    fn rounding_is_no_width_and_a_handful_of_real_images_no_interval() {
        let of = |n: usize, margin: &dyn Fn(usize) -> f64| {
            let labels: Vec<Label> = (0..2 * n).map(|i| Label::ALL[i % 2]).collect();
            let scored = Scored { labels, margins: (0..2 * n).map(margin).collect() };
            let ranking = scored.ranking().unwrap();
            with_intervals(&scored, &ranking, 50, 1).unwrap().1
        };
        let alike = of(600, &|_| 0.0);
        assert!(!alike.contains_key("log_loss") && !alike.contains_key("brier"), "{alike:?}");
        let mixed = |i: usize| ((i * 7919) % 1000) as f64 / 500.0 - 1.0 + 0.5 * (i % 2) as f64;
        let [few, some, many] = [190, 210, 1010].map(|n| of(n, &mixed));
        assert!(!few.contains_key("tpr_at_fpr_5") && few.contains_key("roc_auc"));
        assert!(some.contains_key("tpr_at_fpr_5") && !some.contains_key("tpr_at_fpr_1"));
        assert!(many.contains_key("tpr_at_fpr_1"));
    }
}
