//! A CSV file that lists images: `path,label[,split][,generator]`. Other columns are not used, except those that
//! `ingest.group_column` and `ingest.report_columns` name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use artifacts::Label;
use artifacts::hash::{Digest, Hash};
use artifacts::text::visible;

use crate::config::SourceConfig;
use crate::error::SourceError;
use crate::file_names::stamp;
use crate::name_map::NameMap;
use crate::rejection::{Rejection, label_advice};
use crate::source::{Entry, Source};
use crate::table::{ListedRows, table_and_row};

/// The largest number of bytes of the file in which the header is looked for.
const MAX_HEADER: u64 = 64 << 10;
const PATH: &str = "path";
const LABEL: &str = "label";
const SPLIT: &str = "split";
const GENERATOR: &str = "generator";

/// The images that a CSV file lists. Paths are absolute, or relative to the folder of the CSV file. Behind the path of a
/// parquet table stands the number of a row.
pub(crate) struct CsvList {
    folder: PathBuf,
    rows: Vec<ListedFile>,
    table_rows: ListedRows,
    max_file_bytes: u64,
    /// The columns that are not used.
    unused: Vec<String>,
}

struct ListedFile {
    /// The path as in the CSV file, but with `/` between its parts if no file has the written name.
    path: String,
    /// The index in [`CsvList::table_rows`], if it is a row of a table.
    table_row: Option<usize>,
    entry: Entry,
}

/// The positions of the columns.
struct Columns {
    path: usize,
    /// `None` if a label is set for all images.
    label: Option<usize>,
    split: Option<usize>,
    generator: Option<usize>,
    group: Option<usize>,
    /// The columns whose cells are kept, by name.
    kept: BTreeMap<String, usize>,
}

impl CsvList {
    pub(crate) fn open(path: &Path, config: &SourceConfig) -> Result<CsvList, SourceError> {
        let at = |line: u64, detail: String| SourceError::List { path: path.to_owned(), line, detail };
        let from_csv = |error: csv::Error| {
            let line = error.position().map_or(1, csv::Position::line);
            let detail = match error.kind() {
                csv::ErrorKind::Utf8 { .. } => {
                    "it is not UTF-8, but probably Latin-1 or Windows-1252; save the list as UTF-8".to_owned()
                }
                _ => visible(&error.to_string()),
            };
            at(line, detail)
        };
        let start = pixels::file::read_start(path, MAX_HEADER).map_err(|error| at(1, error.to_string()))?;
        let delimiter = delimiter(&start).map_err(|detail| at(1, detail))?;
        let mut reader = csv::ReaderBuilder::new();
        let mut reader = reader.trim(csv::Trim::All).delimiter(delimiter).from_path(path).map_err(from_csv)?;
        let headers = reader.headers().map_err(from_csv)?.clone();
        let columns = Columns::find(&headers, config).map_err(|detail| at(1, detail))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        let names = NameMap::new(config);
        let (mut rows, mut table_rows) = (Vec::new(), ListedRows::default());
        for record in reader.records() {
            let record = record.map_err(from_csv)?;
            let line = record.position().map_or(1, csv::Position::line);
            let path = with_slashes_if_missing(record[columns.path].to_owned(), &folder);
            let entry = columns.entry(&path, &record, config.label, &names).map_err(|detail| at(line, detail))?;
            let table_row = table_rows.find(&folder.join(&path)).map_err(|detail| at(line, visible(&detail)))?;
            rows.push(ListedFile { path, table_row, entry });
        }
        if rows.is_empty() {
            return Err(at(1, "the list has no rows".to_owned()));
        }
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        let unused = columns.unused(&headers);
        Ok(CsvList { folder, rows, table_rows, max_file_bytes: config.max_file_bytes(), unused })
    }

    fn path(&self, index: usize) -> PathBuf {
        self.folder.join(&self.rows[index].path)
    }

    /// Returns the length and modification time of the file or table of row `index`.
    fn stamp(&self, index: usize) -> Vec<u8> {
        let path = self.path(index);
        match self.rows[index].table_row.and_then(|_| table_and_row(&path)) {
            Some((table, _)) => stamp(table),
            None => stamp(&path),
        }
    }
}

