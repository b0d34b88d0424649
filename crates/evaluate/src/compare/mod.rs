//! Comparison of detectors on the same images, with paired tests.

mod disagreements;
mod error;
mod inputs;
mod paired_tests;
mod thumbnails;

pub use error::Error;
pub use inputs::{EvaluatedDetector, align, read};
pub use thumbnails::write_thumbnails;

use artifacts::schema::{Bootstrap, ComparedDetector, Comparison};

use self::disagreements::disagreements;
use self::paired_tests::{correct_p_values, pair};
use crate::bootstrap::{OperatingPoint, Resampling};
use crate::measure::{ScoredImages, roc_curve_for_drawing, scores, scores_with_intervals};
use crate::metrics::{self, Ranking};

/// The largest number of images with different verdicts that are listed.
const MAX_DISAGREEMENTS: usize = 200;

/// A detector with the labels, margins and ranking of the common images.
struct RankedDetector<'a> {
    detector: &'a EvaluatedDetector,
    images: ScoredImages,
    ranking: Ranking,
}

/// Compares all pairs of detectors, whose predictions must be aligned; see [`align`].
///
/// # Errors
/// Scores that are not finite.
pub fn compare(detectors: &[EvaluatedDetector], bootstrap: Bootstrap) -> Result<Comparison, Error> {
    let resampling = Resampling { resamples: bootstrap.resamples, seed: bootstrap.seed };
    let ranked = detectors.iter().map(RankedDetector::new).collect::<Result<Vec<_>, Error>>()?;
    let compared = ranked.iter().map(|ranked| ranked.summary(resampling)).collect::<Result<Vec<_>, Error>>()?;
    let mut pairs = Vec::new();
    for first in 0..ranked.len() {
        for second in first + 1..ranked.len() {
            pairs.push(pair(&ranked, first, second, resampling)?);
        }
    }
    correct_p_values(&mut pairs);
    let predictions: Vec<_> = detectors.iter().map(|detector| detector.predictions.as_slice()).collect();
    let mut disagreements = disagreements(&predictions);
    let disagreeing = disagreements.len() as u64;
    disagreements.truncate(MAX_DISAGREEMENTS);
    Ok(Comparison {
        schema_version: Comparison::SCHEMA_VERSION,
        images: detectors.first().map_or(0, |first| first.predictions.len() as u64),
        bootstrap,
        detectors: compared,
        pairs,
        disagreeing,
        disagreements,
    })
}

impl RankedDetector<'_> {
    fn new(detector: &EvaluatedDetector) -> Result<RankedDetector<'_>, Error> {
        let images = ScoredImages::of(&detector.predictions);
        let ranking = images.ranking().map_err(|source| Error::scores(detector, source))?;
        Ok(RankedDetector { detector, images, ranking })
    }

    /// Computes the metrics of the detector on the common images.
    fn summary(&self, resampling: Resampling) -> Result<ComparedDetector, Error> {
        let RankedDetector { detector, images, ranking } = self;
        let (mut headline, mut intervals) = scores_with_intervals(images, ranking, resampling).map_err(self.error())?;
        if detector.metrics.judged.is_some() {
            headline = headline.without(|metric| !detector.defines(metric));
            intervals.retain(|key, _| detector.defines_key(key));
        }
        let at = |point: OperatingPoint| scores(images, ranking, point).map_err(self.error());
        Ok(ComparedDetector {
            name: detector.name.clone(),
            run: detector.run.run,
            dataset: detector.metrics.dataset.clone(),
            checkpoint: detector.metrics.checkpoint.clone(),
            weights: detector.run.weights,
            left_out: detector.left_out as u64,
            simulated: detector.metrics.simulated,
            seen: detector.metrics.seen,
            judged: detector.metrics.judged.clone(),
            scores: headline,
            intervals,
            roc: if detector.defines_key("roc_auc") { roc_curve_for_drawing(ranking) } else { Vec::new() },
            fitted: detector.fitted_operating_point().map(at).transpose()?,
        })
    }

    fn error(&self) -> impl FnOnce(metrics::Error) -> Error + use<'_> {
        |source| Error::scores(self.detector, source)
    }
}
