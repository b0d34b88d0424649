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
    let percent = |share: Option<f64>| share.map_or("none".to_owned(), |share| format!("{:.1}%", 100.0 * share));
    lines.push(format!(
        "verdicts of predict: {} inconclusive; wrong among the others: {}",
        percent(band.share),
        percent(band.wrong)
    ));
    lines
}

fn interval(interval: &Interval) -> String {
    let [low, high] = [interval.low, interval.high].map(|end| format!("{end:.3}"));
    if low == high { " (the same in every resample)".to_owned() } else { format!(" ({low} to {high})") }
}
