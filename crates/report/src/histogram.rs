//! Histogram of P(fake) for each class.

use artifacts::Label;
use artifacts::predictions::Prediction;

/// The number of bins, which have equal widths over [0, 1].
pub(crate) const BINS: usize = 50;

/// The number of images of each class in each bin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Histogram {
    /// `counts[class][bin]`.
    pub(crate) counts: [[u64; BINS]; 2],
}

impl Histogram {
    /// Counts predictions. A bin includes its lower edge; the last bin also includes 1.
    pub(crate) fn of(predictions: &[Prediction]) -> Histogram {
        let mut counts = [[0; BINS]; 2];
        for prediction in predictions {
            let bin = ((prediction.p_fake * BINS as f64) as usize).min(BINS - 1);
            counts[usize::from(prediction.label.index())][bin] += 1;
        }
        Histogram { counts }
    }

    /// Returns the share of the class in each bin, or zeros if the class has no images.
    pub(crate) fn shares(&self, label: Label) -> [f64; BINS] {
        let counts = &self.counts[usize::from(label.index())];
        let whole = counts.iter().sum::<u64>().max(1) as f64;
        counts.map(|count| count as f64 / whole)
    }

    /// Returns the lower edge of a bin.
    pub(crate) fn edge(bin: usize) -> f64 {
        bin as f64 / BINS as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::prediction;

    #[test]
    fn bins_include_their_lower_edge() {
        let scores = [(Label::Real, 0.0), (Label::Real, 0.019), (Label::Real, 0.02), (Label::Fake, 1.0)];
        let histogram = Histogram::of(&scores.map(|(label, p_fake)| prediction(label, p_fake)));
        assert_eq!((histogram.counts[0][0], histogram.counts[0][1], histogram.counts[1][BINS - 1]), (2, 1, 1));
        assert_eq!(histogram.shares(Label::Real)[0], 2.0 / 3.0);
        assert_eq!(Histogram::of(&[]).shares(Label::Fake), [0.0; BINS]);
    }
}
