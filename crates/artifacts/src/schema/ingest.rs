//! `rejected.jsonl`, and the summary in ingest's manifest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::hash::Hash;
use crate::text::count;
use crate::{Label, Split, names};

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

impl IngestSummary {
    /// Describes the fakes of the training split, if some of them are reconstructions of photographs (`ingest.align`). A
    /// sentence without its full stop.
    pub fn training_reconstructions(&self) -> Option<String> {
        let train = self.splits.get(&Split::Train)?;
        let fakes = train.labels.get(&Label::Fake).copied().unwrap_or_default();
        let is_reconstructed = |name: &&String| name.starts_with(names::RECONSTRUCTED);
        let reconstructed: u64 =
            train.generators.keys().filter(is_reconstructed).filter_map(|name| train.generators.get(name)).sum();
        match reconstructed {
            0 => None,
            _ if reconstructed < fakes => Some(format!(
                "{} of the {} fakes of training are reconstructions of its photographs",
                count(reconstructed),
                count(fakes)
            )),
            _ => Some(
                "the fakes of training are reconstructions of its photographs; none is an image of a generator"
                    .to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_fakes_of_training_are_reconstructions() {
        let described = |generators: &[(&str, u64)]| {
            let fakes = generators.iter().map(|(_, images)| images).sum();
            let mut train = SplitSummary::default();
            train.labels.insert(Label::Fake, fakes);
            train.generators.extend(generators.iter().map(|(name, images)| ((*name).to_owned(), *images)));
            train.generators.insert(String::new(), 9);
            let summary = IngestSummary {
                source: String::new(),
                files: None,
                files_of_parts: Vec::new(),
                simulated: false,
                size: [8, 8],
                seen: 0,
                rejected: 0,
                rejected_by_reason: BTreeMap::new(),
                splits: BTreeMap::from([(Split::Train, train)]),
                images_per_second: 1.0,
                content: None,
            };
            summary.training_reconstructions()
        };
        assert_eq!(described(&[("sdxl", 3)]), None);
        let some = described(&[("sdxl", 3), ("reconstructed-nearest", 2)]).unwrap();
        assert_eq!(some, "2 of the 5 fakes of training are reconstructions of its photographs");
        let all = described(&[("reconstructed-bilinear", 1), ("reconstructed-nearest", 2)]).unwrap();
        assert!(all.starts_with("the fakes of training are reconstructions"), "{all}");
    }
}
