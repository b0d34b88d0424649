//! Images sorted by score. All rank metrics are computed from the same sorted list.

use artifacts::Label;
use rayon::slice::ParallelSliceMut;

use super::Error;

/// Flag of a position with a fake image.
pub(super) const FAKE: u8 = 1;
/// Flag of the last position with its score.
pub(super) const TIE_END: u8 = 2;

/// Images in descending order of their scores, with ties marked.
#[derive(Clone, Debug)]
pub struct Ranking {
    fake: ClassScores,
    real: ClassScores,
    /// [`FAKE`] and [`TIE_END`] of each image in descending order.
    flags: Vec<u8>,
}

/// The scores of one class in descending order, with the row of each.
#[derive(Clone, Debug, Default)]
pub struct ClassScores {
    scores: Vec<f64>,
    rows: Vec<u32>,
}

impl ClassScores {
    /// The scores, descending.
    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// The row of each score. Equal scores are in the order of their rows.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The number of images of this class.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether there is no image of this class.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    fn sorted(labels: &[Label], scores: &[f64], class: Label) -> ClassScores {
        let mut pairs: Vec<(f64, u32)> = labels
            .iter()
            .zip(scores)
            .enumerate()
            .filter(|(_, (label, _))| **label == class)
            .map(|(row, (_, score))| (*score, row as u32))
            .collect();
        // `total_cmp` would order -0.0 before 0.0, which are one score. No score is NaN.
        pairs.par_sort_unstable_by(|a, b| {
            b.0.partial_cmp(&a.0).unwrap_or(std::cmp::Ordering::Equal).then(a.1.cmp(&b.1))
        });
        let (scores, rows) = pairs.into_iter().unzip();
        ClassScores { scores, rows }
    }
}

impl Ranking {
    /// Sorts the images by their scores in parallel, in O(n log n).
    ///
    /// # Errors
    /// Labels and scores of different lengths, and scores that are not finite.
    pub fn new(labels: &[Label], scores: &[f64]) -> Result<Ranking, Error> {
        if labels.len() != scores.len() {
            return Err(Error::Lengths { labels: labels.len(), scores: scores.len() });
        }
        if i32::try_from(labels.len()).is_err() {
            return Err(Error::TooMany { rows: labels.len() });
        }
        if let Some((row, &score)) = scores.iter().enumerate().find(|(_, score)| !score.is_finite()) {
            return Err(Error::NotFinite { row, score });
        }
        let (fake, real) = rayon::join(
            || ClassScores::sorted(labels, scores, Label::Fake),
            || ClassScores::sorted(labels, scores, Label::Real),
        );
        let flags = merge(&fake.scores, &real.scores);
        Ok(Ranking { fake, real, flags })
    }

    /// The fake images.
    pub fn fake(&self) -> &ClassScores {
        &self.fake
    }

    /// The real images.
    pub fn real(&self) -> &ClassScores {
        &self.real
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.flags.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }

    pub(super) fn flags(&self) -> &[u8] {
        &self.flags
    }

    /// Iterates over the distinct scores in descending order. Each comes with the number of fake and the number of real
    /// images that have this score or a higher one.
    pub fn thresholds(&self) -> impl Iterator<Item = (f64, usize, usize)> + '_ {
        let (mut fakes, mut reals) = (0, 0);
        self.flags.iter().filter_map(move |flag| {
            let score = if flag & FAKE != 0 {
                fakes += 1;
                self.fake.scores[fakes - 1]
            } else {
                reals += 1;
                self.real.scores[reals - 1]
            };
            (flag & TIE_END != 0).then_some((score, fakes, reals))
        })
    }
}

/// Returns the flags of the union of two descending lists of scores.
fn merge(fake: &[f64], real: &[f64]) -> Vec<u8> {
    let mut flags: Vec<u8> = Vec::with_capacity(fake.len() + real.len());
    let (mut f, mut r) = (0, 0);
    let mut previous = f64::NAN;
    while f < fake.len() || r < real.len() {
        let take_fake = r == real.len() || (f < fake.len() && fake[f] >= real[r]);
        let score = if take_fake { fake[f] } else { real[r] };
        if score != previous
            && let Some(last) = flags.last_mut()
        {
            *last |= TIE_END;
        }
        previous = score;
        flags.push(if take_fake { FAKE } else { 0 });
        if take_fake {
            f += 1;
        } else {
            r += 1;
        }
    }
    if let Some(last) = flags.last_mut() {
        *last |= TIE_END;
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_ties_between_classes() {
        let labels = [Label::Real, Label::Fake, Label::Fake, Label::Real];
        let ranking = Ranking::new(&labels, &[0.5, 0.5, 0.9, 0.1]).unwrap();
        let thresholds: Vec<_> = ranking.thresholds().collect();
        assert_eq!(thresholds, [(0.9, 1, 0), (0.5, 2, 1), (0.1, 2, 2)]);
    }

    #[test]
    fn treats_both_zeros_as_one_score() {
        let ranking = Ranking::new(&[Label::Real, Label::Fake], &[0.0, -0.0]).unwrap();
        assert_eq!(ranking.thresholds().count(), 1);
    }

    #[test]
    fn rejects_scores_that_cannot_be_ranked() {
        assert_eq!(Ranking::new(&[Label::Real], &[]).unwrap_err(), Error::Lengths { labels: 1, scores: 0 });
        assert!(matches!(
            Ranking::new(&[Label::Real, Label::Fake], &[0.0, f64::NAN]).unwrap_err(),
            Error::NotFinite { row: 1, .. }
        ));
    }
}
