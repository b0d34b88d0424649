//! A small classifier, and how well it tells images it has not seen.

use artifacts::{random, roc_auc};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::features::Feature;

/// Parts of the cross-validation.
pub(super) const FOLDS: usize = 5;

/// What a probe found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// Mean over the folds of the ROC-AUC on the images left out; nothing where a class has fewer images than folds.
    pub(super) roc_auc: Option<f64>,
    /// What each feature adds to the classifier: its share of all that was gained in fitting.
    pub(super) shares: Vec<f64>,
}

/// Cross-validates a classifier that sees `features` only. `fake`: the class of each image.
pub(super) fn cross_validate(features: &[&Feature], fake: &[bool]) -> Found {
    let folds = folds(fake);
    let fitted: Vec<(Option<f64>, Vec<f64>)> =
        (0..FOLDS).into_par_iter().map(|fold| validate(features, fake, &folds, fold)).collect();
    let aucs: Option<Vec<f64>> = fitted.iter().map(|(auc, _)| *auc).collect();
    let gain = |feature: usize| fitted.iter().map(|(_, gains)| gains[feature]).sum::<f64>();
    let gains: Vec<f64> = (0..features.len()).map(gain).collect();
    let total: f64 = gains.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    Found {
        roc_auc: aucs.map(|aucs| aucs.iter().sum::<f64>() / FOLDS as f64),
        shares: gains.into_iter().map(|gain| gain / total).collect(),
    }
}

/// The fold of each image: each class is dealt out in a random order.
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

/// Fits on all folds but one. Returns the ROC-AUC on that one, and each feature's gain.
fn validate(features: &[&Feature], fake: &[bool], folds: &[usize], fold: usize) -> (Option<f64>, Vec<f64>) {
    let part = |inside: bool| (0..fake.len()).filter(move |&image| (folds[image] == fold) == inside);
    let (training, left_out): (Vec<usize>, Vec<usize>) = (part(false).collect(), part(true).collect());
    let model = Model::fit(features, fake, &training);
    let mut scores: Vec<(f64, bool)> =
        left_out.into_iter().map(|image| (model.score(features, image), fake[image])).collect();
    (roc_auc(&mut scores), model.gains)
}

/// An additive classifier: each feature has a log-odds for each of its bins. It is fitted by gradient boosting (J. H.
/// Friedman, "Greedy function approximation: a gradient boosting machine", 2001) with trees of one split, into all bins of
/// the feature that gains the most.
struct Model {
    /// Log-odds by feature and bin.
    odds: Vec<Vec<f64>>,
    gains: Vec<f64>,
}

/// Steps of the boosting.
const ROUNDS: usize = 40;
/// The part of each step that is taken.
const RATE: f64 = 0.3;
/// Images of either kind that each bin is thought to hold besides its own, against chance in bins of few.
const PRIOR: f64 = 2.0;

impl Model {
    fn fit(features: &[&Feature], fake: &[bool], training: &[usize]) -> Model {
        let empty = |feature: &&Feature| vec![0.0; feature.bins.len()];
        let mut model = Model { odds: features.iter().map(empty).collect(), gains: vec![0.0; features.len()] };
        let mut scores = vec![0.0_f64; training.len()];
        for _ in 0..ROUNDS {
            // First and second derivative of the log-loss with respect to each image's score.
            let derivatives: Vec<[f64; 2]> = training
                .iter()
                .zip(&scores)
                .map(|(&image, score)| {
                    // `statistics::sigmoid` rounds negative scores differently, which would change the bits of `audit.json`.
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
            for (odds, change) in model.odds[index].iter_mut().zip(&step.changes) {
                *odds += change;
            }
            for (score, &image) in scores.iter_mut().zip(training) {
                *score += step.changes[usize::from(features[index].codes[image])];
            }
        }
        model
    }

    fn score(&self, features: &[&Feature], image: usize) -> f64 {
        features.iter().zip(&self.odds).map(|(feature, odds)| odds[usize::from(feature.codes[image])]).sum()
    }
}

/// What one feature could add.
struct Step {
    changes: Vec<f64>,
    gain: f64,
}

impl Step {
    /// The damped Newton step in each bin, and what it gains in log-likelihood.
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
    fn a_telling_feature_is_found_among_noise() {
        let mut stream = random::stream(1, "probe test", &[]);
        let fake = classes(400);
        let telling = feature(fake.iter().map(|&fake| u8::from(fake != (stream.random::<f32>() < 0.1))).collect(), 2);
        let noise: Vec<Feature> =
            (0..10).map(|_| feature((0..400).map(|_| stream.random_range(0..16)).collect(), 16)).collect();
        let mut features: Vec<&Feature> = noise.iter().collect();
        features.push(&telling);
        let found = cross_validate(&features, &fake);
        assert!((0.82..0.95).contains(&found.roc_auc.unwrap()), "{found:?}");
        assert!(found.shares[10] > 0.5, "{found:?}");
    }

    #[test]
    fn noise_and_constants_tell_nothing() {
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
    fn one_class_alone_has_no_area() {
        let constant = feature(vec![0; 20], 1);
        assert_eq!(cross_validate(&[&constant], &[true; 20]).roc_auc, None);
    }
}
