//! Intervals without width.
//!
//! Where no image was judged wrongly every resample is perfect, and the bootstrap's interval is a point: certainty out of
//! having seen too little.

use std::collections::BTreeMap;

use artifacts::schema::{Confusion, Interval, Scores};

use crate::significance::wilson;

/// Gives shares of images Wilson's interval where the bootstrap's has no width, and other scores none.
pub(super) fn mend(mut intervals: BTreeMap<String, Interval>, scores: &Scores) -> BTreeMap<String, Interval> {
    let Confusion { true_negative, false_positive, false_negative, true_positive } = scores.confusion;
    let (reals, fakes) = (true_negative + false_positive, true_positive + false_negative);
    let shares = [
        ("accuracy", true_negative + true_positive, reals + fakes),
        ("real_accuracy", true_negative, reals),
        ("fake_accuracy", true_positive, fakes),
        ("recall", true_positive, fakes),
        ("precision", true_positive, true_positive + false_positive),
    ];
    for (name, hits, images) in shares {
        if let Some(interval) = intervals.get_mut(name).filter(|interval| !has_width(interval)) {
            *interval = wilson(hits, images).unwrap_or(*interval);
        }
    }
    intervals.retain(|_, interval| has_width(interval));
    intervals
}

fn has_width(interval: &Interval) -> bool {
    interval.low < interval.high
}

#[cfg(test)]
mod tests {
    use artifacts::Label;

    use crate::judge::{Scored, with_intervals};

    #[test]
    fn twenty_right_verdicts_do_not_prove_that_none_is_ever_wrong() {
        let labels: Vec<Label> = (0..20).map(|i| Label::ALL[i % 2]).collect();
        let p_fake =
            labels.iter().enumerate().map(|(i, label)| f64::from(label.index()) * 0.9 + i as f64 / 400.0).collect();
        let scored = Scored { labels, p_fake };
        let ranking = scored.ranking().unwrap();
        let (_, found) = with_intervals(&scored, &ranking, 100, 1).unwrap();
        assert!((found["accuracy"].low - 0.8389).abs() < 1e-4 && (found["accuracy"].high - 1.0).abs() < 1e-12);
        assert!(found["recall"].low < found["accuracy"].low, "half of the images say less");
        assert!(found.contains_key("brier") && !found.contains_key("roc_auc"), "{found:?}");
    }
}
