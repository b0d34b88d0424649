//! Weighted sums of squared errors and log losses, fast enough for thousands of resamples.

use artifacts::Label;
use artifacts::statistics::ratio;

use crate::metrics::{ClassScores, Named, Ranking, Weights, log_loss, squared_error};

/// Products summed in single precision before the sum moves to double.
const BLOCK: usize = 1024;
/// Independent sums, so that the processor's vector registers are filled.
const LANES: usize = 8;

/// What every image adds to the sums, in the order of its class's ranking.
#[derive(Debug)]
pub(super) struct ProbabilityColumns {
    fake: ClassColumns,
    real: ClassColumns,
}

#[derive(Debug)]
struct ClassColumns {
    squared_error: Vec<f32>,
    log_loss: Vec<f32>,
}

impl ProbabilityColumns {
    /// The probabilities that `p_fake` gives to the ranked scores.
    pub(super) fn new(ranking: &Ranking, p_fake: impl Fn(f64) -> f64) -> ProbabilityColumns {
        ProbabilityColumns {
            fake: ClassColumns::new(ranking.fake(), Label::Fake, &p_fake),
            real: ClassColumns::new(ranking.real(), Label::Real, &p_fake),
        }
    }

    /// The metrics of a resample, which has as many images as there are. The calibration error is not among them: noise
    /// makes it larger in every resample, so that 95 of 100 intervals would not hold the true value.
    pub(super) fn weighted(&self, weights: &Weights) -> [Named; 2] {
        let (fake, real) = (self.fake.sums(weights.fake()), self.real.sums(weights.real()));
        let n = (weights.fake().len() + weights.real().len()) as f64;
        [("brier", ratio(fake.0 + real.0, n)), ("log_loss", ratio(fake.1 + real.1, n))]
    }
}

impl ClassColumns {
    fn new(class: &ClassScores, label: Label, p_fake: &impl Fn(f64) -> f64) -> ClassColumns {
        let probabilities: Vec<f64> = class.scores().iter().map(|&score| p_fake(score)).collect();
        let column = |of: fn(Label, f64) -> f64| probabilities.iter().map(|&p| of(label, p) as f32).collect();
        ClassColumns { squared_error: column(squared_error), log_loss: column(log_loss) }
    }

    /// Squared errors and log losses, each image as often as it was drawn.
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

/// The sum of products, in an order that does not depend on the machine.
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
