//! The measurement of a detector after all operations at all levels.

use std::collections::BTreeMap;

use artifacts::predictions::Prediction;
use artifacts::progress::Progress;
use artifacts::random::stream;
use artifacts::schema::{
    Flip, FlippingImage, Interval, Proportion, Robustness, RobustnessCurve, RobustnessPoint, Scores,
};
use artifacts::shard::Shards;
use artifacts::{Label, Manifest};
use pixels::Recipe;
use rayon::prelude::*;

use super::images::Images;
use super::{OPERATIONS, Operation};
use crate::Error;
use crate::bootstrap::{OperatingPoint, Resampling};
use crate::config::Config;
use crate::detector::{Detector, Score};
use crate::measure::{ScoredImages, scores_with_intervals};
use crate::significance::wilson;

/// Measures the detector on degraded images. `predictions` holds the predictions of the same detector on the images of
/// `shards`, in the same order. `ingest` is the manifest of the shards.
///
/// # Errors
/// Errors of the network.
pub(crate) fn sweep(
    detector: &mut Detector,
    shards: &Shards,
    predictions: &[Prediction],
    ingest: &Manifest,
    config: &Config,
) -> Result<Robustness, Error> {
    let recipe = detector.recipe()?;
    let max_pixels = ingest.config["max_pixels"].as_u64().unwrap_or(recipe.max_pixels);
    let images = Images::choose(shards, config.robustness_images, ingest, Recipe { max_pixels, ..recipe });
    let mut sweep = Sweep {
        detector,
        clean: images.rows().map(|row| &predictions[row]).collect(),
        images: &images,
        config,
        flips: vec![Vec::new(); images.len()],
        left_out: BTreeMap::new(),
    };
    let untouched = sweep.measure(&ScoredImages::of(sweep.clean.iter().copied()))?;
    let changes = chosen_changes(&config.robustness_changes);
    let levels: usize = changes.iter().map(|(_, levels)| levels.len()).sum();
    let progress = Progress::new("evaluate: robustness", "images", Some((levels * images.len()) as u64));
    let mut curves = Vec::new();
    for (operation, levels) in changes {
        curves.push(sweep.curve(operation, &levels, &progress)?);
    }
    progress.finish();
    Ok(Robustness {
        schema_version: Robustness::SCHEMA_VERSION,
        images: images.len() as u64,
        from_files: images.originals() as u64,
        untouched: untouched.0,
        intervals: untouched.1,
        curves,
        flips: sweep.flipped_images(),
        left_out: sweep.left_out,
    })
}

/// Returns the operations with the levels that `wanted` lists, in the order of the report. All of them if it is empty.
fn chosen_changes(wanted: &[String]) -> Vec<(Operation, Vec<f64>)> {
    let wanted: Vec<(Operation, f64)> = wanted.iter().filter_map(|change| Operation::parse(change)).collect();
    let is_wanted = |operation, level: &f64| wanted.is_empty() || wanted.contains(&(operation, *level));
    let levels = |operation: Operation| -> Vec<f64> {
        operation.levels().iter().copied().filter(|level| is_wanted(operation, level)).collect()
    };
    let all = OPERATIONS.into_iter().map(|operation| (operation, levels(operation)));
    all.filter(|(_, levels)| !levels.is_empty()).collect()
}

/// The number of native images that are in memory at once.
const MAX_PICTURES: usize = 16;

/// What a detector needs of an image.
enum Prepared {
    /// Resized pixels, `[size, size, 3]`.
    Pixels(Vec<u8>),
    /// The file and the native image.
    Picture(Box<branches::Picture<'static>>),
}

impl Prepared {
    fn of_pixels(picture: pixels::Picture<'_>) -> Prepared {
        Prepared::Pixels(picture.pixels.into_owned())
    }

    fn of_picture(picture: pixels::Picture<'static>) -> Prepared {
        Prepared::Picture(Box::new(branches::Picture::from(picture)))
    }
}

/// A sweep in progress.
struct Sweep<'a> {
    detector: &'a mut Detector,
    images: &'a Images<'a>,
    /// The predictions on the images without degradation.
    clean: Vec<&'a Prediction>,
    config: &'a Config,
    /// For each image, the operations and levels that flip its predicted class.
    flips: Vec<Vec<Flip>>,
    /// How many images could not be degraded and why, by operation and level.
    left_out: BTreeMap<String, String>,
}

