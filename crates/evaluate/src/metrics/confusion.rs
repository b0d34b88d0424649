//! The confusion matrix of a ranking, or of a resample of it, at a threshold.

use artifacts::schema::Confusion;

use super::{Ranking, ResampleCounts};

/// The position of a threshold in a ranking: how many images of each class are called fake. These are the first images
/// of their class, because scores are in descending order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    fake: usize,
    real: usize,
}

impl Cut {
    /// Counts the images whose probability is at least `threshold`. The non-decreasing function `p_fake` turns scores
    /// into probabilities.
    pub(crate) fn new(ranking: &Ranking, threshold: f64, p_fake: impl Fn(f64) -> f64) -> Cut {
        let called_fake = |scores: &[f64]| scores.partition_point(|&score| p_fake(score) >= threshold);
        Cut { fake: called_fake(ranking.fake().scores()), real: called_fake(ranking.real().scores()) }
    }

    /// The confusion matrix of a resample.
    pub(crate) fn confusion(&self, weights: &ResampleCounts) -> Confusion {
        let sum = |counts: &[u8]| counts.iter().map(|&count| u64::from(count)).sum::<u64>();
        Confusion::from_positives(
            sum(&weights.fake()[..self.fake]),
            sum(&weights.real()[..self.real]),
            weights.fake().len() as u64,
            weights.real().len() as u64,
        )
    }
}

/// Returns the confusion matrix of a ranking. An image is called fake if its probability is at least `threshold`. The
/// non-decreasing function `p_fake` turns scores into probabilities.
pub fn confusion(ranking: &Ranking, threshold: f64, p_fake: impl Fn(f64) -> f64) -> Confusion {
    let Cut { fake, real } = Cut::new(ranking, threshold, p_fake);
    let (fakes, reals) = (ranking.fake().len() as u64, ranking.real().len() as u64);
    Confusion::from_positives(fake as u64, real as u64, fakes, reals)
}
