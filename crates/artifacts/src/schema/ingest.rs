//! `rejected.jsonl`, and the summary in ingest's manifest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hash::Hash;
use crate::{Label, Split};

/// A line of `rejected.jsonl`: a file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Path in the source.
    pub path: String,
    /// Kind of fault, one of a fixed set of words: "truncated", "duplicate", "conflicting_labels" …
    pub reason: String,
    /// Details for people.
    pub detail: String,
    /// BLAKE3 of the file; `None` if it could not be read.
    pub id: Option<Hash>,
}

/// The `summary` of ingest's manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IngestSummary {
    /// The source as configured, e.g. "kaggle:ayushmandatta1/deepdetect-2025"; the names of several: "photos + sdxl".
    pub source: String,
    /// The absolute path of the folder, zip archive or table that was read, or of the folder of a CSV list. `None` for
    /// simulated sets, and for tables that older versions ingested.
    #[serde(default)]
    pub files: Option<String>,
    /// `files` of each source, if the images come from several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files_of_parts: Vec<Option<String>>,
    /// Whether the images are simulated. Every text that names the data set must mention it.
    pub simulated: bool,
    /// Height and width of the stored images.
    pub size: [usize; 2],
    /// Number of files in the source.
    pub seen: u64,
    /// Number of rejected files.
    pub rejected: u64,
    /// Number of rejected files by reason.
    pub rejected_by_reason: BTreeMap<String, u64>,
    /// Counts of each split.
    pub splits: BTreeMap<Split, SplitSummary>,
    /// Images decoded and resized per second.
    pub images_per_second: f64,
    /// A digest of the paths and contents of all files of the source. `None` if an older version ingested them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Hash>,
}

/// Counts of one split.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitSummary {
    /// Number of images of each class.
    pub labels: BTreeMap<Label, u64>,
    /// Number of images of each generator; those without a generator are under "".
    pub generators: BTreeMap<String, u64>,
    /// Number of images of each file format; empty if `ingest.strip` removed it.
    pub formats: BTreeMap<String, u64>,
}
