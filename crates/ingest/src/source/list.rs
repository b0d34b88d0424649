//! A CSV file that lists images: `path,label[,split][,generator]`.

use std::path::{Path, PathBuf};

use artifacts::Label;
use artifacts::hash::{Digest, Hash};
use artifacts::text::visible;
use pixels::Limits;
use serde::Deserialize;

use super::folder::stamp;
use super::vocabulary::Vocabulary;
use super::{Entry, Source, SourceError};
use crate::Config;
use crate::reject::Fault;

/// A list of images. Paths are relative to the list's own folder, or absolute.
pub(super) struct List {
    folder: PathBuf,
    rows: Vec<ListedRow>,
    limits: Limits,
}

struct ListedRow {
    path: String,
    entry: Entry,
}

/// One row as it stands in the file.
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

impl List {
    pub(super) fn open(path: &Path, config: &Config) -> Result<List, SourceError> {
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
        let words = Vocabulary::of(config);
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(from_csv)?;
            let line = record.position().map_or(1, csv::Position::line);
            let row: Row = record.deserialize(Some(&headers)).map_err(from_csv)?;
            rows.push(ListedRow { entry: entry(&row, &words).map_err(|detail| at(line, detail))?, path: row.path });
        }
        if rows.is_empty() {
            return Err(at(1, "no image is listed".to_owned()));
        }
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        // A list named without a folder lies in the one that the program was started in.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        Ok(List { folder, rows, limits: config.limits() })
    }

    fn path(&self, index: usize) -> PathBuf {
        self.folder.join(&self.rows[index].path)
    }
}

fn entry(row: &Row, words: &Vocabulary) -> Result<Entry, String> {
    let label = words.label_of_cell(&row.label).ok_or_else(|| {
        format!("the label `{}` is not known; write real or fake, or map it in [ingest.labels]", visible(&row.label))
    })?;
    let split = match row.split.as_str() {
        "" => None,
        cell => Some(words.split(cell).ok_or_else(|| {
            format!(
                "the split `{}` is not known; write train, val or test, or map it in [ingest.splits]",
                visible(cell)
            )
        })?),
    };
    let generator = match (row.generator.as_str(), label) {
        ("", Label::Fake) => words.generator.as_deref().unwrap_or_default(),
        (cell, _) => cell,
    };
    Ok(Entry { path: visible(&row.path), label: Ok(label), split, generator: visible(generator) })
}

impl Source for List {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn entry(&self, index: usize) -> Entry {
        self.rows[index].entry.clone()
    }

    fn read(&self, index: usize) -> Result<Vec<u8>, Fault> {
        Ok(pixels::file::read(&self.path(index), self.limits.max_file_bytes())?)
    }

    fn place(&self) -> Option<&Path> {
        Some(&self.folder)
    }

    fn fingerprint(&self) -> Result<Hash, SourceError> {
        let mut digest = Digest::default();
        for (index, row) in self.rows.iter().enumerate() {
            let Entry { path, label, split, generator } = &row.entry;
            let said = format!("{label:?} {split:?} {generator}");
            digest = digest.part(path, said.as_bytes()).part("file", &stamp(&self.path(index)));
        }
        Ok(digest.finish())
    }
}
