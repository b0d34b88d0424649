//! The weight of each branch in the fused margin.

use artifacts::statistics::sigmoid;

use crate::batch::weighted_mean;
use crate::fusion::FusionWeight;

/// The number of steps of the search.
const STEPS: usize = 400;
/// The first step in the logarithm of a weight.
const FIRST_STEP: f64 = 0.5;
/// The smallest weight. The largest is 1.
const SMALLEST: f64 = 1e-3;

/// Fits the weights of the branches to margins of images that the branches were not trained on. Minimises the mean
/// binary cross-entropy of the fused margin times the best common factor, by coordinate search on the logarithms of the
/// weights. Returns one weight for each entry of `branches`, the largest being 1; branches outside the fusion keep
/// theirs.
///
/// `margins` has one row for each image with one entry for each branch; `is_fake` and `image_weights` one entry for each
/// image. Without images, all branches have weight 1.
pub fn fit_weights(
    branches: &[FusionWeight],
    margins: &[Vec<Option<f32>>],
    is_fake: &[bool],
    image_weights: &[f32],
) -> Vec<f64> {
    let mut logs = vec![0.0_f64; branches.len()];
    let fused: Vec<usize> = (0..branches.len()).filter(|&branch| branches[branch].fused).collect();
    if margins.is_empty() || fused.len() < 2 {
        return vec![1.0; branches.len()];
    }
    let loss = |logs: &[f64]| {
        let fuse =
            |row: &Vec<Option<f32>>| weighted_mean(fused.iter().map(|&branch| (logs[branch].exp(), row[branch])));
        let scores: Vec<f64> = margins.iter().map(fuse).collect();
        [0.25, 0.5, 1.0, 2.0, 4.0]
            .map(|factor| mean_loss(&scores, is_fake, image_weights, factor))
            .into_iter()
            .fold(f64::INFINITY, f64::min)
    };
    let mut best = loss(&logs);
    let mut step = FIRST_STEP;
    for _ in 0..STEPS {
        let mut improved = false;
        for &branch in &fused {
            for change in [step, -step] {
                let mut tried = logs.clone();
                tried[branch] = (tried[branch] + change).max(SMALLEST.ln());
                let found = loss(&tried);
                if found < best - 1e-9 {
                    (best, logs, improved) = (found, tried, true);
                }
            }
        }
        if !improved {
            step *= 0.5;
            if step < 1e-2 {
                break;
            }
        }
    }
    let largest = fused.iter().map(|&branch| logs[branch]).fold(f64::NEG_INFINITY, f64::max);
    let weight =
        |branch: usize| if branches[branch].fused { (logs[branch] - largest).exp().max(SMALLEST) } else { 1.0 };
    (0..branches.len()).map(weight).collect()
}

fn mean_loss(scores: &[f64], is_fake: &[bool], weights: &[f32], factor: f64) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for ((score, &fake), &weight) in scores.iter().zip(is_fake).zip(weights) {
        let right = sigmoid(factor * if fake { *score } else { -score });
        sum -= f64::from(weight) * right.max(1e-12).ln();
        total += f64::from(weight);
    }
    sum / total.max(1e-12)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BranchName::{Frequency, Metadata, Vit};

    #[test]
    fn branch_without_information_gets_little_weight() {
        let branch = |branch, fused| FusionWeight { branch, weight: 1.0, fused };
        let branches = [branch(Vit, true), branch(Frequency, true), branch(Metadata, false)];
        let is_fake: Vec<bool> = (0..200).map(|i| i % 2 == 0).collect();
        let margins: Vec<Vec<Option<f32>>> = is_fake
            .iter()
            .enumerate()
            .map(|(i, &fake)| {
                let noise = |k: usize| ((i * k) % 23) as f32 / 5.0 - 2.2;
                vec![Some(if fake { 2.0 } else { -2.0 } + noise(7)), Some(noise(11)), None]
            })
            .collect();
        let weights = fit_weights(&branches, &margins, &is_fake, &[1.0; 200]);
        assert!(weights[0] == 1.0 && weights[1] < 0.4 && weights[2] == 1.0, "{weights:?}");
        assert_eq!(fit_weights(&branches, &[], &[], &[]), [1.0; 3]);
    }
}
