//! Ingest in parts, for sources that are too large for one machine.
//!
//! Each part hashes and converts some of the files of a source, without knowing the others ([`write_part`]). The merge
//! then does what needs all files, such as removing duplicates, making splits and auditing, with the stored results in
//! place of the files ([`ConvertedParts`]). Because both run the code of an undivided ingest, the shards are the same.
//!
//! A part has consecutive files of the source, because tables and archives are read fastest in their order. It converts
//! every labelled file, although the merge may leave some out: duplicates, and files beyond `ingest.limit`. It also makes
//! a pseudo-fake of every photograph, because only the merge knows the splits.

mod number;
mod read;
mod write;

use std::collections::BTreeMap;
use std::path::Path;

use artifacts::Error;
use artifacts::hash::Hash;
use artifacts::stage::{Output, Stage, Stale, config_changes, to_json};
use pixels::Warning;
use serde::{Deserialize, Serialize};
use sources::Rejection;

use crate::audit::Observation;
use crate::{Config, Ingest};

pub use number::PartNumber;
pub(crate) use read::{ConvertedParts, check_parts};
pub(crate) use write::write_part;

/// The list of the files of a part: JSON Lines of [`StoredFile`].
const FILES: &str = "files.jsonl";

/// The summary in the manifest of a part.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct PartSummary {
    #[serde(flatten)]
    number: PartNumber,
    /// The number of converted images.
    images: u64,
}

/// Returns why the part or the result in `folder` must be made again; `None` if it is up to date.
fn stale(folder: &Path, config: &Config, inputs: &BTreeMap<String, Hash>) -> Result<Option<Stale>, Error> {
    let changes = |old: &_, new: &_| config_changes::<Config>(old, new, Ingest::upgrade_config);
    Output { dir: folder.to_owned(), config: to_json(config) }.stale(inputs, Ingest::VERSION, changes)
}

/// What a part stores of one file.
#[derive(Serialize, Deserialize)]
struct StoredFile {
    /// Index in the source.
    index: u32,
    /// The content key, or the reason why the file cannot be read.
    key: Result<Hash, Rejection>,
    /// The image; `None` if the file has no label or cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<Result<StoredImage, StoredRejection>>,
    /// The pseudo-fake of a photograph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pseudo_fake: Option<Result<StoredImage, RejectedPseudoFake>>,
}

/// The reason why there is no pseudo-fake of a photograph.
#[derive(Clone, Serialize, Deserialize)]
struct RejectedPseudoFake {
    path: String,
    #[serde(flatten)]
    rejected: StoredRejection,
}

/// A converted image.
#[derive(Serialize, Deserialize)]
struct StoredImage {
    /// The row in the shards of the part.
    row: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    warning: Option<Warning>,
    observation: Observation,
}

/// The reason why a file cannot be converted.
#[derive(Clone, Serialize, Deserialize)]
struct StoredRejection {
    /// BLAKE3 of the file; `None` if it could not be read again.
    id: Option<Hash>,
    rejection: Rejection,
}
