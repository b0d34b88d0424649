//! Weighted means of squared errors and log losses, fast enough for thousands of resamples.

use artifacts::Label;
use artifacts::statistics::{log_loss, ratio};

use crate::metrics::{ClassScores, NamedValue, Ranking, ResampleCounts, squared_error};

/// Number of products that are summed in single precision. The sums of blocks are added in double precision.
const BLOCK: usize = 1024;
/// Number of independent sums: one for each lane of a vector register.
const LANES: usize = 8;

/// The squared error and log loss of every image, in the order of the ranking of its class.
#[derive(Debug)]
pub(super) struct ProbabilityTerms {
    fake: ClassTerms,
    real: ClassTerms,
}

#[derive(Debug)]
struct ClassTerms {
    squared_error: Vec<f32>,
    log_loss: Vec<f32>,
}

impl ProbabilityTerms {
    /// Computes the terms of the probabilities that `p_fake` gives to the ranked scores.
    pub(super) fn new(ranking: &Ranking, p_fake: impl Fn(f64) -> f64) -> ProbabilityTerms {
        ProbabilityTerms {
            fake: ClassTerms::new(ranking.fake(), Label::Fake, &p_fake),
            real: ClassTerms::new(ranking.real(), Label::Real, &p_fake),
        }
    }

    /// The metrics of a resample. Metrics without an interval, such as the calibration error, are left out.
    pub(super) fn weighted_means(&self, weights: &ResampleCounts) -> [NamedValue; 2] {
        let (fake, real) = (self.fake.sums(weights.fake()), self.real.sums(weights.real()));
        let n = (weights.fake().len() + weights.real().len()) as f64;
        [("brier", ratio(fake.0 + real.0, n)), ("log_loss", ratio(fake.1 + real.1, n))]
    }
}

impl ClassTerms {
    fn new(class: &ClassScores, label: Label, p_fake: &impl Fn(f64) -> f64) -> ClassTerms {
        let probabilities: Vec<f64> = class.scores().iter().map(|&score| p_fake(score)).collect();
        let terms = |term: fn(Label, f64) -> f64| probabilities.iter().map(|&p| term(label, p) as f32).collect();
        ClassTerms { squared_error: terms(squared_error), log_loss: terms(log_loss) }
    }

    /// The sums of squared errors and of log losses, weighted by `counts`.
    fn sums(&self, counts: &[u8]) -> (f64, f64) {
        let mut floats = [0.0; BLOCK];
        let blocks = counts.chunks(BLOCK).zip(self.squared_error.chunks(BLOCK).zip(self.log_loss.chunks(BLOCK)));
        blocks.fold((0.0, 0.0), |sums, (counts, (squared_error, log_loss))| {
            let floats = &mut floats[..counts.len()];
            floats.iter_mut().zip(counts).for_each(|(float, count)| *float = f32::from(*count));
            (sums.0 + dot(floats, squared_error), sums.1 + dot(floats, log_loss))
        })
    }
}

/// The dot product. The order of summation does not depend on the machine.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let ((a_chunks, a_rest), (b_chunks, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [0.0_f32; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    f64::from(lanes.iter().sum::<f32>() + rest)
}
