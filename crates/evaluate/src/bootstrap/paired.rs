//! Bootstrap of the difference between two detectors on the same images.

use artifacts::schema::Difference;
use rayon::prelude::*;

use super::{OperatingPoint, Resampling, percentile_interval, resample};
use crate::metrics::{
    ClassScores, ConfidenceOrder, Cut, NamedValue, RankMetrics, Ranking, ResampleCounts, RiskMetrics,
};

/// Returns the difference (first minus second) of each rank, risk and threshold metric, with its interval. Each
/// resample draws the same images for both detectors, whose rankings must be of the same images in the same rows.
pub fn paired_differences(
    first: (&Ranking, OperatingPoint),
    second: (&Ranking, OperatingPoint),
    resampling: Resampling,
) -> Vec<Difference> {
    let cut = |(ranking, point): (&Ranking, OperatingPoint)| {
        Cut::new(ranking, point.threshold, |margin| point.p_fake(margin))
    };
    let cuts = (cut(first), cut(second));
    let orders = (ConfidenceOrder::of_margins(first.0), ConfidenceOrder::of_margins(second.0));
    let (fake, real) = (positions(first.0.fake(), second.0.fake()), positions(first.0.real(), second.0.real()));
    let differences = |first_weights: &ResampleCounts, second_weights: &ResampleCounts| -> Vec<NamedValue> {
        let values =
            |ranking: &Ranking, order: &ConfidenceOrder, cut: &Cut, weights: &ResampleCounts| -> Vec<NamedValue> {
                let (rank, risk) = (RankMetrics::weighted(ranking, weights), RiskMetrics::weighted(order, weights));
                let confusion = cut.confusion(weights);
                rank.named().into_iter().chain(risk.named()).chain(confusion.named_metrics()).collect()
            };
        let a = values(first.0, &orders.0, &cuts.0, first_weights);
        let b = values(second.0, &orders.1, &cuts.1, second_weights);
        a.into_iter().zip(b).map(|((name, a), (_, b))| (name, a.zip(b).map(|(a, b)| a - b))).collect()
    };
    let resamples: Vec<Vec<NamedValue>> = (0..u64::from(resampling.resamples))
        .into_par_iter()
        .map_init(
            || (ResampleCounts::ones(first.0), ResampleCounts::ones(second.0)),
            |(first_weights, second_weights), index| {
                resample(first_weights, resampling.seed, index);
                let (second_fake, second_real) = second_weights.split_mut();
                permute(first_weights.fake(), &fake, second_fake);
                permute(first_weights.real(), &real, second_real);
                differences(first_weights, second_weights)
            },
        )
        .collect();
    differences(&ResampleCounts::ones(first.0), &ResampleCounts::ones(second.0))
        .into_iter()
        .enumerate()
        .map(|(index, (name, value))| {
            let values: Vec<Option<f64>> = resamples.iter().map(|resample| resample[index].1).collect();
            Difference { score: name.to_owned(), value, interval: percentile_interval(&values) }
        })
        .collect()
}

/// For each position in `second`, returns the position of the same image in `first`.
fn positions(first: &ClassScores, second: &ClassScores) -> Vec<u32> {
    let rows = first.rows().iter().chain(second.rows()).max().map_or(0, |&row| row as usize + 1);
    let mut by_row = vec![0; rows];
    for (position, &row) in first.rows().iter().enumerate() {
        by_row[row as usize] = position as u32;
    }
    second.rows().iter().map(|&row| by_row[row as usize]).collect()
}

/// Copies `from[positions[i]]` to `to[i]`.
fn permute(from: &[u8], positions: &[u32], to: &mut [u8]) {
    for (to, &position) in to.iter_mut().zip(positions) {
        *to = from[position as usize];
    }
}
