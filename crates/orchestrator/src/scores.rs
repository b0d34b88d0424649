//! The scores of an evaluation, as tables and lists of runs show them.

use serde::Serialize;
use serde_json::Value;

/// Scores with a 95% interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Scores {
    /// ROC-AUC.
    pub(crate) roc_auc: Option<f64>,
    /// The interval of ROC-AUC.
    pub(crate) roc_auc_interval: Option<[f64; 2]>,
    /// Accuracy at the threshold of the evaluation.
    pub(crate) accuracy: Option<f64>,
}

impl Scores {
    /// Takes the scores from `metrics.json`, or from a group in it. What is missing there is `None`.
    pub(crate) fn of(metrics: &Value) -> Scores {
        let interval = &metrics["intervals"]["roc_auc"];
        let bounds = interval["low"].as_f64().zip(interval["high"].as_f64());
        Scores {
            roc_auc: metrics["roc_auc"].as_f64(),
            roc_auc_interval: bounds.map(|(low, high)| [low, high]),
            accuracy: metrics["accuracy"].as_f64(),
        }
    }

    /// ROC-AUC with its interval, as `0.959 [0.945, 0.972]`.
    pub(crate) fn roc_auc_text(&self) -> String {
        let text = text(self.roc_auc);
        match self.roc_auc_interval {
            Some([low, high]) => format!("{text} [{low:.3}, {high:.3}]"),
            None => text,
        }
    }
}

/// A score with three decimals, or a dash.
pub(crate) fn text(score: Option<f64>) -> String {
    score.map_or_else(|| "–".to_owned(), |score| format!("{score:.3}"))
}