/// Returns the character that separates the columns of the header: a comma, or else a semicolon, tab or bar, which
/// spreadsheet programs write in some languages.
fn delimiter(start: &[u8]) -> Result<u8, String> {
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") || start.contains(&0) {
        return Err("it is not UTF-8, but probably UTF-16; save the list as UTF-8".to_owned());
    }
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    // The reader skips empty lines, too.
    let lines = start.split(|byte| matches!(byte, b'\n' | b'\r'));
    let header = lines.map(<[u8]>::trim_ascii).find(|line| !line.is_empty()).unwrap_or_default();
    let count = |delimiter: u8| header.iter().filter(|byte| **byte == delimiter).count();
    Ok(if count(b',') > 0 { b',' } else { *b";\t|".iter().max_by_key(|byte| count(**byte)).unwrap_or(&b',') })
}

impl Columns {
    /// Finds the columns in the header.
    fn find(headers: &csv::StringRecord, config: &SourceConfig) -> Result<Columns, String> {
        let columns = "the first line must name the columns path,label and optionally split,generator";
        let position = |name: &str| headers.iter().position(|header| header == name);
        let required = |name: &str| {
            position(name).ok_or_else(|| {
                let found = visible(&headers.iter().collect::<Vec<_>>().join(","));
                format!("there is no column `{name}` (found: {found}); {columns}")
            })
        };
        let found = Columns {
            path: required(PATH)?,
            label: config.label.is_none().then(|| required(LABEL)).transpose()?,
            split: position(SPLIT),
            generator: position(GENERATOR),
            group: config.group_column.as_deref().and_then(position),
            kept: config.report_columns.iter().filter_map(|name| Some((name.clone(), position(name)?))).collect(),
        };
        let twice = found.used().find(|&at| headers.iter().filter(|header| *header == &headers[at]).count() > 1);
        match twice {
            Some(at) => Err(format!("the column `{}` occurs twice; {columns}", visible(&headers[at]))),
            None => Ok(found),
        }
    }

    /// The positions of the columns that are there.
    fn used(&self) -> impl Iterator<Item = usize> {
        let &Columns { path, label, split, generator, group, ref kept } = self;
        [Some(path), label, split, generator, group].into_iter().flatten().chain(kept.values().copied())
    }

    /// Returns the names of the columns that are not used.
    fn unused(&self, headers: &csv::StringRecord) -> Vec<String> {
        let unused = (0..headers.len()).filter(|at| !self.used().any(|used| used == *at));
        unused.map(|at| visible(&headers[at])).collect()
    }

    /// Returns the entry of a row. `set` is the label that is set for all images.
    fn entry(&self, path: &str, row: &csv::StringRecord, set: Option<Label>, names: &NameMap) -> Result<Entry, String> {
        let cell = |at: Option<usize>| at.map_or("", |at| &row[at]);
        let label = match set.or_else(|| names.cell_label(cell(self.label))) {
            Some(label) => label,
            None => {
                let cell = visible(cell(self.label));
                return Err(format!("unknown label `{cell}`; write real or fake, or {}", label_advice(&cell)));
            }
        };
        let split = match cell(self.split) {
            "" => None,
            cell => Some(names.split(cell).ok_or_else(|| {
                format!("unknown split `{}`; write train, val or test, or map it in [ingest.splits]", visible(cell))
            })?),
        };
        let generator = match (cell(self.generator), label) {
            ("", Label::Fake) => names.generator.as_deref().unwrap_or_default(),
            (cell, _) => cell,
        };
        let kept = self.kept.iter().map(|(name, at)| (name.clone(), visible(&row[*at])));
        Ok(Entry {
            path: visible(path),
            label: Ok(label),
            split,
            generator: visible(generator),
            columns: kept.filter(|(_, cell)| !cell.is_empty()).collect(),
            group: visible(cell(self.group)),
        })
    }
}

/// Replaces `\` in a path by `/` if there is no file with the written name, as in lists made on Windows.
fn with_slashes_if_missing(path: String, folder: &Path) -> String {
    if path.contains('\\') && !folder.join(&path).exists() { path.replace('\\', "/") } else { path }
}

