//! Parquet tables with an image file in each row, as data sets on the Hugging Face hub are.
//!
//! One file or a folder of them. What a row says is in columns with the names that the field uses ([`columns`]); where there is
//! no column of labels or splits, the names of folders and of the files themselves speak, as folders do above images.

mod columns;
mod file;
mod windows;

use std::path::{Path, PathBuf};

use artifacts::hash::{Digest, Hash};
use artifacts::text::visible;
use artifacts::{Label, Split};
use pixels::Limits;
use walkdir::WalkDir;

use self::columns::{Cells, Columns};
use self::file::TableFile;
use self::windows::Windows;
use super::folder::{slashed, stamp};
use super::layout::Layout;
use super::vocabulary::Vocabulary;
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

/// Whether a file's name is that of a table; some systems leave others beside it, which begin with a dot.
pub(super) fn is_table(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
}

/// The tables in a folder and below.
pub(super) fn tables_in(root: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let mut tables = Vec::new();
    for entry in WalkDir::new(root).follow_links(true).sort_by_file_name() {
        let entry = entry.map_err(|error| artifacts::Error::io("read", root)(error.into()))?;
        if entry.file_type().is_file() && is_table(entry.path()) {
            tables.push(entry.into_path());
        }
    }
    Ok(tables)
}

impl Table {
    /// Opens `files`, which lie in `root`.
    pub(super) fn open(root: &Path, files: Vec<PathBuf>, config: &Config) -> Result<Table, SourceError> {
        let mut tables = Vec::new();
        for path in &files {
            let file = TableFile::open(path).map_err(artifacts::Error::io("read", path))?;
            let columns = Columns::of(&file).map_err(|detail| unusable(path, detail))?;
            tables.push((file, columns));
        }
        let names: Vec<String> = files.iter().map(|path| slashed(path.strip_prefix(root).unwrap_or(path))).collect();
        let layout = match files.iter().zip(&tables).find(|(_, (_, columns))| !columns.has_labels()) {
            None => None,
            Some((path, (_, columns))) => Some(layout(root, &names, config).ok_or_else(|| {
                unusable(path, format!("{}; nor does its own name or a folder's name a class", columns.no_labels()))
            })?),
        };
        let words = Vocabulary::of(config);
        let (mut entries, mut windows, mut numbered, mut named) = (Vec::new(), Windows::default(), None, None);
        for ((path, name), (file, columns)) in files.iter().zip(&names).zip(tables) {
            let of_file =
                layout.as_ref().filter(|_| !columns.has_labels()).map(|layout| layout.entry(&as_folder(name)));
            let split = split_of_name(name, &words);
            let mut by_number = false;
            for (row, cells) in columns.read(&file).map_err(|detail| unusable(path, detail))?.into_iter().enumerate() {
                by_number |= cells.label.as_deref().is_some_and(|cell| words.numbered_label(cell).is_some());
                entries
                    .push(entry(name, row, cells, (of_file.as_ref(), split), &words).map_err(|e| unusable(path, e))?);
            }
            if by_number {
                numbered.get_or_insert(path);
            } else if columns.has_class_names() {
                named.get_or_insert(path);
            }
            windows.add(file, columns);
        }
        if let (Some(numbered), Some(named)) = (numbered, named) {
            return Err(SourceError::Classes { numbered: numbered.clone(), named: named.clone() });
        }
        if entries.is_empty() {
            return Err(unusable(root, "it has no rows".to_owned()));
        }
        let numbered = numbered.is_some();
        Ok(Table { files, entries, windows, limits: config.limits(), numbered })
    }
}

fn unusable(path: &Path, detail: String) -> SourceError {
    SourceError::Table { path: path.to_owned(), detail: visible(&detail) }
}

/// A row of a table seen as a file in a folder of the table's name: `data/fake.parquet` says as much as `data/fake/` does.
fn as_folder(name: &str) -> String {
    let (folders, file) = name.rsplit_once('/').map_or(("", name), |(folders, file)| (folders, file));
    format!("{folders}/{}/row", file.rsplit_once('.').map_or(file, |(stem, _)| stem))
}

/// How the names of tables and of their folders are read; none where they say nothing of classes.
fn layout(root: &Path, names: &[String], config: &Config) -> Option<Layout> {
    let rows: Vec<String> = names.iter().map(|name| as_folder(name)).collect();
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    Layout::of(rows.iter().map(String::as_str), &root, config).ok()
}

/// The split that a folder's or the file's name says: `test/0.parquet`, `data/validation-00000-of-00003.parquet`,
/// `train_0.parquet`.
fn split_of_name(name: &str, words: &Vocabulary) -> Option<Split> {
    let said = |word: &str| words.split(word);
    let name = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let whole = name.split('/').find_map(said);
    let file = name.rsplit('/').next().unwrap_or_default();
    whole
        .or_else(|| file.split(|c: char| !c.is_alphanumeric()).find_map(said))
        .or_else(|| file.split(|c: char| !c.is_alphabetic()).find_map(said))
}

/// `of_file`: what the file's name says of rows without labels. `split`: the split that it says.
fn entry(
    file: &str,
    row: usize,
    cells: Cells,
    (of_file, split): (Option<&Entry>, Option<Split>),
    words: &Vocabulary,
) -> Result<Entry, String> {
    let label = match (of_file, &cells.label) {
        (Some(of_file), _) => of_file.label.clone(),
        (None, Some(cell)) => words.label_of_cell(cell).ok_or_else(|| Fault::unknown_label(Some(&visible(cell)))),
        (None, None) => Err(Fault::unknown_label(None)),
    };
    let split = match &cells.split {
        None => split,
        Some(cell) => Some(words.split(cell).ok_or_else(|| {
            format!("the split `{cell}` of row {row} is not known; map it in [ingest.splits] to train, val or test")
        })?),
    };
    let generator = match (&label, &cells.generator, of_file) {
        (Ok(Label::Fake), Some(cell), _) => visible(cell),
        (Ok(Label::Fake), None, Some(of_file)) => of_file.generator.clone(),
        (Ok(Label::Fake), None, None) => visible(words.generator.as_deref().unwrap_or_default()),
        _ => String::new(),
    };
    let name = cells.name.map(|name| format!("/{name}")).unwrap_or_default();
    Ok(Entry { path: visible(&format!("{file}/{row}{name}")), label, split, generator })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_read_from_the_names_of_folders_and_files() {
        let mut config = Config::default();
        config.splits.insert("train2017".to_owned(), Split::Train);
        for (name, split) in [
            ("data/train-00000-of-00002.parquet", Some(Split::Train)),
            ("validation.parquet", Some(Split::Val)),
            ("test_0.parquet", Some(Split::Test)),
            ("cifake test.parquet", Some(Split::Test)),
            ("test0.parquet", Some(Split::Test)),
            ("train/test-like.parquet", Some(Split::Train)),
            ("x-train2017.parquet", Some(Split::Train)),
            ("contest.parquet", None),
        ] {
            assert_eq!(split_of_name(name, &Vocabulary::of(&config)), split, "{name}");
        }
    }
}
