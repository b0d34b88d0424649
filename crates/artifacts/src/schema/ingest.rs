//! What ingest says of its data: `rejected.jsonl` and the summary in its manifest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hash::Hash;
use crate::{Label, Split};

/// One line of `rejected.jsonl`: a file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Where the source has it.
    pub path: String,
    /// The kind of fault, a short stable word: "truncated", "duplicate", "conflicting_labels" …
    pub reason: String,
    /// What exactly, for people.
    pub detail: String,
    /// BLAKE3 of the file, where it could be read.
    pub id: Option<Hash>,
}

/// The `summary` of ingest's manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IngestSummary {
    /// The source as configured, e.g. "kaggle:ayushmandatta1/deepdetect-2025".
    pub source: String,
    /// The absolute path of the folder, zip archive or table that was read, or of the folder of a CSV list. None for simulated
    /// sets, and for tables that older versions ingested.
    #[serde(default)]
    pub files: Option<String>,
    /// Whether the images were made by the simulation; shown wherever the data set is named.
    pub simulated: bool,
    /// Height and width of the stored pixels.
    pub size: [usize; 2],
    /// Files seen in the source.
    pub seen: u64,
    /// Files that could not be used.
    pub rejected: u64,
    /// Number of rejected files by reason.
    pub rejected_by_reason: BTreeMap<String, u64>,
    /// Counts of each split.
    pub splits: BTreeMap<Split, SplitSummary>,
    /// Images that were decoded and resized a second.
    pub images_per_second: f64,
}

/// Counts of one split.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitSummary {
    /// Samples by class.
    pub labels: BTreeMap<Label, u64>,
    /// Samples by generator; real images of no generator are under "".
    pub generators: BTreeMap<String, u64>,
    /// Samples by file format; empty where ingest was told to strip it.
    pub formats: BTreeMap<String, u64>,
}
