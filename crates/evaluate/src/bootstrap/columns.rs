//! Weighted sums of squared errors, log losses and reliability bins, fast enough for thousands of resamples.

use artifacts::Label;

use crate::metrics::{ClassScores, ProbabilityMetrics, Ranking, Weights, inner_edges, log_loss, ratio};

/// Products summed in single precision before the sum moves to double.
const BLOCK: usize = 1024;
/// Independent sums, so that the processor's vector registers are filled.
const LANES: usize = 8;

/// P(fake) of the ranked images in the ranking's order, cut at the reliability bins.
#[derive(Debug)]
pub(super) struct ProbabilityColumns {
    fake: ClassColumns,
    real: ClassColumns,
}

#[derive(Debug)]
struct ClassColumns {
    p_fake: Vec<f32>,
    squared_error: Vec<f32>,
    log_loss: Vec<f32>,
    /// Where each bin ends, from the highest bin down; the last end is the number of images.
    ends: Vec<usize>,
}

impl ProbabilityColumns {
    /// The probabilities that `p_fake` gives to the ranked scores. It must not decrease with the score.
    pub(super) fn new(ranking: &Ranking, p_fake: impl Fn(f64) -> f64) -> ProbabilityColumns {
        ProbabilityColumns {
            fake: ClassColumns::new(ranking.fake(), Label::Fake, &p_fake),
            real: ClassColumns::new(ranking.real(), Label::Real, &p_fake),
        }
    }

    /// The metrics of a resample.
    pub(super) fn weighted(&self, weights: &Weights) -> ProbabilityMetrics {
        let (fake, real) = (self.fake.sums(weights.fake()), self.real.sums(weights.real()));
        let gaps: f64 = fake.iter().zip(&real).map(|(fake, real)| (fake.count - fake.p_fake - real.p_fake).abs()).sum();
        let total = |of: fn(&BinSums) -> f64| fake.iter().chain(&real).map(of).sum::<f64>();
        let n = total(|bin| bin.count);
        ProbabilityMetrics {
            brier: ratio(total(|bin| bin.squared_error), n),
            log_loss: ratio(total(|bin| bin.log_loss), n),
            expected_calibration_error: ratio(gaps, n),
        }
    }
}

/// Weighted sums over the images of one class in one bin.
#[derive(Clone, Copy, Debug, Default)]
struct BinSums {
    count: f64,
    p_fake: f64,
    squared_error: f64,
    log_loss: f64,
}

impl ClassColumns {
    fn new(class: &ClassScores, label: Label, p_fake: &impl Fn(f64) -> f64) -> ClassColumns {
        let probabilities: Vec<f64> = class.scores().iter().map(|&score| p_fake(score)).collect();
        let above = |edge: f64| probabilities.partition_point(|&p| p > edge);
        let mut ends: Vec<usize> = inner_edges().iter().rev().map(|&edge| above(edge)).collect();
        ends.push(probabilities.len());
        ClassColumns {
            squared_error: probabilities.iter().map(|&p| crate::metrics::squared_error(label, p) as f32).collect(),
            log_loss: probabilities.iter().map(|&p| log_loss(label, p) as f32).collect(),
            p_fake: probabilities.iter().map(|&p| p as f32).collect(),
            ends,
        }
    }

    fn sums(&self, counts: &[u8]) -> Vec<BinSums> {
        let mut start = 0;
        self.ends
            .iter()
            .map(|&end| {
                let bin = start..end;
                start = end;
                let mut sums = BinSums::default();
                let mut floats = [0.0; BLOCK];
                for block in bin.clone().step_by(BLOCK) {
                    let block = block..(block + BLOCK).min(bin.end);
                    let floats = &mut floats[..block.len()];
                    floats.iter_mut().zip(&counts[block.clone()]).for_each(|(float, count)| *float = f32::from(*count));
                    // Sums of whole numbers below 2^24 are exact.
                    sums.count += sum(floats);
                    sums.p_fake += dot(floats, &self.p_fake[block.clone()]);
                    sums.squared_error += dot(floats, &self.squared_error[block.clone()]);
                    sums.log_loss += dot(floats, &self.log_loss[block]);
                }
                sums
            })
            .collect()
    }
}

fn sum(values: &[f32]) -> f64 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] += chunk[lane];
        }
    }
    f64::from(lanes.iter().chain(rest).sum::<f32>())
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
