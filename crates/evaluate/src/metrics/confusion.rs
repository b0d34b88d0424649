//! Counts of right and wrong verdicts at one threshold, and the rates made of them.

use artifacts::schema::Confusion;

use super::{Named, Ranking, Weights, ratio};

fn from_called(true_positive: u64, false_positive: u64, fakes: u64, reals: u64) -> Confusion {
    Confusion {
        true_negative: reals - false_positive,
        false_positive,
        false_negative: fakes - true_positive,
        true_positive,
    }
}

/// How many images of each class a threshold calls fake: an index into either class's descending scores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    fake: usize,
    real: usize,
}

impl Cut {
    /// Fake is called where the score, on the scale that `scale` gives it, is at least `threshold`. `scale` must not decrease.
    pub(crate) fn new(ranking: &Ranking, threshold: f64, scale: impl Fn(f64) -> f64) -> Cut {
        let called = |scores: &[f64]| scores.partition_point(|&score| scale(score) >= threshold);
        Cut { fake: called(ranking.fake().scores()), real: called(ranking.real().scores()) }
    }

    /// The metrics of a resample, in which each image counts as often as its weight says.
    pub(crate) fn weighted(&self, weights: &Weights) -> AtThreshold {
        let sum = |counts: &[u8]| counts.iter().map(|&count| u64::from(count)).sum::<u64>();
        let confusion = from_called(
            sum(&weights.fake()[..self.fake]),
            sum(&weights.real()[..self.real]),
            weights.fake().len() as u64,
            weights.real().len() as u64,
        );
        AtThreshold::new(confusion)
    }
}

/// Everything that follows from the verdicts at one threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AtThreshold {
    /// The counts.
    pub confusion: Confusion,
    /// The share of right verdicts; `None` without images.
    pub accuracy: Option<f64>,
    /// The mean of `real_accuracy` and `fake_accuracy`; `None` where either is.
    pub balanced_accuracy: Option<f64>,
    /// The share of real images called real (specificity); `None` without real images.
    pub real_accuracy: Option<f64>,
    /// The share of fake images called fake (equal to recall); `None` without fake images.
    pub fake_accuracy: Option<f64>,
    /// The share of images called fake that are; `None` when none was.
    pub precision: Option<f64>,
    /// The share of fake images called fake; `None` without fake images.
    pub recall: Option<f64>,
    /// 2 tp / (2 tp + fp + fn); `None` when there is neither a fake image nor one called so.
    pub f1: Option<f64>,
}

impl AtThreshold {
    /// The rates that follow from the counts.
    pub fn new(confusion: Confusion) -> AtThreshold {
        let [tn, fp, fn_, tp] =
            [confusion.true_negative, confusion.false_positive, confusion.false_negative, confusion.true_positive]
                .map(|count| count as f64);
        let real_accuracy = ratio(tn, tn + fp);
        let fake_accuracy = ratio(tp, tp + fn_);
        AtThreshold {
            confusion,
            accuracy: ratio(tp + tn, tp + tn + fp + fn_),
            balanced_accuracy: real_accuracy.zip(fake_accuracy).map(|(real, fake)| (real + fake) / 2.0),
            real_accuracy,
            fake_accuracy,
            precision: ratio(tp, tp + fp),
            recall: fake_accuracy,
            f1: ratio(2.0 * tp, 2.0 * tp + fp + fn_),
        }
    }

    /// The metrics of a ranking's verdicts at `threshold`: fake where the score, on the scale that `scale` gives it, is at
    /// least that. `scale` must not decrease.
    pub fn of(ranking: &Ranking, threshold: f64, scale: impl Fn(f64) -> f64) -> AtThreshold {
        let Cut { fake, real } = Cut::new(ranking, threshold, scale);
        let (fakes, reals) = (ranking.fake().len() as u64, ranking.real().len() as u64);
        AtThreshold::new(from_called(fake as u64, real as u64, fakes, reals))
    }

    /// The rates under their names in `metrics.json`.
    pub fn named(&self) -> [Named; 7] {
        [
            ("accuracy", self.accuracy),
            ("balanced_accuracy", self.balanced_accuracy),
            ("real_accuracy", self.real_accuracy),
            ("fake_accuracy", self.fake_accuracy),
            ("precision", self.precision),
            ("recall", self.recall),
            ("f1", self.f1),
        ]
    }
}