impl Source for CsvList {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn entry(&self, index: usize) -> Entry {
        self.rows[index].entry.clone()
    }

    fn read(&self, index: usize) -> Result<Vec<u8>, Rejection> {
        match self.rows[index].table_row {
            Some(row) => self.table_rows.read(row, self.max_file_bytes),
            None => Ok(pixels::file::read(&self.path(index), self.max_file_bytes)?),
        }
    }

    fn root(&self) -> Option<&Path> {
        Some(&self.folder)
    }

    fn notice(&self) -> Option<String> {
        let columns = self.unused.join(", ");
        (!columns.is_empty()).then(|| format!("these columns of the list are not used: {columns}"))
    }

    fn fingerprint(&self) -> Result<Hash, SourceError> {
        let mut digest = Digest::default();
        for (index, row) in self.rows.iter().enumerate() {
            let Entry { path, label, split, generator, columns, group } = &row.entry;
            let mut cells = format!("{label:?} {split:?} {generator}");
            if !group.is_empty() {
                cells += &format!(" {group}");
            }
            for (name, cell) in columns {
                cells += &format!(" {name:?}: {cell:?}");
            }
            digest = digest.part(path, cells.as_bytes()).part("file", &self.stamp(index));
        }
        Ok(digest.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens a list with the content `bytes` in a folder with the file `a/1.jpg`.
    fn open(bytes: &[u8]) -> Result<Vec<Entry>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.csv");
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/1.jpg"), b"image").unwrap();
        std::fs::write(&path, bytes).unwrap();
        let list = CsvList::open(&path, &SourceConfig::default()).map_err(|error| error.to_string())?;
        assert!(list.read(0).is_ok(), "{:?}", list.read(0));
        Ok((0..list.len()).map(|index| list.entry(index)).collect())
    }

    #[test]
    fn reads_lists_of_other_programs() {
        let lists: [&[u8]; 6] = [
            b"path,label\na/1.jpg,real\n",
            b"\r\n\npath,label\na/1.jpg,real\n",
            b"\xef\xbb\xbfpath;label;split\r\na/1.jpg;real;\r\n",
            b"path\tlabel\na/1.jpg\treal\n",
            b"label|path\nreal|a/1.jpg\n",
            b"path,label\na\\1.jpg,real\n",
        ];
        for list in lists {
            let entries = open(list).unwrap();
            assert_eq!(entries.len(), 1);
            assert_eq!((entries[0].path.as_str(), &entries[0].label), ("a/1.jpg", &Ok(Label::Real)));
        }
    }

    #[test]
    fn checks_the_header_first() {
        for (list, text) in [
            (&b"file,label\n1.jpg,real\n"[..], "no column `path` (found: file,label)"),
            (b"path\n1.jpg\n", "no column `label`"),
            (b"1.jpg,real\n2.jpg,fake\n", "the first line must name the columns"),
            (b"path,label,path\n", "`path` occurs twice"),
            (b"", "no column `path`"),
        ] {
            let message = open(list).unwrap_err();
            assert!(message.contains("line 1:") && message.contains(text), "{message}");
        }
    }

    #[test]
    fn other_columns_are_not_used() {
        let entries = open(b"path,colour,label\na/1.jpg,red,real\n").unwrap();
        assert_eq!((entries[0].label.clone(), entries[0].group.as_str()), (Ok(Label::Real), ""));
    }

    #[test]
    fn names_encodings_that_are_not_read() {
        let utf16 = b"\xff\xfep\0a\0t\0h\0,\0l\0a\0b\0e\0l\0\n\0";
        for list in [&utf16[..], &utf16[2..]] {
            let message = open(list).unwrap_err();
            assert!(message.contains("line 1: it is not UTF-8, but probably UTF-16"), "{message}");
        }
        let message = open(b"path,label\na/1.jpg,real\nK\xe4se.jpg,real\n").unwrap_err();
        assert!(message.contains("line 3: it is not UTF-8, but probably Latin-1"), "{message}");
    }
}
