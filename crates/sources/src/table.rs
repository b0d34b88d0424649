//! Parquet tables with an image file in each row, such as the data sets of the Hugging Face hub.
//!
//! A source is one table or a folder of tables. Labels, splits and generators are in columns with well-known names
//! ([`columns`]). Without a column of labels or splits, they are taken from the names of the tables and their folders.

mod columns;
mod file;
mod images;
mod listed_rows;
mod parts;

use std::path::{Path, PathBuf};

use artifacts::hash::{Digest, Hash};
use artifacts::text::visible;
use artifacts::{Label, Split};
use walkdir::WalkDir;

use self::columns::{Cells, Columns};
use self::file::TableFile;
use self::images::TableImages;
pub(crate) use self::listed_rows::{ListedRows, table_and_row};
use crate::config::SourceConfig;
use crate::error::SourceError;
use crate::file_names::{is_table, stamp, with_slashes};
use crate::folder_labels::FolderLabels;
use crate::name_map::{NameMap, is_only_filler};
use crate::rejection::Rejection;
use crate::source::{Entry, Source};

/// The rows of one or more tables, one table after another.
pub(crate) struct Tables {
    root: PathBuf,
    files: Vec<PathBuf>,
    entries: Vec<Entry>,
    images: TableImages,
    max_file_bytes: u64,
    /// Whether any label is a number without a name.
    has_numbered_labels: bool,
}

/// Lists the tables in a folder and its subfolders.
pub(crate) fn tables_in(root: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let mut tables = Vec::new();
    for entry in WalkDir::new(root).follow_links(true).sort_by_file_name() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => match error.path() {
                // A broken or circular link does not matter unless it is a table.
                Some(path) if path.is_symlink() && !is_table(path) => continue,
                Some(path) if path.is_symlink() => {
                    let detail = "it is a link to a file that is not there".to_owned();
                    return Err(unusable(path, detail));
                }
                _ => return Err(artifacts::Error::io("read", root)(error.into()).into()),
            },
        };
        if entry.file_type().is_file() && is_table(entry.path()) {
            tables.push(entry.into_path());
        }
    }
    Ok(tables)
}

impl Tables {
    /// Opens the tables `files`. `root` is the folder that contains them, or the path of the single table.
    pub(crate) fn open(root: &Path, files: Vec<PathBuf>, config: &SourceConfig) -> Result<Tables, SourceError> {
        let folder = if root.is_dir() { root } else { root.parent().unwrap_or(Path::new("")) };
        if files.len() > 1 || root.is_dir() {
            parts::check(&files)?;
        }
        let mut tables = Vec::new();
        for path in &files {
            let file = TableFile::open(path).map_err(artifacts::Error::io("read", path))?;
            let columns = Columns::find(&file, config).map_err(|detail| unusable(path, detail))?;
            tables.push((file, columns));
        }
        let names: Vec<String> =
            files.iter().map(|path| with_slashes(path.strip_prefix(folder).unwrap_or(path))).collect();
        let folder_labels = match files.iter().zip(&tables).find(|(_, (_, columns))| !columns.has_labels()) {
            None => None,
            Some((path, (_, columns))) => Some(folder_labels(folder, &names, config).ok_or_else(|| {
                unusable(
                    path,
                    format!("{}, and neither its own name nor a folder names a class", columns.no_labels_message()),
                )
            })?),
        };
        let name_map = NameMap::new(config);
        let (mut entries, mut images, mut numbered, mut named) = (Vec::new(), TableImages::default(), None, None);
        for ((path, name), (file, columns)) in files.iter().zip(&names).zip(tables) {
            let by_name = folder_labels.as_ref().filter(|_| !columns.has_labels());
            let by_name = by_name.map(|labels| labels.entry(&as_row_path(name)));
            let split = split_of_name(name, &name_map);
            let mut by_number = false;
            for (row, cells) in columns.read(&file).map_err(|detail| unusable(path, detail))?.into_iter().enumerate() {
                by_number |= cells.label.as_deref().is_some_and(|cell| name_map.numbered_label(cell).is_some());
                let entry = entry(name, row, cells, (by_name.as_ref(), split), &name_map);
                entries.push(entry.map_err(|detail| unusable(path, detail))?);
            }
            if by_number {
                numbered.get_or_insert(path);
            } else if columns.has_class_names() {
                named.get_or_insert(path);
            }
            images.add(file, columns);
        }
        if let (Some(numbered), Some(named)) = (numbered, named) {
            return Err(SourceError::MixedClassNumbers { numbered: numbered.clone(), named: named.clone() });
        }
        if entries.is_empty() {
            return Err(unusable(root, "it has no rows".to_owned()));
        }
        let has_numbered_labels = numbered.is_some();
        let (root, max_file_bytes) = (root.to_owned(), config.max_file_bytes());
        Ok(Tables { root, files, entries, images, max_file_bytes, has_numbered_labels })
    }
}

fn unusable(path: &Path, detail: String) -> SourceError {
    SourceError::Table { path: path.to_owned(), detail: visible(&detail) }
}

