//! Counts of false and true positives at every threshold of the page's slider.

use artifacts::Label;
use artifacts::predictions::Prediction;
use artifacts::schema::Confusion;
use serde::Serialize;

/// The number of steps of the slider between 0 and 1.
pub(crate) const STEPS: usize = 1000;

/// P(fake) of all images by class, in ascending order.
#[derive(Clone, Debug)]
pub(crate) struct SortedScores {
    /// `scores[class]`.
    scores: [Vec<f64>; 2],
}

/// Counts at the thresholds `i / STEPS`, in the form that the page's script reads.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ThresholdSweep {
    /// The number of real images.
    real: usize,
    /// The number of fakes.
    fake: usize,
    /// The number of real images with P(fake) at or above each threshold.
    false_positive: Vec<usize>,
    /// The number of fakes with P(fake) at or above each threshold.
    true_positive: Vec<usize>,
    /// Thresholds that have a button. They need not be multiples of `1 / STEPS`.
    named: Vec<NamedThreshold>,
}

/// A threshold with a name, and the counts at it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct NamedThreshold {
    pub(crate) name: String,
    pub(crate) threshold: f64,
    false_positive: usize,
    true_positive: usize,
}

impl SortedScores {
    /// Sorts the scores of each class.
    pub(crate) fn new(predictions: &[Prediction]) -> SortedScores {
        let scores = Label::ALL.map(|label| {
            let of_class = predictions.iter().filter(|prediction| prediction.label == label);
            let mut scores: Vec<f64> = of_class.map(|prediction| prediction.p_fake).collect();
            scores.sort_unstable_by(f64::total_cmp);
            scores
        });
        SortedScores { scores }
    }

    /// Returns the confusion matrix at a threshold. An image at the threshold counts as fake.
    #[cfg(test)]
    pub(crate) fn confusion(&self, threshold: f64) -> Confusion {
        let [positive_real, positive_fake] = self.count_positives(threshold);
        Confusion {
            true_negative: (self.scores[0].len() - positive_real) as u64,
            false_positive: positive_real as u64,
            false_negative: (self.scores[1].len() - positive_fake) as u64,
            true_positive: positive_fake as u64,
        }
    }

    /// Returns the number of real images and of fakes at or above the threshold.
    fn count_positives(&self, threshold: f64) -> [usize; 2] {
        self.scores.each_ref().map(|scores| scores.len() - scores.partition_point(|score| *score < threshold))
    }

    /// Counts positives at every step and at the `named` thresholds.
    pub(crate) fn sweep(&self, named: &[(String, f64)]) -> ThresholdSweep {
        let counts: Vec<[usize; 2]> = (0..=STEPS).map(|i| self.count_positives(i as f64 / STEPS as f64)).collect();
        let named = named
            .iter()
            .map(|(name, threshold)| {
                let [false_positive, true_positive] = self.count_positives(*threshold);
                NamedThreshold { name: name.clone(), threshold: *threshold, false_positive, true_positive }
            })
            .collect();
        ThresholdSweep {
            real: self.scores[0].len(),
            fake: self.scores[1].len(),
            false_positive: counts.iter().map(|count| count[0]).collect(),
            true_positive: counts.iter().map(|count| count[1]).collect(),
            named,
        }
    }

    /// Returns the lowest score that is a threshold with a false-positive rate of at most `rate`. Returns `None` if
    /// there are no real images or no score is high enough.
    pub(crate) fn threshold_at_false_positive_rate(&self, rate: f64) -> Option<f64> {
        let [reals, fakes] = &self.scores;
        let allowed = (rate * reals.len() as f64 + 1e-9).floor() as usize;
        // The threshold must be above this score. At this score, one real image too many would be called fake.
        let too_low = *reals.get(reals.len().checked_sub(allowed + 1)?)?;
        let next = |scores: &[f64]| scores.get(scores.partition_point(|score| *score <= too_low)).copied();
        [next(reals), next(fakes)].into_iter().flatten().reduce(f64::min)
    }
}

impl ThresholdSweep {
    /// Returns the named thresholds.
    pub(crate) fn named(&self) -> &[NamedThreshold] {
        &self.named
    }

    /// Inserts a named threshold at index `at`.
    pub(crate) fn insert(&mut self, at: usize, named: NamedThreshold) {
        self.named.insert(at.min(self.named.len()), named);
    }
}

impl NamedThreshold {
    /// Creates a named threshold from its confusion matrix.
    pub(crate) fn from_confusion(name: &str, threshold: f64, confusion: &Confusion) -> NamedThreshold {
        NamedThreshold {
            name: name.to_owned(),
            threshold,
            false_positive: confusion.false_positive as usize,
            true_positive: confusion.true_positive as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::prediction;

    fn predictions(scores: &[(f64, Label)]) -> Vec<Prediction> {
        scores.iter().map(|(p_fake, label)| prediction(*label, *p_fake)).collect()
    }

    #[test]
    fn a_score_at_the_threshold_counts_as_fake() {
        let scores = SortedScores::new(&predictions(&[
            (0.5, Label::Real),
            (0.499, Label::Real),
            (0.5, Label::Fake),
            (0.1, Label::Fake),
        ]));
        let expected = Confusion { true_negative: 1, false_positive: 1, false_negative: 1, true_positive: 1 };
        assert_eq!(scores.confusion(0.5), expected);
        let sweep = scores.sweep(&[("default".to_owned(), 0.5)]);
        assert_eq!((sweep.false_positive[500], sweep.false_positive[499], sweep.true_positive[501]), (1, 2, 0));
        assert_eq!((sweep.named[0].false_positive, sweep.named[0].true_positive), (1, 1));
        assert_eq!((sweep.false_positive[0], sweep.true_positive[STEPS]), (2, 0));
    }

    #[test]
    fn threshold_does_not_exceed_the_false_positive_rate() {
        let mut scores: Vec<(f64, Label)> = (0..100).map(|i| (f64::from(i) / 100.0, Label::Real)).collect();
        scores.push((0.9875, Label::Fake));
        let scores = SortedScores::new(&predictions(&scores));
        assert_eq!(scores.threshold_at_false_positive_rate(0.01), Some(0.9875));
        assert_eq!(scores.confusion(0.9875).false_positive, 1);
        assert_eq!(scores.threshold_at_false_positive_rate(0.05), Some(0.95));
        assert_eq!(scores.confusion(0.95).false_positive, 5);
        assert_eq!(scores.threshold_at_false_positive_rate(0.0), None);
        assert_eq!(SortedScores::new(&[]).threshold_at_false_positive_rate(0.05), None);
    }
}
