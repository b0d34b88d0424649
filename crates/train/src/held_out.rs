//! Predictions for generators and folders that a detector was not trained on.
//!
//! Scores of validation images promise too much for generators that training did not see. Therefore the fusion is
//! trained again several times, each time without some generators and without some folders of photographs, and predicts
//! what it was not trained on. The inconclusive band is fitted to these predictions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use artifacts::Label;
use artifacts::predictions::Prediction;
use artifacts::progress::Progress;
use artifacts::shard::Sample;
use artifacts::statistics::sigmoid;
use branches::{FeatureBatch, Fusion, FusionWeight, StepOptions, balanced_weights, fit_weights, group, weighted_mean};

use crate::config::Config;
use crate::epoch_batches::{EpochBatches, Item};
use crate::error::Error;
use crate::images::Images;
use crate::loader::fill_features;

/// Creates an untrained fusion, and the weight of each row in the loss, for a training on some rows.
type Create<'a> = dyn Fn(&[usize]) -> Result<(Fusion, Vec<f32>), Error> + 'a;

/// The result of [`predict`].
#[derive(Debug)]
pub(crate) struct HeldOut {
    /// A prediction for each training image, by the model that was not trained on it.
    pub(crate) predictions: Vec<Prediction>,
    /// The weight of each branch in the fusion, fitted to these predictions.
    pub(crate) weights: Vec<f64>,
}

/// The margins of an image, by a model that was not trained on it.
struct Judged {
    row: usize,
    fold: usize,
    /// One for each branch.
    margins: Vec<Option<f32>>,
}

/// Trains one fusion for each fold and predicts the images that it was not trained on. Returns `None` if `stop` returns
/// `true`. Returns no predictions, and equal weights, if there are fewer than two generators.
pub(crate) fn predict(
    config: &Config,
    train: &Images,
    seed: u64,
    create: &Create<'_>,
    stop: &dyn Fn() -> bool,
) -> Result<Option<HeldOut>, Error> {
    let samples: Vec<&Sample> = train.rows.iter().map(|&row| train.shards.sample(row)).collect();
    let folds = assign(&samples, config.model.held_out_folds);
    let mut judged = Vec::new();
    let mut branches = Vec::new();
    let progress = Progress::new("train: held-out generators", "epochs", Some((folds.len() * config.epochs) as u64));
    for (fold, left_out) in folds.iter().enumerate() {
        let is_left_out: BTreeSet<usize> = left_out.iter().map(|&index| train.rows[index]).collect();
        let kept: Vec<usize> = train.rows.iter().copied().filter(|row| !is_left_out.contains(row)).collect();
        let (fusion, weights) = create(&kept)?;
        branches = fusion.weights();
        let images = train.projected(&fusion)?;
        let Some(projected) = images.features.as_ref().and_then(|features| features.projected.as_ref()) else {
            break;
        };
        let rows = Arc::new(Images { shards: Arc::clone(&train.shards), rows: kept, features: None });
        let trained = train_fold(config, &rows, (projected, train.views()), &weights, seed, fusion, &progress, stop)?;
        let Some(fusion) = trained else {
            progress.clear();
            return Ok(None);
        };
        let rows: Vec<usize> = is_left_out.into_iter().collect();
        let mut batch = FeatureBatch::default();
        let items: Vec<Item> = rows.iter().map(|&row| Item { row, view: 0 }).collect();
        fill_features(projected, train.shards.len(), &items, &mut batch);
        let margins = fusion.averaged(&config.model)?.margins(&batch)?;
        for (index, row) in rows.into_iter().enumerate() {
            let margins = margins.branches.iter().map(|branch| branch[index]).collect();
            judged.push(Judged { row, fold, margins });
        }
    }
    progress.finish();
    let weights = fitted_weights(train, &branches, &judged, config.model.branches.len());
    let predictions = judged.iter().map(|judged| prediction(train, &branches, &weights, judged)).collect();
    Ok(Some(HeldOut { predictions, weights }))
}