impl Sweep<'_> {
    /// Measures some levels of an operation.
    fn curve(&mut self, operation: Operation, levels: &[f64], progress: &Progress) -> Result<RobustnessCurve, Error> {
        let mut points = Vec::new();
        for &level in levels {
            points.extend(self.point(operation, level, progress)?);
        }
        Ok(RobustnessCurve { operation: operation.name().to_owned(), unit: operation.unit().to_owned(), points })
    }

    /// Measures one level. Images that cannot be degraded are counted in `left_out`.
    fn point(
        &mut self,
        operation: Operation,
        level: f64,
        progress: &Progress,
    ) -> Result<Option<RobustnessPoint>, Error> {
        // The closure must not capture the detector, whose back end need not be `Sync`.
        let (images, seed) = (self.images, self.config.seed);
        let rows: Vec<usize> = images.rows().collect();
        let degraded = |index: usize| {
            let mut rng = stream(seed, "robustness", &[rows[index] as u64, level.to_bits()]);
            images.degraded(index, |image| operation.apply(image, level, &mut rng))
        };
        let judges_files = self.detector.branch_detector().is_some();
        // Native images of a whole batch would take too much memory.
        let batch_size = if judges_files { self.config.batch.min(MAX_PICTURES) } else { self.config.batch };
        let mut succeeded = Vec::with_capacity(images.len());
        let mut errors = Vec::new();
        let mut scores = Vec::new();
        let indices: Vec<usize> = (0..images.len()).collect();
        for batch in indices.chunks(batch_size) {
            let of_index = |&index: &usize| -> Result<Prepared, String> {
                let picture = degraded(index)?;
                if judges_files { Ok(Prepared::of_picture(picture)) } else { Ok(Prepared::of_pixels(picture)) }
            };
            let made: Vec<Result<Prepared, String>> = batch.par_iter().map(of_index).collect();
            succeeded.extend(made.iter().map(Result::is_ok));
            let (ready, failed): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
            errors.extend(failed.into_iter().filter_map(Result::err));
            scores.extend(self.start_scores(ready.into_iter().filter_map(Result::ok).collect())?);
            progress.add(batch.len() as u64);
        }
        scores.extend(self.detector.finish_scores()?);
        if let Some(error) = errors.first() {
            let key = format!("{} {level}", operation.name());
            let message = format!("{} of {} images could not be degraded: {error}", errors.len(), images.len());
            self.left_out.insert(key, message);
        }
        let degraded = succeeded.into_iter().enumerate().filter(|(_, succeeded)| *succeeded).map(|(image, _)| image);
        let margins: Vec<(usize, f64)> = degraded.zip(scores).map(|(image, score)| (image, score.margin())).collect();
        if margins.is_empty() { Ok(None) } else { self.score(operation, level, &margins).map(Some) }
    }

    /// Starts to score prepared images. Returns the scores that are ready at once. The others are those of
    /// [`Detector::finish_scores`].
    fn start_scores(&mut self, prepared: Vec<Prepared>) -> Result<Vec<Score>, Error> {
        let n = prepared.len();
        let mut pixels = Vec::new();
        let mut pictures = Vec::new();
        for image in prepared {
            match image {
                Prepared::Pixels(of_image) => pixels.extend_from_slice(&of_image),
                Prepared::Picture(picture) => pictures.push(*picture),
            }
        }
        if !pixels.is_empty() {
            // A GPU computes while the next batch is degraded.
            self.detector.start_scores(&pixels, n)?;
        }
        if pictures.is_empty() { Ok(Vec::new()) } else { self.detector.picture_scores(&pictures) }
    }

    /// Computes the metrics and flips of one level. `margins` holds the index and the margin of each degraded image.
    fn score(&mut self, operation: Operation, level: f64, margins: &[(usize, f64)]) -> Result<RobustnessPoint, Error> {
        let labels = margins.iter().map(|&(image, _)| self.clean[image].label).collect();
        let scored = ScoredImages { labels, margins: margins.iter().map(|&(_, margin)| margin).collect() };
        let (scores, intervals) = self.measure(&scored)?;
        let (mut flips_to_fake, mut flips_to_real) = (0, 0);
        for &(image, margin) in margins {
            let p_fake = OperatingPoint::HEADLINE.p_fake(margin);
            match (self.clean[image].predicted, p_fake >= OperatingPoint::HEADLINE.threshold) {
                (Label::Real, true) => flips_to_fake += 1,
                (Label::Fake, false) => flips_to_real += 1,
                _ => continue,
            }
            self.flips[image].push(Flip { operation: operation.name().to_owned(), level, p_fake });
        }
        let flipped = Proportion { hits: flips_to_fake + flips_to_real, n: margins.len() as u64 };
        Ok(RobustnessPoint {
            level,
            scores,
            intervals,
            flips_to_fake,
            flips_to_real,
            flipped: flipped.value(),
            flipped_interval: wilson(flipped),
        })
    }

    /// Returns the images whose predicted class flips at some level, those with the most flips first.
    fn flipped_images(&mut self) -> Vec<FlippingImage> {
        let mut flipped: Vec<FlippingImage> = self
            .clean
            .iter()
            .zip(std::mem::take(&mut self.flips))
            .filter(|(_, flips)| !flips.is_empty())
            .map(|(clean, flips)| FlippingImage {
                id: clean.id,
                path: clean.path.clone(),
                label: clean.label,
                generator: clean.generator.clone(),
                p_fake: clean.p_fake,
                predicted: clean.predicted,
                flips,
            })
            .collect();
        flipped.sort_by(|a, b| b.flips.len().cmp(&a.flips.len()).then_with(|| a.path.cmp(&b.path)));
        flipped
    }

    /// Computes all metrics with their intervals.
    fn measure(&self, scored: &ScoredImages) -> Result<(Scores, BTreeMap<String, Interval>), Error> {
        let scores_error = |source| Error::Scores { run: 0, source };
        let ranking = scored.ranking().map_err(scores_error)?;
        let resampling = Resampling { resamples: self.config.resamples, seed: self.config.seed };
        scores_with_intervals(scored, &ranking, resampling).map_err(scores_error)
    }
}
