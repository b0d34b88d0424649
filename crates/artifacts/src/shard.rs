//! Shards: parquet files of labelled, resized images.
//!
//! Any parquet reader can read them. The column `pixels` is uncompressed and plain-encoded with one row per page, so
//! that the page index gives the position of each image. Candling reads the metadata once, and then reads pixels from
//! the memory-mapped file in any order. A shuffled epoch needs no decoding and no copy.
//!
//! With `ingest.keep_files`, a shard also has the column `file`: the encoded file of each image, in the same form as
//! `pixels`. The schema version is then 2. A shard without that column has the schema version 1 and the same bytes as
//! before the column existed.
//!
//! With `ingest.report_columns`, a shard has a text column `column.NAME` for each of them. A reader that does not know
//! these columns ignores them.

mod open;
mod pages;
mod read;
mod write;

pub use read::{ShardSet, Shards};
pub use write::{DEFAULT_ROWS, ShardWriter};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hash::Hash;
use crate::{Label, Split, names};

/// Version of the schema of shards without image files, recorded in the metadata of each shard.
const SCHEMA_VERSION: u32 = 1;
/// Version of the schema of shards with image files.
const SCHEMA_VERSION_OF_FILES: u32 = 2;
/// Metadata key of the schema version.
const VERSION_KEY: &str = "candling.schema_version";
/// Metadata key of the height of the stored images.
const HEIGHT_KEY: &str = "candling.height";
/// Metadata key of the width of the stored images.
const WIDTH_KEY: &str = "candling.width";
/// Name of the pixel column.
const PIXELS: &str = "pixels";
/// Name of the column of image files.
const FILE: &str = "file";

/// The columns of one image besides its pixels. With `ingest.strip`, `width`, `height` and `file_bytes` are 0 and
/// `format` is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// BLAKE3 digest of the source file.
    pub id: Hash,
    /// Path of the file in its source.
    pub path: String,
    /// Its class.
    pub label: Label,
    /// Its split.
    pub split: Split,
    /// The generator; empty for photographs and if unknown.
    pub generator: String,
    /// Width of the source image in pixels.
    pub width: u32,
    /// Height of the source image in pixels.
    pub height: u32,
    /// Format of the source file, detected from its content: "jpeg", "png" …
    pub format: String,
    /// Length of the source file in bytes.
    pub file_bytes: u64,
    /// The cells of the columns that `ingest.report_columns` names, by column. Empty cells are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
}

impl Sample {
    /// Returns the path of the photograph that a pseudo-fake was made from (`ingest.align`). `None` for other images.
    pub fn photograph(&self) -> Option<&str> {
        let is_reconstructed = self.label == Label::Fake && self.generator.starts_with(names::RECONSTRUCTED);
        is_reconstructed.then(|| self.path.strip_suffix(self.generator.as_str())?.strip_suffix('#')).flatten()
    }
}
