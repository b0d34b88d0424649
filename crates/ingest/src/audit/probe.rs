//! A small classifier (probe) and its cross-validation.

use artifacts::{random, roc_auc};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::features::Feature;

/// The number of folds of the cross-validation.
pub(super) const FOLDS: usize = 5;

/// The result of a cross-validation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CrossValidation {
    /// The mean ROC-AUC over the held-out folds. `None` if a class has fewer images than there are folds.
    pub(super) roc_auc: Option<f64>,
    /// The share of each feature in the total gain.
    pub(super) shares: Vec<f64>,
}

/// Cross-validates a classifier on `features`. `fake[i]` is whether image `i` is a fake.
pub(super) fn cross_validate(features: &[&Feature], fake: &[bool]) -> CrossValidation {
    let folds = folds(fake);
    let fitted: Vec<(Option<f64>, Vec<f64>)> =
        (0..FOLDS).into_par_iter().map(|fold| validate(features, fake, &folds, fold)).collect();
    let aucs: Option<Vec<f64>> = fitted.iter().map(|(auc, _)| *auc).collect();
    let gain = |feature: usize| fitted.iter().map(|(_, gains)| gains[feature]).sum::<f64>();
    let gains: Vec<f64> = (0..features.len()).map(gain).collect();
    let total: f64 = gains.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    CrossValidation {
        roc_auc: aucs.map(|aucs| aucs.iter().sum::<f64>() / FOLDS as f64),
        shares: gains.into_iter().map(|gain| gain / total).collect(),
    }
}

/// Assigns each image to a fold at random, stratified by class.
fn folds(fake: &[bool]) -> Vec<usize> {
    let mut folds = vec![0; fake.len()];
    for class in [false, true] {
        let mut members: Vec<usize> = (0..fake.len()).filter(|&image| fake[image] == class).collect();
        members.shuffle(&mut random::stream(0, "audit folds", &[u64::from(class)]));
        for (place, image) in members.into_iter().enumerate() {
            folds[image] = place % FOLDS;
        }
    }
    folds
}

/// Fits a model on all folds except `fold`. Returns the ROC-AUC on `fold`, and the gain of each feature.
fn validate(features: &[&Feature], fake: &[bool], folds: &[usize], fold: usize) -> (Option<f64>, Vec<f64>) {
    let part = |inside: bool| (0..fake.len()).filter(move |&image| (folds[image] == fold) == inside);
    let (training, left_out): (Vec<usize>, Vec<usize>) = (part(false).collect(), part(true).collect());
    let model = Model::fit(features, fake, &training);
    let mut scores: Vec<(f64, bool)> =
        left_out.into_iter().map(|image| (model.score(features, image), fake[image])).collect();
    (roc_auc(&mut scores), model.gains)
}

/// An additive classifier with a log-odds value for each bin of each feature. It is fitted by gradient boosting (J. H.
/// Friedman, "Greedy function approximation: a gradient boosting machine", 2001). Each round splits on one feature, the
/// one with the largest gain, into all its bins.
struct Model {
    /// By feature and bin.
    log_odds: Vec<Vec<f64>>,
    /// The total gain of each feature.
    gains: Vec<f64>,
}

/// The number of boosting rounds.
const ROUNDS: usize = 40;
/// The learning rate.
const RATE: f64 = 0.3;
/// The strength of the regularisation, in images per bin. It prevents overfitting in bins with few images.
const PRIOR: f64 = 2.0;

