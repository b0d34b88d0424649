//! Inference over a whole split.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use artifacts::predictions::Prediction;
use artifacts::progress::Progress;
use artifacts::shard::Shards;
use artifacts::statistics::sigmoid;
use branches::{BranchDetector, FeatureBatch, Picture, StoredFeatures, TrainedInputs, View};
use exchange::Alone;
use rayon::prelude::*;

use crate::Error;
use crate::calibration::Temperature;
use crate::detector::{Detector, Score};

/// Returns the scores of all images, in the order of the shards. `label` is shown beside the progress bar. The features
/// of frozen branches are kept in the folder `features`.
///
/// # Errors
/// The images do not have the size that the detector takes, or lack the files that it judges, or the model fails.
pub(crate) fn scores(
    detector: &mut Detector,
    shards: &Shards,
    batch: usize,
    features: &Path,
    label: &str,
) -> Result<Vec<Score>, Error> {
    if let Some(branches) = detector.branch_detector() {
        let views = [View::Plain];
        let never = || false;
        let store = branches::stored_features(features, branches.extractor(), shards, &views, label, &Alone, &never)?;
        return match store {
            Some(store) => stored_scores(detector, shards, &store, (batch, label)),
            None => Ok(Vec::new()),
        };
    }
    if shards.size() != detector.size() {
        return Err(Error::Size { found: shards.size(), expected: detector.size() });
    }
    let progress = Progress::new(label, "images", Some(shards.len() as u64));
    let mut pixels = Vec::new();
    for start in (0..shards.len()).step_by(batch) {
        let rows = start..(start + batch).min(shards.len());
        pixels.clear();
        rows.clone().for_each(|row| pixels.extend_from_slice(shards.pixels(row)));
        detector.start_scores(&pixels, rows.len())?;
        progress.add(rows.len() as u64);
    }
    let scores = detector.finish_scores()?;
    progress.finish();
    Ok(scores)
}

/// Returns the scores of all images of a store.
fn stored_scores(
    detector: &mut Detector,
    shards: &Shards,
    store: &StoredFeatures,
    (batch, label): (usize, &str),
) -> Result<Vec<Score>, Error> {
    let mut scores = Vec::with_capacity(store.len());
    // Stored features take no time, but the inputs of trained branches are cut from files.
    let trains = |branches: &BranchDetector| branches.config().trained_branches().next().is_some();
    let cuts = detector.branch_detector().is_some_and(trains);
    let progress = cuts.then(|| Progress::new(label, "images", Some(store.len() as u64)));
    let mut features = FeatureBatch::new(store.widths());
    for start in (0..store.len()).step_by(batch) {
        features.clear();
        let rows = start..(start + batch).min(store.len());
        for row in rows.clone() {
            store.read(0, row, &mut features)?;
        }
        let inputs = match detector.branch_detector() {
            Some(branches) if cuts => branches.trained_inputs(&pictures(shards, rows.clone())?)?,
            _ => TrainedInputs::default(),
        };
        scores.extend(detector.feature_scores(&features, &inputs)?);
        if let Some(progress) = &progress {
            progress.add(rows.len() as u64);
        }
    }
    if let Some(progress) = progress {
        progress.finish();
    }
    Ok(scores)
}

/// Decodes the stored files of some rows.
fn pictures(shards: &Shards, rows: Range<usize>) -> Result<Vec<Picture<'_>>, Error> {
    let open = |row: usize| {
        let bytes =
            shards.file(row).ok_or_else(|| branches::Error::NoFiles { branches: "of the detector".to_owned() })?;
        View::Plain.picture(0, shards.sample(row), bytes)
    };
    Ok(rows.into_par_iter().map(open).collect::<Result<_, _>>()?)
}

/// Returns the rows of `predictions.parquet`. `branches` lists the detector's branches. `temperature` is the one fitted on validation.
pub(crate) fn predictions(
    shards: &Shards,
    scores: &[Score],
    branches: &[&str],
    run: usize,
    temperature: Option<Temperature>,
) -> Vec<Prediction> {
    shards
        .samples()
        .iter()
        .zip(scores)
        .map(|(sample, score)| Prediction {
            id: sample.id,
            path: sample.path.clone(),
            label: sample.label,
            generator: sample.generator.clone(),
            run: run as u32,
            logit_real: score.real,
            logit_fake: score.fake,
            p_fake: score.p_fake(),
            p_fake_calibrated: temperature.map(|temperature| temperature.calibrate(score.margin())),
            predicted: score.predicted(),
            branches: p_fake_of_branches(branches, score),
            columns: sample.columns.clone(),
        })
        .collect()
}

/// P(fake) of each branch by name.
pub fn p_fake_of_branches(branches: &[&str], score: &Score) -> BTreeMap<String, Option<f64>> {
    let p_fake = |margin: &Option<f32>| margin.map(|margin| sigmoid(f64::from(margin)));
    branches.iter().zip(&score.branches).map(|(name, margin)| ((*name).to_owned(), p_fake(margin))).collect()
}
