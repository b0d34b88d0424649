//! A row of a file of predictions.

use std::collections::BTreeMap;

use artifacts::hash::Hash;
use artifacts::{Label, Split};

/// The kind of column that a score comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreColumn {
    /// Named as a probability: `p_fake`, `prob`.
    Probability,
    /// Named as a logit, or two logits.
    Logit,
    /// Named as a verdict.
    Verdict,
    /// Any other name: `score`, `pred`. The values tell what it is.
    Score,
}

/// The prediction of one detector for one image, as a file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The row in its file, counted from 1 without the header.
    pub line: u64,
    /// Path of the image, or another name of it.
    pub path: Option<String>,
    /// BLAKE3 of the image's file.
    pub hash: Option<Hash>,
    /// Score or verdict. NaN if the cell is empty.
    pub score: f64,
    /// The kind of column that the score comes from.
    pub column: ScoreColumn,
    /// Verdict beside the score.
    pub verdict: Option<Label>,
    /// True class.
    pub label: Option<Label>,
    /// Generator.
    pub generator: Option<String>,
    /// Split.
    pub split: Option<Split>,
    /// Name of the detector.
    pub model: Option<String>,
    /// Number of the training run.
    pub run: u32,
    /// The cells of the report columns, by column. Empty cells are left out.
    pub report_cells: BTreeMap<String, String>,
}

impl Row {
    /// The path or the hash, for messages.
    pub fn name(&self) -> String {
        match (&self.path, &self.hash) {
            (Some(path), _) => path.clone(),
            (None, Some(hash)) => hash.to_string(),
            (None, None) => format!("row {}", self.line),
        }
    }
}