impl Model {
    fn fit(features: &[&Feature], fake: &[bool], training: &[usize]) -> Model {
        let empty = |feature: &&Feature| vec![0.0; feature.bins.len()];
        let mut model = Model { log_odds: features.iter().map(empty).collect(), gains: vec![0.0; features.len()] };
        let mut scores = vec![0.0_f64; training.len()];
        for _ in 0..ROUNDS {
            // First and second derivative of the log-loss with respect to each image's score.
            let derivatives: Vec<[f64; 2]> = training
                .iter()
                .zip(&scores)
                .map(|(&image, score)| {
                    // `statistics::sigmoid` rounds negative scores differently, which would change `audit.json`.
                    let p = 1.0 / (1.0 + (-score).exp());
                    [f64::from(u8::from(fake[image])) - p, p * (1.0 - p)]
                })
                .collect();
            let best = features
                .iter()
                .enumerate()
                .map(|(index, feature)| (index, Step::of(feature, training, &derivatives)))
                .max_by(|a, b| a.1.gain.total_cmp(&b.1.gain));
            let Some((index, step)) = best else { break };
            model.gains[index] += step.gain;
            for (log_odds, change) in model.log_odds[index].iter_mut().zip(&step.changes) {
                *log_odds += change;
            }
            for (score, &image) in scores.iter_mut().zip(training) {
                *score += step.changes[usize::from(features[index].codes[image])];
            }
        }
        model
    }

    fn score(&self, features: &[&Feature], image: usize) -> f64 {
        features.iter().zip(&self.log_odds).map(|(feature, log_odds)| log_odds[usize::from(feature.codes[image])]).sum()
    }
}

/// The boosting step for one feature.
struct Step {
    changes: Vec<f64>,
    gain: f64,
}

impl Step {
    /// Computes the damped Newton step in each bin, and the gain in log-likelihood of all bins.
    fn of(feature: &Feature, training: &[usize], derivatives: &[[f64; 2]]) -> Step {
        let mut sums = vec![[0.0; 2]; feature.bins.len()];
        for (&image, derivative) in training.iter().zip(derivatives) {
            let sum = &mut sums[usize::from(feature.codes[image])];
            sum[0] += derivative[0];
            sum[1] += derivative[1];
        }
        // An image at p = 1/2 has a second derivative of 1/4.
        let damped = |second: f64| second + PRIOR / 4.0;
        Step {
            changes: sums.iter().map(|[first, second]| RATE * first / damped(*second)).collect(),
            gain: sums.iter().map(|[first, second]| first * first / damped(*second)).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    fn feature(codes: Vec<u8>, bins: usize) -> Feature {
        Feature { name: "test".to_owned(), advice: "", codes, bins: vec![String::new(); bins] }
    }

    fn classes(n: usize) -> Vec<bool> {
        (0..n).map(|i| i % 2 == 1).collect()
    }

    #[test]
    fn finds_an_informative_feature_among_noise() {
        let mut stream = random::stream(1, "probe test", &[]);
        let fake = classes(400);
        let informative =
            feature(fake.iter().map(|&fake| u8::from(fake != (stream.random::<f32>() < 0.1))).collect(), 2);
        let noise: Vec<Feature> =
            (0..10).map(|_| feature((0..400).map(|_| stream.random_range(0..16)).collect(), 16)).collect();
        let mut features: Vec<&Feature> = noise.iter().collect();
        features.push(&informative);
        let found = cross_validate(&features, &fake);
        assert!((0.82..0.95).contains(&found.roc_auc.unwrap()), "{found:?}");
        assert!(found.shares[10] > 0.5, "{found:?}");
    }

    #[test]
    fn noise_and_constants_score_like_chance() {
        let mut stream = random::stream(2, "probe test", &[]);
        let fake = classes(1000);
        let noise: Vec<Feature> =
            (0..20).map(|_| feature((0..1000).map(|_| stream.random_range(0..16)).collect(), 16)).collect();
        let found = cross_validate(&noise.iter().collect::<Vec<_>>(), &fake);
        assert!((0.42..0.58).contains(&found.roc_auc.unwrap()), "{found:?}");
        let constant = feature(vec![0; 1000], 1);
        assert_eq!(cross_validate(&[&constant], &fake).roc_auc, Some(0.5));
    }

    #[test]
    fn one_class_has_no_roc_auc() {
        let constant = feature(vec![0; 20], 1);
        assert_eq!(cross_validate(&[&constant], &[true; 20]).roc_auc, None);
    }
}