/// Trains a fusion with the settings of the whole training.
#[expect(clippy::too_many_arguments, reason = "all of them are inputs of one training")]
fn train_fold(
    config: &Config,
    kept: &Arc<Images>,
    (projected, views): (&FeatureBatch, usize),
    weights: &[f32],
    seed: u64,
    mut fusion: Fusion,
    progress: &Progress,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Fusion>, Error> {
    let mut batch = FeatureBatch::default();
    for epoch in 1..=config.epochs {
        let batches = EpochBatches::shuffled_views(kept, config.batch, views, seed, epoch);
        for index in 0..batches.len() {
            let items = batches.images(index);
            fill_features(projected, kept.shards.len(), items, &mut batch);
            let labels: Vec<u8> = items.iter().map(|item| kept.shards.sample(item.row).label.index()).collect();
            let weights: Vec<f32> = items.iter().map(|item| weights[item.row]).collect();
            let learning_rate = config.learning_rate_at(fusion.steps().into(), batches.len() as u64);
            fusion.train_step(&batch, &labels, &weights, StepOptions { learning_rate, seed })?;
        }
        progress.add(1);
        if stop() {
            return Ok(None);
        }
    }
    Ok(Some(fusion))
}

/// Fits the weight of each branch. Generators and folders have the same total weight, as in training.
fn fitted_weights(train: &Images, branches: &[FusionWeight], judged: &[Judged], n: usize) -> Vec<f64> {
    if judged.is_empty() {
        return vec![1.0; n];
    }
    let rows: Vec<usize> = judged.iter().map(|judged| judged.row).collect();
    let balanced = balanced_weights(train.shards.samples(), &rows);
    let image_weights: Vec<f32> = rows.iter().map(|&row| balanced[row]).collect();
    let is_fake: Vec<bool> = rows.iter().map(|&row| train.shards.sample(row).label == Label::Fake).collect();
    let margins: Vec<Vec<Option<f32>>> = judged.iter().map(|judged| judged.margins.clone()).collect();
    fit_weights(branches, &margins, &is_fake, &image_weights)
}

fn prediction(train: &Images, branches: &[FusionWeight], weights: &[f64], judged: &Judged) -> Prediction {
    let sample = train.shards.sample(judged.row);
    let fused = branches.iter().zip(weights).zip(&judged.margins).filter(|((branch, _), _)| branch.fused);
    let margin = weighted_mean(fused.map(|((_, weight), margin)| (*weight, *margin))) as f32;
    let p_fake = sigmoid(f64::from(margin));
    let of_branch = |margin: &Option<f32>| margin.map(|margin| sigmoid(f64::from(margin)));
    Prediction {
        id: sample.id,
        path: sample.path.clone(),
        label: sample.label,
        generator: sample.generator.clone(),
        run: judged.fold as u32,
        logit_real: -0.5 * margin,
        logit_fake: 0.5 * margin,
        p_fake,
        p_fake_calibrated: None,
        predicted: if p_fake >= 0.5 { Label::Fake } else { Label::Real },
        branches: branches
            .iter()
            .zip(&judged.margins)
            .map(|(branch, margin)| (branch.branch.name().to_owned(), of_branch(margin)))
            .collect(),
    }
}

/// Assigns images to folds: for each fold, the indices of the images that it leaves out. A fold leaves out whole
/// groups, see [`group`]. Each image is left out once. If all photographs are in one folder, they are divided by their
/// content. Returns no folds if there are fewer than two groups of fakes.
fn assign(samples: &[&Sample], folds: usize) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<(Label, String), Vec<usize>> = BTreeMap::new();
    for (index, sample) in samples.iter().enumerate() {
        let (label, name) = group(sample);
        groups.entry((label, name.to_owned())).or_default().push(index);
    }
    let (reals, fakes): (Vec<_>, Vec<_>) = groups.into_iter().partition(|((label, _), _)| *label == Label::Real);
    let folds = folds.min(fakes.len());
    if folds < 2 {
        return Vec::new();
    }
    let mut assigned = vec![Vec::new(); folds];
    for (number, (_, rows)) in fakes.into_iter().enumerate() {
        assigned[number % folds].extend(rows);
    }
    if reals.len() >= 2 {
        for (number, (_, rows)) in reals.into_iter().enumerate() {
            assigned[number % folds].extend(rows);
        }
    } else {
        for (_, rows) in reals {
            for index in rows {
                assigned[usize::from(samples[index].id.as_bytes()[0]) % folds].push(index);
            }
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use artifacts::Split;
    use artifacts::hash::Hash;

    use super::*;

    fn sample(path: &str, label: Label, generator: &str) -> Sample {
        Sample {
            id: Hash::of(path.as_bytes()),
            path: path.to_owned(),
            label,
            split: Split::Train,
            generator: generator.to_owned(),
            width: 1,
            height: 1,
            format: "jpeg".to_owned(),
            file_bytes: 1,
        }
    }

    #[test]
    fn folds_leave_out_whole_groups_once() {
        let mut samples = Vec::new();
        for i in 0..12 {
            samples.push(sample(&format!("fake/{i}"), Label::Fake, ["a", "b", "c"][i % 3]));
            samples.push(sample(&format!("real/{}/{i}", i % 2), Label::Real, ""));
        }
        let samples: Vec<&Sample> = samples.iter().collect();
        let folds = assign(&samples, 10);
        assert_eq!(folds.len(), 3);
        let mut all: Vec<usize> = folds.iter().flatten().copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..24).collect::<Vec<_>>());
        for fold in &folds {
            let generators: BTreeSet<&str> = fold
                .iter()
                .filter(|&&index| samples[index].label == Label::Fake)
                .map(|&index| samples[index].generator.as_str())
                .collect();
            assert_eq!(generators.len(), 1);
        }
        assert_eq!(assign(&samples, 2).len(), 2);
        assert!(assign(&samples, 0).is_empty() && assign(&samples[..2], 5).is_empty());
    }

    #[test]
    fn photographs_of_one_folder_are_divided_by_content() {
        let mut samples: Vec<Sample> = (0..40).map(|i| sample(&format!("real/{i}"), Label::Real, "")).collect();
        samples.extend(["a", "b"].map(|generator| sample(generator, Label::Fake, generator)));
        let samples: Vec<&Sample> = samples.iter().collect();
        let folds = assign(&samples, 5);
        assert_eq!(folds.len(), 2);
        assert!(folds.iter().all(|fold| fold.len() > 10));
    }
}
