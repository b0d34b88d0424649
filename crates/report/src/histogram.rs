//! How P(fake) is distributed over the images of each class.

use artifacts::Label;
use artifacts::predictions::Prediction;

/// Bins of equal width over [0, 1].
pub(crate) const BINS: usize = 50;

/// Counts of each class by P(fake).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Histogram {
    /// Images in each bin, by class index.
    pub(crate) counts: [[u64; BINS]; 2],
}

impl Histogram {
    /// Counts predictions. A bin holds its lower edge; the last one also 1.
    pub(crate) fn of(predictions: &[Prediction]) -> Histogram {
        let mut counts = [[0; BINS]; 2];
        for prediction in predictions {
            let bin = ((prediction.p_fake * BINS as f64) as usize).min(BINS - 1);
            counts[usize::from(prediction.label.index())][bin] += 1;
        }
        Histogram { counts }
    }

    /// Share of its class in each bin; all 0 where the class has no images.
    pub(crate) fn shares(&self, label: Label) -> [f64; BINS] {
        let counts = &self.counts[usize::from(label.index())];
        let whole = counts.iter().sum::<u64>().max(1) as f64;
        counts.map(|count| count as f64 / whole)
    }

    /// The lower edge of a bin.
    pub(crate) fn edge(bin: usize) -> f64 {
        bin as f64 / BINS as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::prediction;

    #[test]
    fn every_score_has_its_bin() {
        let scores = [(Label::Real, 0.0), (Label::Real, 0.019), (Label::Real, 0.02), (Label::Fake, 1.0)];
        let histogram = Histogram::of(&scores.map(|(label, p_fake)| prediction(label, p_fake)));
        assert_eq!((histogram.counts[0][0], histogram.counts[0][1], histogram.counts[1][BINS - 1]), (2, 1, 1));
        assert_eq!(histogram.shares(Label::Real)[0], 2.0 / 3.0);
        assert_eq!(Histogram::of(&[]).shares(Label::Fake), [0.0; BINS]);
    }
}
