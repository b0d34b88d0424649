//! All operations at all levels.

use std::collections::BTreeMap;

use artifacts::Label;
use artifacts::predictions::Prediction;
use artifacts::progress::Progress;
use artifacts::random::stream;
use artifacts::schema::{Flip, FlippingImage, Interval, Robustness, RobustnessCurve, RobustnessPoint, Scores};
use artifacts::shard::Shards;
use rayon::prelude::*;

use super::images::Images;
use super::{OPERATIONS, Operation};
use crate::Error;
use crate::bootstrap::{Plan, View, intervals};
use crate::calibration::Scale;
use crate::config::Config;
use crate::detector::Detector;
use crate::judge::{Scored, scores};
use crate::metrics::ratio;
use crate::predict::Preprocessing;
use crate::significance::wilson;

/// The version of `robustness.json`.
const SCHEMA_VERSION: u32 = 1;
/// The threshold that flips are counted at.
const HEADLINE: View = View { scale: Scale::AsJudged, threshold: 0.5 };

/// Judges the images again under every operation. `predictions` are those of the images as they are, one for each image of
/// the shards, by the same detector; `source` is what ingest was given.
///
/// # Errors
/// Those of the network.
pub(crate) fn sweep(
    detector: &mut Detector,
    preprocessing: &Preprocessing,
    shards: &Shards,
    predictions: &[Prediction],
    source: &str,
    config: &Config,
) -> Result<Robustness, Error> {
    let images = Images::choose(shards, config.robustness_images, source);
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
        schema_version: SCHEMA_VERSION,
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

    /// One level; nothing where an image cannot be degraded so, which is said under `left_out`.
    fn point(
        &mut self,
        operation: Operation,
        level: f64,
        progress: &Progress,
    ) -> Result<Option<RobustnessPoint>, Error> {
        let mut p_fake = Vec::with_capacity(self.before.len());
        // The network is no part of this: a back end need not be shared between threads.
        let (images, preprocessing, seed) = (self.images, self.preprocessing, self.config.seed);
        let stored = preprocessing.of_stored();
        let degraded = |row: usize| {
            let mut rng = stream(seed, "robustness", &[row as u64, level.to_bits()]);
            let (image, from_file) = images.load(row);
            let degraded = operation.apply(&image, level, &mut rng).map_err(|error| error.to_string())?;
            if from_file { preprocessing.square(&degraded) } else { stored.square(&degraded) }
        };
        for rows in images.rows().chunks(self.config.batch) {
            let pixels: Result<Vec<Vec<u8>>, String> = rows.par_iter().map(|&row| degraded(row)).collect();
            match pixels {
                Ok(pixels) => {
                    let scores = self.detector.scores(&pixels.concat(), rows.len())?;
                    p_fake.extend(scores.iter().map(|score| score.p_fake()));
                }
                Err(reason) => {
                    self.left_out.insert(format!("{} {level}", operation.name()), reason);
                    return Ok(None);
                }
            }
            progress.add(rows.len() as u64);
        }
        let labels = self.before.iter().map(|prediction| prediction.label).collect();
        let scored = Scored { labels, p_fake };
        let (scores, intervals) = self.measure(&scored)?;
        let (mut flips_to_fake, mut flips_to_real) = (0, 0);
        for (image, (before, &p_fake)) in self.before.iter().zip(&scored.p_fake).enumerate() {
            match (before.predicted, p_fake >= HEADLINE.threshold) {
                (Label::Real, true) => flips_to_fake += 1,
                (Label::Fake, false) => flips_to_real += 1,
                _ => continue,
            }
            self.flips[image].push(Flip { operation: operation.name().to_owned(), level, p_fake });
        }
        let (flips, n) = (flips_to_fake + flips_to_real, scored.labels.len() as u64);
        Ok(Some(RobustnessPoint {
            level,
            scores,
            intervals,
            flips_to_fake,
            flips_to_real,
            flipped: ratio(flips as f64, n as f64),
            flipped_interval: wilson(flips, n),
        }))
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
        let plan = Plan { resamples: self.config.resamples, seed: self.config.seed, views: vec![HEADLINE] };
        let intervals = intervals(&ranking, &plan).into_iter().next().unwrap_or_default();
        Ok((scores(scored, &ranking, HEADLINE).map_err(score)?, intervals))
    }
}
