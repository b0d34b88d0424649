//! The scores that the stage prints at its end.

use artifacts::concerns::concerns;
use artifacts::schema::{Interval, Metric, Metrics};

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

/// Formats a part of a whole: "15.0%".
fn percent(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.1}%", 100.0 * part / whole) } else { "–".to_owned() }
}

fn interval(interval: &Interval) -> String {
    let [low, high] = [interval.low, interval.high].map(|end| format!("{end:.3}"));
    if low == high { " (the same in every resample)".to_owned() } else { format!(" ({low} to {high})") }
}
