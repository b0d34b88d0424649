//! The configuration of a source.

use std::collections::BTreeMap;

use artifacts::{Label, Split};
use pixels::Limits;
use serde::Deserialize;

use crate::source_list::{SourceList, SourcePart};

/// Which source to open, and how to read labels and splits from names.
///
/// The fields are keys of the section `[ingest]`, so that this type deserialises from the configuration in an ingest
/// manifest. Other keys are ignored.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct SourceConfig {
    /// The source, or several.
    pub source: SourceList,
    /// Labels by the name of a folder or cell. They take precedence over the built-in names. Case does not matter.
    pub labels: BTreeMap<String, Label>,
    /// The generator of all fakes, for sources whose folders are not named after generators.
    pub generator: Option<String>,
    /// The column of labels in parquet tables; `None` for a column with a well-known name.
    pub label_column: Option<String>,
    /// The column whose equal cells mark images that belong together, in CSV lists and tables.
    pub group_column: Option<String>,
    /// Columns of CSV lists and tables whose cells the entries keep.
    pub report_columns: Vec<String>,
    /// Splits by the name of a folder or cell. Case does not matter.
    pub splits: BTreeMap<String, Split>,
    /// The largest number of pixels of an image. It also bounds the number of bytes read from a file.
    pub max_pixels: u64,
    /// The label of all images, whatever the names of folders and cells are. Only one of several sources can have it.
    #[serde(skip)]
    pub label: Option<Label>,
}

impl Default for SourceConfig {
    fn default() -> Self {
        SourceConfig {
            source: SourceList::default(),
            labels: BTreeMap::new(),
            generator: None,
            label_column: None,
            group_column: None,
            report_columns: Vec::new(),
            splits: BTreeMap::new(),
            max_pixels: Limits::default().max_pixels,
            label: None,
        }
    }
}

impl SourceConfig {
    /// Returns the configuration of one of several sources.
    pub(crate) fn of_part(&self, part: &SourcePart) -> SourceConfig {
        let mut config = self.clone();
        config.source = part.source.clone().into();
        config.label = part.label;
        config.labels.extend(part.labels.clone());
        config.splits.extend(part.splits.clone());
        config.generator = part.generator.clone().or(config.generator);
        config.label_column = part.label_column.clone().or(config.label_column);
        config
    }

    /// The largest number of bytes read from a file.
    pub(crate) fn max_file_bytes(&self) -> u64 {
        Limits { max_pixels: self.max_pixels }.max_file_bytes()
    }
}
