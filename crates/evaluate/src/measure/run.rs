//! The metrics of one training run, and their mean over several.

use std::collections::BTreeMap;

use artifacts::predictions::Prediction;
use artifacts::schema::{CalibratedScores, CurvePoint, METRICS, Moments, RunMetrics};
use artifacts::statistics::{mean, sigmoid};

use super::intervals::fix_degenerate_intervals;
use super::{ScoredImages, ValidationFit, by_column, by_generator, by_source_folder, scores};
use crate::bootstrap::{Intervals, OperatingPoint, Resampling, intervals};
use crate::metrics::{
    ConfidenceOrder, Error, Ranking, calibration_error_by_chance, pr_curve, reliability, risk_coverage_curve,
    roc_curve, thin,
};

/// The largest number of points of a curve that are kept for drawing.
const CURVE_POINTS: usize = 1000;

/// The number of sets of labels that are drawn for the calibration error by chance.
const CHANCE_DRAWS: u64 = 200;

/// Options of [`measure_run`].
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    /// Number of the training run, from 0.
    pub run: usize,
    /// Parameters of the bootstrap. The labels of the calibration error by chance are drawn with the same seed.
    pub resampling: Resampling,
}

/// Computes all metrics of the predictions of one training run, at the headline's operating point and at the one that
/// was fitted on validation.
///
/// # Errors
/// A logit that is not finite.
pub fn measure_run(
    predictions: &[Prediction],
    fit: Option<&ValidationFit>,
    options: RunOptions,
) -> Result<RunMetrics, Error> {
    let images = ScoredImages::of(predictions);
    let ranking = images.ranking()?;
    let headline = OperatingPoint::HEADLINE;
    let points: Vec<OperatingPoint> =
        std::iter::once(headline).chain(fit.map(ValidationFit::operating_point)).collect();
    let Intervals { by_point, risk_coverage: risk_coverage_band } = intervals(&ranking, &points, options.resampling);
    let mut by_point = by_point.into_iter();
    let by_chance = |point| calibration_error_by_chance(&images.p_fake(point), CHANCE_DRAWS, options.resampling.seed);
    let reliability = |point| reliability(&images.labels, &images.p_fake(point));
    let headline_scores = scores(&images, &ranking, headline)?;
    let headline_intervals = fix_degenerate_intervals(by_point.next().unwrap_or_default(), &headline_scores);
    let fitted = fit
        .map(|fit| {
            let point = fit.operating_point();
            let scores = scores(&images, &ranking, point)?;
            Ok(CalibratedScores {
                fitted_on: fit.images as u64,
                temperature: fit.temperature.0,
                inconclusive: fit.inconclusive(&ranking),
                intervals: fix_degenerate_intervals(by_point.next().unwrap_or_default(), &scores),
                calibration_error_by_chance: by_chance(point),
                scores,
                reliability: reliability(point)?,
                validation: fit.ranges.clone(),
            })
        })
        .transpose()?;
    Ok(RunMetrics {
        run: options.run,
        weights: None,
        scores: headline_scores,
        intervals: headline_intervals,
        fitted,
        roc: roc_curve_for_drawing(&ranking),
        pr: for_drawing(pr_curve(&ranking)),
        risk_coverage: for_drawing(risk_coverage_curve(&ConfidenceOrder::of_margins(&ranking))),
        risk_coverage_band,
        calibration_error_by_chance: by_chance(headline),
        reliability: reliability(headline)?,
        generators: by_generator(predictions, fit)?,
        sources: by_source_folder(predictions, fit)?,
        columns: by_column(predictions, fit)?,
        ablation: Vec::new(),
    })
}

/// The ROC curve of a ranking of margins, thinned for drawing.
pub(crate) fn roc_curve_for_drawing(ranking: &Ranking) -> Vec<CurvePoint> {
    for_drawing(roc_curve(ranking))
}

/// Thins a curve, and turns its thresholds from margins into values of P(fake).
fn for_drawing(curve: Vec<CurvePoint>) -> Vec<CurvePoint> {
    let mut points = thin(curve, CURVE_POINTS);
    points.iter_mut().for_each(|point| point.threshold = point.threshold.map(sigmoid));
    points
}

/// Returns mean and sample standard deviation of each metric over the runs in which it is defined. Empty for a single
/// run.
pub fn over_runs(runs: &[RunMetrics]) -> BTreeMap<String, Moments> {
    if runs.len() < 2 {
        return BTreeMap::new();
    }
    let of_metric = METRICS.iter().map(|metric| {
        let values: Vec<f64> = runs.iter().filter_map(|run| metric.value(&run.scores)).collect();
        (metric.key.to_owned(), values)
    });
    of_metric.filter(|(_, values)| !values.is_empty()).map(|(key, values)| (key, moments(&values))).collect()
}

fn moments(values: &[f64]) -> Moments {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Moments { mean, std: (values.len() > 1).then(|| (squares / (values.len() as f64 - 1.0)).sqrt()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_deviation_is_of_a_sample() {
        let moments = moments(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!(moments.mean, 5.0);
        assert!((moments.std.unwrap() - (32.0_f64 / 7.0).sqrt()).abs() < 1e-15);
        assert_eq!(super::moments(&[1.0]).std, None);
    }
}
