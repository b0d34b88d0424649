//! Inference over a whole split.

use artifacts::predictions::Prediction;
use artifacts::progress::Progress;
use artifacts::shard::Shards;

use crate::Error;
use crate::calibration::Temperature;
use crate::detector::{Detector, Score};

/// Returns the scores of all images, in the order of the shards. `label` is shown beside the progress bar.
///
/// # Errors
/// The images do not have the size that the detector takes, or the network fails.
pub(crate) fn scores(detector: &mut Detector, shards: &Shards, batch: usize, label: &str) -> Result<Vec<Score>, Error> {
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

/// Returns the rows of `predictions.parquet`. `temperature` is the one fitted on validation.
pub(crate) fn predictions(
    shards: &Shards,
    scores: &[Score],
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
        })
        .collect()
}
