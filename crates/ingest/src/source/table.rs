//! Parquet tables with an image file in each row, as data sets on the Hugging Face hub are.
//!
//! One file or a folder of them. What a row says is in columns with the names that the field uses ([`columns`]); where there is
//! no column of labels or splits, the names of the files and of their folders speak, as they do above images.

mod columns;
mod windows;

use std::path::{Path, PathBuf};

use artifacts::Label;
use artifacts::hash::{Digest, Hash};
use artifacts::text::visible;
use pixels::Limits;
use walkdir::WalkDir;

use self::columns::{Cells, Columns};
use self::windows::Windows;
use super::folder::stamp;
use super::layout::{Layout, label_of_cell, split_of_cell};
use super::shared_file::SharedFile;
use super::{Entry, Source, SourceError};
use crate::Config;
use crate::reject::Fault;

/// A set of tables.
pub(super) struct Table {
    files: Vec<PathBuf>,
    entries: Vec<Entry>,
    windows: Windows,
    limits: Limits,
    /// Whether a class is known by a number alone.
    numbered: bool,
}

/// Whether a file's name is that of a table.
pub(super) fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
}

/// The tables in a folder and below.
pub(super) fn tables_in(root: &Path) -> Vec<PathBuf> {
    let entries = WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter().filter_map(Result::ok);
    entries.map(walkdir::DirEntry::into_path).filter(|path| is_table(path) && path.is_file()).collect()
}

impl Table {
    /// Opens `files`, which lie in `root`.
    pub(super) fn open(root: &Path, files: Vec<PathBuf>, config: &Config) -> Result<Table, SourceError> {
        let mut table = Table {
            files: Vec::new(),
            entries: Vec::new(),
            windows: Windows::default(),
            limits: config.limits(),
            numbered: false,
        };
        let names: Vec<String> = files.iter().map(|path| name_in(root, path)).collect();
        for (path, name) in files.iter().zip(&names) {
            let unusable = |detail: String| SourceError::Table { path: path.clone(), detail };
            let file = SharedFile::open(path).map_err(artifacts::Error::io("read", path))?;
            let columns = Columns::of(&file).map_err(unusable)?;
            let layout = match columns.has_labels() {
                true => None,
                false => Some(Layout::of(names.iter().map(String::as_str), root, config)?),
            };
            let cells = columns.read(&file).map_err(unusable)?;
            table.numbered |= columns.has_numbered_labels() && !config.labels.contains_key("0");
            for (row, cells) in cells.into_iter().enumerate() {
                table.entries.push(entry(name, row, cells, layout.as_ref(), config));
            }
            table.windows.add(file, columns);
        }
        if table.entries.is_empty() {
            return Err(SourceError::NoImages { path: root.to_owned(), skipped: files.len() });
        }
        table.files = files;
        Ok(table)
    }
}

/// A file's path below `root`, with `/` between its parts.
fn name_in(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    below.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn entry(file: &str, row: usize, cells: Cells, layout: Option<&Layout>, config: &Config) -> Entry {
    let of_file = layout.map(|layout| layout.entry(file));
    let label = match (&of_file, cells.label) {
        (Some(of_file), _) => of_file.label.clone(),
        (None, Some(cell)) => label_of_cell(&cell, config).ok_or_else(|| Fault::unknown_label(&visible(&cell))),
        (None, None) => Err(Fault::unknown_label("")),
    };
    // `data/validation-00000-of-00003.parquet`: a split is a cell, a folder, or the first word of the file's name.
    let mut words = file.split(['/', '-', '.']);
    let split = cells.split.and_then(|cell| split_of_cell(&cell, config));
    let split = split.or_else(|| words.find_map(|word| split_of_cell(word, config)));
    let generator = match (&label, cells.generator) {
        (Ok(Label::Fake), Some(cell)) => visible(&cell),
        (Ok(Label::Fake), None) => match of_file {
            Some(of_file) => of_file.generator,
            None => visible(config.generator.as_deref().unwrap_or_default()),
        },
        _ => String::new(),
    };
    let name = cells.name.map(|name| format!("/{name}")).unwrap_or_default();
    Entry { path: visible(&format!("{file}/{row}{name}")), label, split, generator }
}

impl Source for Table {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn entry(&self, index: usize) -> Entry {
        self.entries[index].clone()
    }

    fn read(&self, index: usize) -> Result<Vec<u8>, Fault> {
        let bytes = self.windows.read(index).map_err(|detail| Fault::unreadable(&detail))?;
        let most = self.limits.max_file_bytes();
        Ok(pixels::file::read_bounded(bytes.as_slice(), bytes.len() as u64, most)?)
    }

    fn place(&self) -> Option<&Path> {
        None
    }

    fn remark(&self) -> Option<String> {
        self.numbered.then(|| {
            "the labels are numbers without names: 0 is taken for real and 1 for fake; if that is wrong, say so with \
             --set ingest.labels.0=fake --set ingest.labels.1=real"
                .to_owned()
        })
    }

    fn fingerprint(&self) -> Result<Hash, SourceError> {
        let digest = Digest::default();
        Ok(self.files.iter().fold(digest, |digest, file| digest.part(&file.to_string_lossy(), &stamp(file))).finish())
    }
}