/// Returns the path of a row as if the table were a folder of files, so that `data/fake.parquet` is labelled like
/// `data/fake/`, and so are `data/fake-00000-of-00003.parquet` and `data/fake/0000.parquet`.
fn as_row_path(name: &str) -> String {
    let (folders, file) = name.rsplit_once('/').map_or(("", name), |(folders, file)| (folders, file));
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let stem = parts::Part::of(stem).map_or(stem, |part| part.stem);
    // Such a name is not that of a generator.
    if is_only_filler(stem) { format!("{folders}/row") } else { format!("{folders}/{stem}/row") }
}

/// Returns the labels of tables by their names and folders. `None` if no name is a label.
fn folder_labels(folder: &Path, names: &[String], config: &SourceConfig) -> Option<FolderLabels> {
    let rows: Vec<String> = names.iter().map(|name| as_row_path(name)).collect();
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    FolderLabels::new(rows.iter().map(String::as_str), &folder, config).ok()
}

/// Returns the split named by a folder or by the table itself: `test/0.parquet`,
/// `data/validation-00000-of-00003.parquet`, `train_0.parquet`.
fn split_of_name(name: &str, names: &NameMap) -> Option<Split> {
    let split = |part: &str| names.split(part);
    let name = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let whole = name.split('/').find_map(split);
    let file = name.rsplit('/').next().unwrap_or_default();
    whole
        .or_else(|| file.split(|c: char| !c.is_alphanumeric()).find_map(split))
        .or_else(|| file.split(|c: char| !c.is_alphabetic()).find_map(split))
}

/// Returns the entry of a row. `by_name` is the entry from the table's name, if the table has no labels; `split` is the
/// split in the table's name.
fn entry(
    file: &str,
    row: usize,
    cells: Cells,
    (by_name, split): (Option<&Entry>, Option<Split>),
    names: &NameMap,
) -> Result<Entry, String> {
    let label = match (by_name, &cells.label) {
        (Some(by_name), _) => by_name.label.clone(),
        (None, Some(cell)) => names.cell_label(cell).ok_or_else(|| Rejection::no_cell_label(Some(&visible(cell)))),
        (None, None) => Err(Rejection::no_cell_label(None)),
    };
    let split = match &cells.split {
        None => split,
        Some(cell) => Some(names.split(cell).ok_or_else(|| {
            format!("unknown split `{cell}` in row {row}; map it in [ingest.splits] to train, val or test")
        })?),
    };
    let generator = match (&label, &cells.generator, by_name) {
        (Ok(Label::Fake), Some(cell), _) => visible(cell),
        (Ok(Label::Fake), None, Some(by_name)) => by_name.generator.clone(),
        (Ok(Label::Fake), None, None) => visible(names.generator.as_deref().unwrap_or_default()),
        _ => String::new(),
    };
    let name = cells.name.map(|name| format!("/{name}")).unwrap_or_default();
    Ok(Entry {
        path: visible(&format!("{file}/{row}{name}")),
        label,
        split,
        generator,
        columns: cells.kept.into_iter().map(|(name, cell)| (name, visible(&cell))).collect(),
        group: visible(&cells.group.unwrap_or_default()),
    })
}

impl Source for Tables {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn entry(&self, index: usize) -> Entry {
        self.entries[index].clone()
    }

    fn read(&self, index: usize) -> Result<Vec<u8>, Rejection> {
        self.images.read_bounded(index, self.max_file_bytes)
    }

    fn root(&self) -> Option<&Path> {
        Some(&self.root)
    }

    fn notice(&self) -> Option<String> {
        self.has_numbered_labels.then(|| {
            "the labels are numbers without names; 0 is read as real and 1 as fake. To swap them, use \
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
    fn labels_parts_by_the_name_of_the_whole_table() {
        for (name, path) in [
            ("fake.parquet", "/fake/row"),
            ("data/fake-00000-of-00003.parquet", "data/fake/row"),
            ("fake/sdxl-00001-of-00003-0a1b2c.parquet", "fake/sdxl/row"),
            ("fake/0001.parquet", "fake/row"),
            ("fake/data-00000-of-00001.parquet", "fake/row"),
        ] {
            assert_eq!(as_row_path(name), path);
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_the_table_that_is_a_broken_link() {
        let dir = tempfile::tempdir().unwrap();
        let link = |name: &str| std::os::unix::fs::symlink("gone", dir.path().join(name)).unwrap();
        link("readme.md");
        std::fs::write(dir.path().join("a.parquet"), b"").unwrap();
        assert_eq!(tables_in(dir.path()).unwrap(), [dir.path().join("a.parquet")]);
        link("b.parquet");
        let message = tables_in(dir.path()).unwrap_err().to_string();
        assert!(message.contains("b.parquet") && message.contains("link"), "{message}");
    }

    #[test]
    fn reads_splits_from_names_of_folders_and_tables() {
        let mut config = SourceConfig::default();
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
            assert_eq!(split_of_name(name, &NameMap::new(&config)), split, "{name}");
        }
    }
}
