//! The scores that the stage prints at its end.

use artifacts::concerns::concerns;
use artifacts::schema::{Interval, Metric, Metrics, Robustness};

/// Returns the lines: reasons why the scores say little, the scores at the threshold of 0.5, and the verdicts of
/// `predict`.
pub(crate) fn lines(metrics: &Metrics) -> Vec<String> {
    let mut lines: Vec<String> = concerns(metrics);
    let value = |key: &str| {
        let metric = Metric::by_key(key)?;
        let value = metric.value(&metrics.headline)?;
        Some(format!("{} {value:.3}{}", metric.name, metrics.intervals.get(key).map_or(String::new(), interval)))
    };
    let scores: Vec<String> = ["roc_auc", "accuracy"].into_iter().filter_map(value).collect();
    let simulated = if metrics.simulated { "simulated " } else { "" };
    let (images, split) = (metrics.headline.n, metrics.split);
    lines.push(format!("{} on {images} {simulated}images of the {split} split", scores.join(", ")));
    let Some(fitted) = metrics.runs.first().and_then(|run| run.fitted.as_ref()) else {
        lines.push("no calibration: there were no validation images to fit it on".to_owned());
        return lines;
    };
    let band = fitted.inconclusive;
    let inconclusive = (band.share.unwrap_or_default() * images as f64).round();
    let others = images as f64 - inconclusive;
    let wrong = (band.wrong.unwrap_or_default() * others).round();
    lines.push(format!(
        "verdicts of predict: {inconclusive} of {images} images ({}) are inconclusive; {wrong} of the other {others} ({}) \
         are wrong",
        percent(inconclusive, images as f64),
        percent(wrong, others)
    ));
    lines
}

/// Names the degradation after which ROC-AUC is lowest. Returns `None` if no degradation has a ROC-AUC.
pub(crate) fn robustness_line(robustness: &Robustness) -> Option<String> {
    let points = robustness.curves.iter().flat_map(|curve| curve.points.iter().map(move |point| (curve, point)));
    let scored = points.filter_map(|(curve, point)| Some((curve, point, point.scores.roc_auc?)));
    let (curve, point, roc_auc) = scored.min_by(|(_, _, a), (_, _, b)| a.total_cmp(b))?;
    let (operation, level) = (curve.operation.replace('_', " "), point.level);
    let around = point.intervals.get("roc_auc").map_or(String::new(), interval);
    let untouched = robustness.untouched.roc_auc.map_or(String::new(), |value| format!("; untouched {value:.3}"));
    Some(format!("robustness: ROC-AUC is lowest after {operation} {level}: {roc_auc:.3}{around}{untouched}"))
}

/// Formats a part of a whole: "15.0%".
fn percent(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.1}%", 100.0 * part / whole) } else { "–".to_owned() }
}

fn interval(interval: &Interval) -> String {
    let [low, high] = [interval.low, interval.high].map(|end| format!("{end:.3}"));
    if low == high { " (the same in every resample)".to_owned() } else { format!(" ({low} to {high})") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use artifacts::schema::{Confusion, RobustnessCurve, RobustnessPoint, Scores};

    use super::*;

    #[test]
    fn names_the_degradation_with_the_lowest_roc_auc() {
        let scores = |roc_auc| Scores::new(0.5, Confusion::default(), &[("roc_auc", roc_auc)]);
        let point = |level, roc_auc| RobustnessPoint {
            level,
            scores: scores(roc_auc),
            intervals: BTreeMap::from([("roc_auc".to_owned(), Interval { low: 0.5, high: 0.75 })]),
            flips_to_fake: 0,
            flips_to_real: 0,
            flipped: None,
            flipped_interval: None,
        };
        let curve =
            |operation: &str, points| RobustnessCurve { operation: operation.to_owned(), unit: String::new(), points };
        let mut robustness = Robustness {
            schema_version: Robustness::SCHEMA_VERSION,
            images: 8,
            from_files: 8,
            untouched: scores(Some(0.9)),
            intervals: BTreeMap::new(),
            curves: vec![
                curve("jpeg", vec![point(90.0, Some(0.88)), point(50.0, None)]),
                curve("social_media", vec![point(1.0, Some(0.625)), point(2.0, Some(0.7))]),
            ],
            left_out: BTreeMap::new(),
            flips: Vec::new(),
        };
        let line = robustness_line(&robustness).unwrap();
        assert_eq!(line, "robustness: ROC-AUC is lowest after social media 1: 0.625 (0.500 to 0.750); untouched 0.900");
        robustness.curves.clear();
        assert_eq!(robustness_line(&robustness), None);
    }
}
