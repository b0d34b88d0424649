//! What every threshold of the page's slider gives, counted exactly.

use artifacts::Label;
use artifacts::predictions::Prediction;
use artifacts::schema::Confusion;
use serde::Serialize;

/// Steps of the slider between 0 and 1.
pub(crate) const STEPS: usize = 1000;

/// Scores of both classes, ascending, from which any threshold is counted.
#[derive(Clone, Debug)]
pub(crate) struct Ranked {
    scores: [Vec<f64>; 2],
}

/// Counts at the slider's thresholds `i / STEPS`, as the page's script reads them.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sweep {
    real: usize,
    fake: usize,
    /// Real images with P(fake) at or above each threshold.
    false_positive: Vec<usize>,
    /// Fakes with P(fake) at or above each threshold.
    true_positive: Vec<usize>,
    /// Thresholds that have a name, which need not lie on a step.
    named: Vec<Named>,
}

/// A threshold with a name, and what it gives.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) threshold: f64,
    false_positive: usize,
    true_positive: usize,
}

impl Ranked {
    /// Sorts the scores.
    pub(crate) fn new(predictions: &[Prediction]) -> Ranked {
        let scores = Label::ALL.map(|label| {
            let of_class = predictions.iter().filter(|prediction| prediction.label == label);
            let mut scores: Vec<f64> = of_class.map(|prediction| prediction.p_fake).collect();
            scores.sort_unstable_by(f64::total_cmp);
            scores
        });
        Ranked { scores }
    }

    /// The four outcomes when P(fake) at or above the threshold is called fake.
    #[cfg(test)]
    pub(crate) fn confusion(&self, threshold: f64) -> Confusion {
        let [positive_real, positive_fake] = self.called_fake(threshold);
        Confusion {
            true_negative: (self.scores[0].len() - positive_real) as u64,
            false_positive: positive_real as u64,
            false_negative: (self.scores[1].len() - positive_fake) as u64,
            true_positive: positive_fake as u64,
        }
    }

    /// Real and fake images called fake.
    fn called_fake(&self, threshold: f64) -> [usize; 2] {
        self.scores.each_ref().map(|scores| scores.len() - scores.partition_point(|score| *score < threshold))
    }

    /// Counts at every step, and at thresholds of interest besides.
    pub(crate) fn sweep(&self, named: &[(String, f64)]) -> Sweep {
        let counts: Vec<[usize; 2]> = (0..=STEPS).map(|i| self.called_fake(i as f64 / STEPS as f64)).collect();
        let named = named
            .iter()
            .map(|(name, threshold)| {
                let [false_positive, true_positive] = self.called_fake(*threshold);
                Named { name: name.clone(), threshold: *threshold, false_positive, true_positive }
            })
            .collect();
        Sweep {
            real: self.scores[0].len(),
            fake: self.scores[1].len(),
            false_positive: counts.iter().map(|count| count[0]).collect(),
            true_positive: counts.iter().map(|count| count[1]).collect(),
            named,
        }
    }

    /// The lowest threshold among the scores with at most `rate` false positives; `None` without real images or where
    /// even the highest score gives more.
    pub(crate) fn at_false_positive_rate(&self, rate: f64) -> Option<f64> {
        let [reals, fakes] = &self.scores;
        let allowed = (rate * reals.len() as f64 + 1e-9).floor() as usize;
        // The threshold must lie above the score of the first real image that may not be called fake.
        let barred = *reals.get(reals.len().checked_sub(allowed + 1)?)?;
        let next = |scores: &[f64]| scores.get(scores.partition_point(|score| *score <= barred)).copied();
        [next(reals), next(fakes)].into_iter().flatten().reduce(f64::min)
    }
}

impl Sweep {
    /// The thresholds with names.
    pub(crate) fn named(&self) -> &[Named] {
        &self.named
    }

    /// Adds a named threshold that was counted elsewhere.
    pub(crate) fn insert(&mut self, at: usize, named: Named) {
        self.named.insert(at.min(self.named.len()), named);
    }
}

impl Named {
    /// A threshold whose outcomes are known.
    pub(crate) fn counted(name: &str, threshold: f64, confusion: &Confusion) -> Named {
        Named {
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
    use crate::sample::prediction;

    fn predictions(scores: &[(f64, Label)]) -> Vec<Prediction> {
        scores.iter().map(|(p_fake, label)| prediction(*label, *p_fake)).collect()
    }

    #[test]
    fn a_score_at_the_threshold_is_called_fake() {
        let ranked = Ranked::new(&predictions(&[
            (0.5, Label::Real),
            (0.499, Label::Real),
            (0.5, Label::Fake),
            (0.1, Label::Fake),
        ]));
        let expected = Confusion { true_negative: 1, false_positive: 1, false_negative: 1, true_positive: 1 };
        assert_eq!(ranked.confusion(0.5), expected);
        let sweep = ranked.sweep(&[("default".to_owned(), 0.5)]);
        assert_eq!((sweep.false_positive[500], sweep.false_positive[499], sweep.true_positive[501]), (1, 2, 0));
        assert_eq!((sweep.named[0].false_positive, sweep.named[0].true_positive), (1, 1));
        assert_eq!((sweep.false_positive[0], sweep.true_positive[STEPS]), (2, 0));
    }

    #[test]
    fn a_false_positive_rate_is_not_exceeded() {
        let mut scores: Vec<(f64, Label)> = (0..100).map(|i| (f64::from(i) / 100.0, Label::Real)).collect();
        scores.push((0.9875, Label::Fake));
        let ranked = Ranked::new(&predictions(&scores));
        assert_eq!(ranked.at_false_positive_rate(0.01), Some(0.9875));
        assert_eq!(ranked.confusion(0.9875).false_positive, 1);
        assert_eq!(ranked.at_false_positive_rate(0.05), Some(0.95));
        assert_eq!(ranked.confusion(0.95).false_positive, 5);
        assert_eq!(ranked.at_false_positive_rate(0.0), None);
        assert_eq!(Ranked::new(&[]).at_false_positive_rate(0.05), None);
    }
}
