//! A result of a batch on disk.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A line of `results.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The number of bytes of the file.
    pub(crate) bytes: u64,
    /// The time of modification, in nanoseconds since 1970.
    pub(crate) modified: u64,
    /// The line of `results.csv`.
    pub(crate) csv: String,
    /// The name of the thumbnail.
    pub(crate) thumbnail: Option<String>,
    /// The object that `predict --json` prints.
    pub(crate) row: Value,
}
