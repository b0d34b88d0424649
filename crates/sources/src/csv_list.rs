//! A CSV file that lists images: `path,label[,split][,generator]`.

use std::path::{Path, PathBuf};

use artifacts::Label;
use artifacts::hash::{Digest, Hash};
use artifacts::text::visible;
use serde::Deserialize;

use crate::config::SourceConfig;
use crate::error::SourceError;
use crate::file_names::stamp;
use crate::name_map::NameMap;
use crate::rejection::Rejection;
use crate::source::{Entry, Source};

/// The images that a CSV file lists. Paths are absolute, or relative to the folder of the CSV file.
pub(crate) struct CsvList {
    folder: PathBuf,
    rows: Vec<ListedFile>,
    max_file_bytes: u64,
}

struct ListedFile {
    /// The path as written in the CSV file.
    path: String,
    entry: Entry,
}

/// A row of the CSV file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    path: String,
    label: String,
    #[serde(default)]
    split: String,
    #[serde(default)]
    generator: String,
}

impl CsvList {
    pub(crate) fn open(path: &Path, config: &SourceConfig) -> Result<CsvList, SourceError> {
        let at = |line: u64, detail: String| SourceError::List { path: path.to_owned(), line, detail };
        let from_csv = |error: csv::Error| {
            let line = error.position().map_or(1, csv::Position::line);
            at(
                line,
                format!("{}; the columns are path,label and optionally split,generator", visible(&error.to_string())),
            )
        };
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(from_csv)?;
        let headers = reader.headers().map_err(from_csv)?.clone();
        let names = NameMap::new(config);
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(from_csv)?;
            let line = record.position().map_or(1, csv::Position::line);
            let row: Row = record.deserialize(Some(&headers)).map_err(from_csv)?;
            rows.push(ListedFile { entry: entry(&row, &names).map_err(|detail| at(line, detail))?, path: row.path });
        }
        if rows.is_empty() {
            return Err(at(1, "the list has no rows".to_owned()));
        }
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        Ok(CsvList { folder, rows, max_file_bytes: config.max_file_bytes() })
    }

    fn path(&self, index: usize) -> PathBuf {
        self.folder.join(&self.rows[index].path)
    }
}

fn entry(row: &Row, names: &NameMap) -> Result<Entry, String> {
    let label = names.cell_label(&row.label).ok_or_else(|| {
        format!("unknown label `{}`; write real or fake, or map it in [ingest.labels]", visible(&row.label))
    })?;
    let split = match row.split.as_str() {
        "" => None,
        cell => Some(names.split(cell).ok_or_else(|| {
            format!("unknown split `{}`; write train, val or test, or map it in [ingest.splits]", visible(cell))
        })?),
    };
    let generator = match (row.generator.as_str(), label) {
        ("", Label::Fake) => names.generator.as_deref().unwrap_or_default(),
        (cell, _) => cell,
    };
    Ok(Entry { path: visible(&row.path), label: Ok(label), split, generator: visible(generator) })
}

impl Source for CsvList {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn entry(&self, index: usize) -> Entry {
        self.rows[index].entry.clone()
    }

    fn read(&self, index: usize) -> Result<Vec<u8>, Rejection> {
        Ok(pixels::file::read(&self.path(index), self.max_file_bytes)?)
    }

    fn root(&self) -> Option<&Path> {
        Some(&self.folder)
    }

    fn fingerprint(&self) -> Result<Hash, SourceError> {
        let mut digest = Digest::default();
        for (index, row) in self.rows.iter().enumerate() {
            let Entry { path, label, split, generator } = &row.entry;
            let cells = format!("{label:?} {split:?} {generator}");
            digest = digest.part(path, cells.as_bytes()).part("file", &stamp(&self.path(index)));
        }
        Ok(digest.finish())
    }
}
