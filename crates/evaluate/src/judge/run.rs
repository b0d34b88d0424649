//! One training run's judgement, and what several have in common.

use std::collections::BTreeMap;

use artifacts::predictions::Prediction;
use artifacts::schema::{CurvePoint, Fitted, Moments, RunMetrics};

use super::scores::on_scale;
use super::width::mend;
use super::{Fit, Scored, bins, generators, scores, sources};
use crate::bootstrap::{Plan, View, intervals};
use crate::calibration::sigmoid;
use crate::metrics::{Error, Ranking, calibration_error_by_chance, pr_curve, roc_curve, thin};

/// Points of a curve that are kept for drawing.
const CURVE_POINTS: usize = 1000;

/// Sets of labels that are drawn to see how large a calibration error chance makes.
const CHANCES: u64 = 200;

/// How a run is judged.
#[derive(Clone, Copy, Debug)]
pub struct RunPlan {
    /// Which run, from 0.
    pub run: usize,
    /// Bootstrap resamples.
    pub resamples: u32,
    /// Seed of the bootstrap.
    pub seed: u64,
}

/// Everything that is said of one run's predictions, at threshold 0.5 and as fitted on validation.
///
/// # Errors
/// A logit that is not finite.
pub fn judge_run(predictions: &[Prediction], fit: Option<&Fit>, plan: RunPlan) -> Result<RunMetrics, Error> {
    let scored = Scored::of(predictions);
    let ranking = scored.ranking()?;
    let views: Vec<View> = std::iter::once(View::HEADLINE).chain(fit.map(Fit::view)).collect();
    let mut by_view = intervals(&ranking, &Plan { resamples: plan.resamples, seed: plan.seed, views }).into_iter();
    let headline = scores(&scored, &ranking, View::HEADLINE)?;
    let headline_intervals = mend(by_view.next().unwrap_or_default(), &headline);
    let fitted = fit
        .map(|fit| {
            let scores = scores(&scored, &ranking, fit.view())?;
            Ok(Fitted {
                fitted_on: fit.images as u64,
                temperature: fit.temperature.0,
                inconclusive: fit.inconclusive(&ranking),
                intervals: mend(by_view.next().unwrap_or_default(), &scores),
                calibration_error_by_chance: by_chance(&scored, fit.view(), plan),
                scores,
                reliability: bins(&scored, fit.view())?,
            })
        })
        .transpose()?;
    Ok(RunMetrics {
        run: plan.run,
        weights: None,
        scores: headline,
        intervals: headline_intervals,
        fitted,
        roc: roc(&ranking),
        pr: drawn(pr_curve(&ranking)),
        calibration_error_by_chance: by_chance(&scored, View::HEADLINE, plan),
        reliability: bins(&scored, View::HEADLINE)?,
        generators: generators(predictions, fit)?,
        sources: sources(predictions, fit)?,
    })
}

fn by_chance(scored: &Scored, view: View, plan: RunPlan) -> Option<f64> {
    calibration_error_by_chance(&on_scale(scored, view), CHANCES, plan.seed)
}

/// The ROC curve of a ranking of margins.
pub(crate) fn roc(ranking: &Ranking) -> Vec<CurvePoint> {
    drawn(roc_curve(ranking))
}

/// A curve in as many points as can be seen, its thresholds as P(fake).
fn drawn(curve: Vec<CurvePoint>) -> Vec<CurvePoint> {
    let mut points = thin(curve, CURVE_POINTS);
    points.iter_mut().for_each(|point| point.threshold = point.threshold.map(sigmoid));
    points
}

/// Mean and sample deviation of each score over the runs in which it is defined; nothing for a single run.
pub fn over_runs(runs: &[RunMetrics]) -> BTreeMap<String, Moments> {
    if runs.len() < 2 {
        return BTreeMap::new();
    }
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (name, value) in runs.iter().flat_map(|run| run.scores.named()) {
        values.entry(name).or_default().extend(value);
    }
    values
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| (name.to_owned(), moments(&values)))
        .collect()
}

fn moments(values: &[f64]) -> Moments {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Moments { mean, std: (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_a_sample() {
        let moments = moments(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!(moments.mean, 5.0);
        assert!((moments.std.unwrap() - (32.0_f64 / 7.0).sqrt()).abs() < 1e-15);
        assert_eq!(super::moments(&[1.0]).std, None);
    }
}
