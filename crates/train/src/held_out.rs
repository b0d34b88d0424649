//! Predictions for generators and photographs that a detector was not trained on.
//!
//! Scores of validation images promise too much for generators that training did not see. Therefore the detector is
//! trained again several times, each time without some generators and without some photographs, and predicts
//! what it was not trained on. The inconclusive band is fitted to these predictions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use artifacts::hash::Hash;
use artifacts::predictions::{self, Prediction};
use artifacts::progress::Progress;
use artifacts::shard::Sample;
use artifacts::statistics::sigmoid;
use artifacts::{Label, atomic, names};
use branches::{
    Fusion, FusionWeight, HeldOutPhotographs, PretrainedFiles, StepOptions, Training, balanced_weights, fit_weights,
    group, weighted_mean,
};
use model::device::Device;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::epoch_batches::EpochBatches;
use crate::error::Error;
use crate::images::Images;
use crate::loader::Loader;

/// Creates an untrained fusion, and the weight of each row in the loss, for a training on some rows.
type Create<'a> = dyn Fn(&[usize]) -> Result<(Fusion, Vec<f32>), Error> + 'a;

/// What each of the trainings starts from.
#[derive(Clone, Copy)]
pub(crate) struct Recipe<'a> {
    pub(crate) create: &'a Create<'a>,
    pub(crate) files: &'a PretrainedFiles,
    pub(crate) device: &'a Device,
}

/// The result of [`predict`].
#[derive(Debug)]
pub(crate) struct HeldOut {
    /// A prediction for each training image, by the model that was not trained on it.
    pub(crate) predictions: Vec<Prediction>,
    /// The weight of each branch in the fusion, fitted to these predictions.
    pub(crate) weights: Vec<f64>,
}

/// The file with the fitted weights of [`HeldOut`], beside its predictions.
const WEIGHTS: &str = "held-out.json";

/// The content of [`WEIGHTS`].
#[derive(Serialize, Deserialize)]
struct SavedWeights {
    /// Identifies the training.
    training: Hash,
    /// The weight of each branch.
    weights: Vec<f64>,
}

/// Writes predictions and weights into the folder of a run.
pub(crate) fn save(run: &Path, training: Hash, held_out: &HeldOut) -> Result<(), Error> {
    predictions::write(&run.join(names::HELD_OUT), &held_out.predictions)?;
    // The last file, so that both are complete if it exists.
    atomic::write_json(&run.join(WEIGHTS), &SavedWeights { training, weights: held_out.weights.clone() })?;
    Ok(())
}

/// Returns the weights in the folder of a run, if predictions and weights are those of this training.
pub(crate) fn saved_weights(run: &Path, training: Hash) -> Option<Vec<f64>> {
    let saved: SavedWeights = serde_json::from_slice(&fs::read(run.join(WEIGHTS)).ok()?).ok()?;
    let is_complete = saved.training == training && predictions::read(&run.join(names::HELD_OUT)).is_ok();
    is_complete.then_some(saved.weights)
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
    &Recipe { create, files, device }: &Recipe<'_>,
    stop: &dyn Fn() -> bool,
) -> Result<Option<HeldOut>, Error> {
    let samples: Vec<&Sample> = train.rows.iter().map(|&row| train.shards.sample(row)).collect();
    let folds = assign(&samples, config.model.held_out_folds, config.model.held_out_photographs);
    let mut judged = Vec::new();
    let mut branches = Vec::new();
    let progress = Progress::new("train: held-out generators", "epochs", Some((folds.len() * config.epochs) as u64));
    for (fold, left_out) in folds.iter().enumerate() {
        let is_left_out: BTreeSet<usize> = left_out.iter().map(|&index| train.rows[index]).collect();
        let kept: Vec<usize> = train.rows.iter().copied().filter(|row| !is_left_out.contains(row)).collect();
        let (fusion, weights) = create(&kept)?;
        let images = train.projected(&fusion)?;
        let training = Training::new(&config.model, fusion, files, device, seed)?;
        branches = training.fusion_weights();
        let kept = Arc::new(images.only(kept, &weights));
        let Some(mut training) = train_fold(config, &kept, seed, training, &progress, stop)? else {
            progress.clear();
            return Ok(None);
        };
        let left_out = Arc::new(images.only(is_left_out.into_iter().collect(), &weights));
        for (row, margins) in left_out.rows.iter().zip(margins(&mut training, &left_out, config.batch)?) {
            judged.push(Judged { row: *row, fold, margins });
        }
    }
    progress.finish();
    let weights = fitted_weights(train, &branches, &judged, config.model.branches.len());
    let predictions = judged.iter().map(|judged| prediction(train, &branches, &weights, judged)).collect();
    Ok(Some(HeldOut { predictions, weights }))
}

