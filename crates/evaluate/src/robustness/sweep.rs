//! All operations at all levels.

use std::collections::BTreeMap;
use std::path::Path;

use artifacts::Label;
use artifacts::predictions::Prediction;
use artifacts::progress::Progress;
use artifacts::random::stream;
use artifacts::schema::{
    Flip, FlippingImage, Interval, Proportion, Robustness, RobustnessCurve, RobustnessPoint, Scores,
};
use artifacts::shard::Shards;
use rayon::prelude::*;

use super::images::Images;
use super::{OPERATIONS, Operation};
use crate::Error;
use crate::bootstrap::View;
use crate::config::Config;
use crate::detector::Detector;
use crate::judge::{Scored, with_intervals};
use crate::predict::Preprocessing;
use crate::significance::wilson;

/// Judges the images again under every operation. `predictions` are those of the images as they are, one for each image of
/// the shards, by the same detector; `files` is the folder or the zip that ingest read.
///
/// # Errors
/// Those of the network.
pub(crate) fn sweep(
    detector: &mut Detector,
    preprocessing: &Preprocessing,
    shards: &Shards,
    predictions: &[Prediction],
    files: Option<&Path>,
    config: &Config,
) -> Result<Robustness, Error> {
    let images = Images::choose(shards, config.robustness_images, files);
    let mut run = Sweep {
        detector,
        preprocessing,
        before: images.rows().iter().map(|&row| &predictions[row]).collect(),
        images: &images,
        config,
        flips: vec![Vec::new(); images.rows().len()],
        left_out: BTreeMap::new(),
    };
    let untouched = run.measure(&Scored::of(run.before.iter().copied()))?;
    let levels: usize = OPERATIONS.iter().map(|operation| operation.levels().len()).sum();
    let progress = Progress::new("evaluate: robustness", "images", Some((levels * images.rows().len()) as u64));
    let mut curves = Vec::new();
    for operation in OPERATIONS {
        curves.push(run.curve(operation, &progress)?);
    }
    progress.finish();
    Ok(Robustness {
        schema_version: Robustness::SCHEMA_VERSION,
        images: images.rows().len() as u64,
        from_files: images.rows().par_iter().filter(|&&row| images.is_from_file(row)).count() as u64,
        untouched: untouched.0,
        intervals: untouched.1,
        curves,
        flips: run.flipping(),
        left_out: run.left_out,
    })
}

struct Sweep<'a> {
    detector: &'a mut Detector,
    preprocessing: &'a Preprocessing,
    images: &'a Images<'a>,
    /// The predictions of the images as they are.
    before: Vec<&'a Prediction>,
    config: &'a Config,
    /// Of each image, where its verdict is the other one.
    flips: Vec<Vec<Flip>>,
    left_out: BTreeMap<String, String>,
}

impl Sweep<'_> {
    fn curve(&mut self, operation: Operation, progress: &Progress) -> Result<RobustnessCurve, Error> {
        let mut points = Vec::new();
        for &level in operation.levels() {
            points.extend(self.point(operation, level, progress)?);
        }
        Ok(RobustnessCurve { operation: operation.name().to_owned(), unit: operation.unit().to_owned(), points })
    }

    /// One level. Images that cannot be degraded so are not judged, which is said under `left_out`.
    fn point(
        &mut self,
        operation: Operation,
        level: f64,
        progress: &Progress,
    ) -> Result<Option<RobustnessPoint>, Error> {
        // The network is no part of this: a back end need not be shared between threads.
        let (images, preprocessing, seed) = (self.images, self.preprocessing, self.config.seed);
        let stored = preprocessing.of_stored();
        let degraded = |row: usize| {
            let mut rng = stream(seed, "robustness", &[row as u64, level.to_bits()]);
            let (image, from_file) = images.load(row);
            let degraded = operation.apply(&image, level, &mut rng).map_err(|error| error.to_string())?;
            if from_file { preprocessing.square(&degraded) } else { stored.square(&degraded) }
        };
        let mut changed = Vec::with_capacity(self.before.len());
        let mut refused = Vec::new();
        for rows in images.rows().chunks(self.config.batch) {
            let made: Vec<Result<Vec<u8>, String>> = rows.par_iter().map(|&row| degraded(row)).collect();
            let pixels: Vec<&[u8]> = made.iter().flatten().map(Vec::as_slice).collect();
            if !pixels.is_empty() {
                // A card computes while the next images are changed.
                self.detector.start(&pixels.concat(), pixels.len())?;
            }
            changed.extend(made.iter().map(Result::is_ok));
            refused.extend(made.into_iter().filter_map(Result::err));
            progress.add(rows.len() as u64);
        }
        if let Some(reason) = refused.first() {
            let what = format!("{} {level}", operation.name());
            let count = format!("{} of {} images could not be changed so: {reason}", refused.len(), self.before.len());
            self.left_out.insert(what, count);
        }
        let images = changed.into_iter().enumerate().filter(|(_, changed)| *changed).map(|(image, _)| image);
        let judged: Vec<(usize, f64)> =
            images.zip(self.detector.finish()?).map(|(image, score)| (image, score.margin())).collect();
        if judged.is_empty() { Ok(None) } else { self.judge(operation, level, &judged).map(Some) }
    }

    /// What becomes of the verdicts, given the margins of those images that could be degraded.
    fn judge(&mut self, operation: Operation, level: f64, judged: &[(usize, f64)]) -> Result<RobustnessPoint, Error> {
        let labels = judged.iter().map(|&(image, _)| self.before[image].label).collect();
        let scored = Scored { labels, margins: judged.iter().map(|&(_, margin)| margin).collect() };
        let (scores, intervals) = self.measure(&scored)?;
        let (mut flips_to_fake, mut flips_to_real) = (0, 0);
        for &(image, margin) in judged {
            let p_fake = View::HEADLINE.scale.p_fake(margin);
            match (self.before[image].predicted, p_fake >= View::HEADLINE.threshold) {
                (Label::Real, true) => flips_to_fake += 1,
                (Label::Fake, false) => flips_to_real += 1,
                _ => continue,
            }
            self.flips[image].push(Flip { operation: operation.name().to_owned(), level, p_fake });
        }
        let flipped = Proportion { hits: flips_to_fake + flips_to_real, n: judged.len() as u64 };
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

    /// The images whose verdict flips somewhere, those with the most flips first.
    fn flipping(&mut self) -> Vec<FlippingImage> {
        let mut flipping: Vec<FlippingImage> = self
            .before
            .iter()
            .zip(std::mem::take(&mut self.flips))
            .filter(|(_, flips)| !flips.is_empty())
            .map(|(before, flips)| FlippingImage {
                id: before.id,
                path: before.path.clone(),
                label: before.label,
                generator: before.generator.clone(),
                p_fake: before.p_fake,
                predicted: before.predicted,
                flips,
            })
            .collect();
        flipping.sort_by(|a, b| b.flips.len().cmp(&a.flips.len()).then_with(|| a.path.cmp(&b.path)));
        flipping
    }

    fn measure(&self, scored: &Scored) -> Result<(Scores, BTreeMap<String, Interval>), Error> {
        let score = |source| Error::Scores { run: 0, source };
        let ranking = scored.ranking().map_err(score)?;
        with_intervals(scored, &ranking, self.config.resamples, self.config.seed).map_err(score)
    }
}
