//! Compares the metrics of judged predictions with scikit-learn's.

use std::path::{Path, PathBuf};

use artifacts::schema::{METRICS, Metrics, ScoreKind, Scores};
use serde_json::Value;

use crate::support::judge_file;

fn golden_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/judge")
}

fn golden() -> Value {
    serde_json::from_slice(&std::fs::read(golden_dir().join("judge.json")).unwrap()).unwrap()
}

fn judged(name: &str) -> Metrics {
    judge_file(&golden_dir().join(format!("{name}.csv")), |_| {}).unwrap()
}

/// Compares every metric that the golden values have. Returns their number.
fn assert_scores(found: &Scores, expected: &Value, what: &str) -> usize {
    let mut compared = 0;
    for metric in METRICS {
        let Some(value) = expected.get(metric.key) else { continue };
        let (found, expected) = (metric.value(found).unwrap(), value.as_f64().unwrap());
        assert!((found - expected).abs() <= 1e-9, "{} of {what}: {found} instead of {expected}", metric.key);
        compared += 1;
    }
    compared
}

#[test]
fn metrics_equal_those_of_scikit_learn() {
    let golden = golden();
    for (name, kind, count) in [
        ("probabilities", ScoreKind::Probabilities, 15),
        ("logits", ScoreKind::Logits, 15),
        ("verdicts", ScoreKind::Verdicts, 7),
    ] {
        let metrics = judged(name);
        assert_eq!(metrics.judged.as_ref().unwrap().scores, kind);
        assert_eq!(assert_scores(&metrics.headline, &golden[name], name), count, "{name}");
        let generators = &metrics.runs[0].generators.groups;
        assert_eq!(generators.len(), 2);
        for group in generators {
            let expected = &golden[name]["generators"][&group.name];
            assert_eq!(assert_scores(&group.scores, expected, &group.name), count);
        }
        let confusion = serde_json::to_value(metrics.headline.confusion).unwrap();
        assert_eq!(confusion, golden[name]["confusion"]);
    }
}

#[test]
fn verdicts_have_no_metrics_of_scores() {
    let metrics = judged("verdicts");
    let headline = &metrics.headline;
    assert_eq!(
        (headline.roc_auc, headline.pr_auc, headline.brier, headline.risk_coverage_area),
        (None, None, None, None)
    );
    assert!(metrics.intervals.contains_key("accuracy") && !metrics.intervals.contains_key("roc_auc"));
    assert!(metrics.runs[0].roc.is_empty() && metrics.runs[0].reliability.is_empty());
    let why = metrics.why_undefined(artifacts::schema::Metric::by_key("roc_auc").unwrap()).unwrap();
    assert_eq!(why, "ROC-AUC is undefined: the file has verdicts and no scores");
}
