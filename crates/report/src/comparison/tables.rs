//! CSV tables of a comparison.

use artifacts::schema::{Comparison, Metric};

use super::detector_names::{name, pair_names};
use crate::table::Table;

/// Returns the tables with the stems of their file names.
pub(super) fn all(comparison: &Comparison) -> [(&'static str, Table); 3] {
    [("scores", scores(comparison)), ("tests", tests(comparison)), ("disagreements", disagreements(comparison))]
}

fn scores(comparison: &Comparison) -> Table {
    let mut table = Table::new(&["detector", "run", "score", "value", "low", "high", "fitted"]);
    for (index, detector) in comparison.detectors.iter().enumerate() {
        for metric in Metric::listed() {
            let interval = detector.intervals.get(metric.key);
            table.push([
                name(comparison, index).into(),
                detector.run.into(),
                metric.key.into(),
                metric.informative_value(&detector.scores).into(),
                interval.map(|i| i.low).into(),
                interval.map(|i| i.high).into(),
                detector.fitted.as_ref().and_then(|scores| metric.informative_value(scores)).into(),
            ]);
        }
    }
    table
}

fn tests(comparison: &Comparison) -> Table {
    let mut table = Table::new(&[
        "first",
        "second",
        "roc_auc_difference",
        "roc_auc_low",
        "roc_auc_high",
        "delong_p",
        "delong_p_holm",
        "right_only_first",
        "right_only_second",
        "mcnemar_p",
        "mcnemar_p_holm",
    ]);
    for pair in &comparison.pairs {
        let [first, second] = pair_names(comparison, pair);
        let delong = pair.roc_auc;
        table.push([
            first.into(),
            second.into(),
            delong.map(|test| test.difference).into(),
            delong.map(|test| test.interval.low).into(),
            delong.map(|test| test.interval.high).into(),
            delong.and_then(|test| test.p).into(),
            delong.and_then(|test| test.p_holm).into(),
            pair.accuracy.only_first.into(),
            pair.accuracy.only_second.into(),
            pair.accuracy.p.into(),
            pair.accuracy.p_holm.into(),
        ]);
    }
    table
}

fn disagreements(comparison: &Comparison) -> Table {
    let mut table = Table::new(&["path", "truth", "generator", "detector", "p_fake", "id"]);
    for image in &comparison.disagreements {
        for (index, p_fake) in image.p_fake.iter().enumerate() {
            table.push([
                image.path.as_str().into(),
                image.label.into(),
                image.generator.as_str().into(),
                name(comparison, index).into(),
                (*p_fake).into(),
                image.id.into(),
            ]);
        }
    }
    table
}
