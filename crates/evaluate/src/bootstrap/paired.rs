//! The bootstrap of the difference between two detectors on the same images.

use artifacts::schema::Difference;
use rayon::prelude::*;

use super::{View, interval, resample};
use crate::metrics::{ClassScores, Cut, Named, RankMetrics, Ranking, Weights};

/// Resamples images, the same ones for both detectors, and takes the difference of each rank metric and of each rate
/// at the two thresholds. The two rankings must be of the same images in the same rows.
pub fn paired_difference(
    first: (&Ranking, View),
    second: (&Ranking, View),
    resamples: u32,
    seed: u64,
) -> Vec<Difference> {
    let cut = |(ranking, view): (&Ranking, View)| Cut::new(ranking, view.threshold, |margin| view.scale.p_fake(margin));
    let cuts = (cut(first), cut(second));
    let (fake, real) = (positions(first.0.fake(), second.0.fake()), positions(first.0.real(), second.0.real()));
    let one = |weights: &Weights, paired: &Weights| -> Vec<Named> {
        let values = |ranking: &Ranking, cut: &Cut, weights: &Weights| -> Vec<Named> {
            let confusion = cut.confusion(weights);
            RankMetrics::weighted(ranking, weights).named().into_iter().chain(confusion.named_metrics()).collect()
        };
        let (a, b) = (values(first.0, &cuts.0, weights), values(second.0, &cuts.1, paired));
        a.into_iter().zip(b).map(|((name, a), (_, b))| (name, a.zip(b).map(|(a, b)| a - b))).collect()
    };
    let drawn: Vec<Vec<Named>> = (0..u64::from(resamples))
        .into_par_iter()
        .map_init(
            || (Weights::ones(first.0), Weights::ones(second.0)),
            |(weights, paired), index| {
                resample(weights, seed, index);
                let (paired_fake, paired_real) = paired.split_mut();
                gather(weights.fake(), &fake, paired_fake);
                gather(weights.real(), &real, paired_real);
                one(weights, paired)
            },
        )
        .collect();
    one(&Weights::ones(first.0), &Weights::ones(second.0))
        .into_iter()
        .enumerate()
        .map(|(index, (name, value))| {
            let values: Vec<Option<f64>> = drawn.iter().map(|resample| resample[index].1).collect();
            Difference { score: name.to_owned(), value, interval: interval(&values) }
        })
        .collect()
}

/// For each position in `second`, the position of the same image in `first`.
fn positions(first: &ClassScores, second: &ClassScores) -> Vec<u32> {
    let rows = first.rows().iter().chain(second.rows()).max().map_or(0, |&row| row as usize + 1);
    let mut by_row = vec![0; rows];
    for (position, &row) in first.rows().iter().enumerate() {
        by_row[row as usize] = position as u32;
    }
    second.rows().iter().map(|&row| by_row[row as usize]).collect()
}

fn gather(counts: &[u8], positions: &[u32], paired: &mut [u8]) {
    for (paired, &position) in paired.iter_mut().zip(positions) {
        *paired = counts[position as usize];
    }
}