/// Trains a detector on some images with the settings of the whole training. Returns `None` if `stop` returns `true`.
fn train_fold(
    config: &Config,
    kept: &Arc<Images>,
    seed: u64,
    mut training: Training,
    progress: &Progress,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Training>, Error> {
    for epoch in 1..=config.epochs {
        let batches = EpochBatches::shuffled(kept, config.batch, &config.augment, seed, epoch);
        let mut loader = Loader::start(batches, 0);
        let steps = loader.batches_per_epoch() as u64;
        while let Some(batch) = loader.next_batch() {
            let batch = batch?;
            let learning_rate = config.learning_rate_at(training.steps(), steps);
            let options = StepOptions { learning_rate, schedule: learning_rate / config.learning_rate(), seed };
            let inputs = (batch.features(), batch.inputs());
            training.train_step(inputs, batch.labels(), batch.weights(), options)?;
            loader.recycle(batch);
        }
        progress.add(1);
        if stop() {
            return Ok(None);
        }
    }
    Ok(Some(training))
}

/// Returns the margins of each image: one for each branch, of the image as it is.
fn margins(training: &mut Training, images: &Arc<Images>, batch_size: usize) -> Result<Vec<Vec<Option<f32>>>, Error> {
    training.start_validation()?;
    let mut loader = Loader::start(EpochBatches::sequential_views(images, batch_size, 1), 0);
    let mut all = Vec::with_capacity(images.len());
    while let Some(batch) = loader.next_batch() {
        let batch = batch?;
        let margins = training.margins(batch.features(), batch.inputs())?.branches;
        all.extend((0..batch.len()).map(|image| margins.iter().map(|branch| branch[image]).collect()));
        loader.recycle(batch);
    }
    Ok(all)
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
        columns: sample.columns.clone(),
        branches: branches
            .iter()
            .zip(&judged.margins)
            .map(|(branch, margin)| (branch.branch.name().to_owned(), of_branch(margin)))
            .collect(),
    }
}

/// Assigns images to folds: for each fold, the indices of the images that it leaves out. Each image is left out once. A
/// fold leaves out whole generators, and whole folders of photographs or an equal share of each. If all photographs are
/// in one folder, they are divided by their content. Returns no folds if there are fewer than two groups of fakes, see
/// [`group`].
///
/// A photograph and its reconstruction are always in the same fold: a model that knows the one as real would call the
/// other real. The photograph follows its reconstruction, or the reconstruction its photograph if folders are left out.
fn assign(samples: &[&Sample], folds: usize, photographs: HeldOutPhotographs) -> Vec<Vec<usize>> {
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
    let mut fold_of = vec![0; samples.len()];
    for (number, (_, rows)) in fakes.iter().enumerate() {
        rows.iter().for_each(|&index| fold_of[index] = number % folds);
    }
    let by_folder = reals.len() >= 2 && photographs == HeldOutPhotographs::Folders;
    for (number, (_, rows)) in reals.iter().enumerate() {
        for &index in rows {
            let key = if by_folder { number } else { usize::from(samples[index].id.as_bytes()[0]) };
            fold_of[index] = key % folds;
        }
    }
    for (photograph, fake) in pairs(samples) {
        if by_folder {
            fold_of[fake] = fold_of[photograph];
        } else {
            fold_of[photograph] = fold_of[fake];
        }
    }
    let mut assigned = vec![Vec::new(); folds];
    for (_, rows) in fakes.into_iter().chain(reals) {
        rows.into_iter().for_each(|index| assigned[fold_of[index]].push(index));
    }
    assigned
}

/// Returns the indices of each photograph and its reconstruction.
fn pairs(samples: &[&Sample]) -> Vec<(usize, usize)> {
    let of_real = samples.iter().enumerate().filter(|(_, sample)| sample.label == Label::Real);
    let photographs: BTreeMap<&str, usize> = of_real.map(|(index, sample)| (sample.path.as_str(), index)).collect();
    let of_fake = samples.iter().enumerate().filter_map(|(index, sample)| Some((index, sample.photograph()?)));
    of_fake.filter_map(|(index, path)| Some((*photographs.get(path)?, index))).collect()
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
            columns: BTreeMap::new(),
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
        let folds = assign(&samples, 10, HeldOutPhotographs::Folders);
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
        assert_eq!(assign(&samples, 2, HeldOutPhotographs::Folders).len(), 2);
        assert!(assign(&samples, 0, HeldOutPhotographs::Folders).is_empty());
        assert!(assign(&samples[..2], 5, HeldOutPhotographs::Folders).is_empty());
        for fold in assign(&samples, 3, HeldOutPhotographs::Content) {
            let folders: BTreeSet<&str> = fold.iter().map(|&index| group(samples[index]).1).collect();
            assert!(folders.contains("real/0") && folders.contains("real/1"), "{folders:?}");
        }
    }

    #[test]
    fn photographs_of_one_folder_are_divided_by_content() {
        let mut samples: Vec<Sample> = (0..40).map(|i| sample(&format!("real/{i}"), Label::Real, "")).collect();
        samples.extend(["a", "b"].map(|generator| sample(generator, Label::Fake, generator)));
        let samples: Vec<&Sample> = samples.iter().collect();
        let folds = assign(&samples, 5, HeldOutPhotographs::Folders);
        assert_eq!(folds.len(), 2);
        assert!(folds.iter().all(|fold| fold.len() > 10));
    }

    #[test]
    fn photographs_and_their_reconstructions_are_in_one_fold() {
        let mut samples = Vec::new();
        for i in 0..60 {
            let generator = ["reconstructed-nearest", "reconstructed-bilinear", "reconstructed-pixel_shuffle"][i % 3];
            let path = format!("real/{}/{i}.jpg", i % 4);
            samples.push(sample(&format!("{path}#{generator}"), Label::Fake, generator));
            samples.push(sample(&path, Label::Real, ""));
        }
        let samples: Vec<&Sample> = samples.iter().collect();
        for photographs in [HeldOutPhotographs::Content, HeldOutPhotographs::Folders] {
            let folds = assign(&samples, 3, photographs);
            assert_eq!(folds.iter().map(Vec::len).sum::<usize>(), 120);
            for fold in folds {
                let paths: BTreeSet<&str> = fold.iter().map(|&index| samples[index].path.as_str()).collect();
                assert!(paths.len() >= 20 && paths.len() < 120);
                assert!(fold.iter().filter_map(|&index| samples[index].photograph()).all(|path| paths.contains(path)));
                assert_eq!(paths.iter().filter(|path| path.contains('#')).count() * 2, paths.len());
            }
        }
    }
}
