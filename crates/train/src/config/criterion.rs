//! The choice of the best epoch.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The validation metric that chooses the best epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// The accuracy at threshold 0.5, as in the baseline.
    Accuracy,
    /// The ROC-AUC.
    RocAuc,
    /// The mean cross-entropy.
    Loss,
}

impl Criterion {
    /// The name for messages: "validation accuracy" …
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Criterion::Accuracy => "validation accuracy",
            Criterion::RocAuc => "validation ROC-AUC",
            Criterion::Loss => "validation loss",
        }
    }
}
