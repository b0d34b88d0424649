//! `audit.json`: whether the class can be told from something that is no trace of generation.

use serde::{Deserialize, Serialize};

/// The verdict of the audit and what it rests on. Tables behind it may stand beside these fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// Whether a detector may be trained on the data without further ado.
    pub verdict: Verdict,
    /// What tells the classes apart, strongest first.
    pub shortcuts: Vec<Shortcut>,
}

/// The plain verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No shortcut was found.
    Pass,
    /// A model may score well without looking at the images.
    Warning,
}

/// One way to tell the classes apart without looking for traces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shortcut {
    /// What was looked at: "format", "file size" …
    pub feature: String,
    /// How well it alone tells the classes apart, cross-validated; null where that is not defined.
    pub roc_auc: Option<f64>,
    /// What is the matter, for people.
    pub explanation: String,
}
