//! Rows of tables that a list names: `data/test.parquet/17`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::columns::Columns;
use super::file::TableFile;
use super::images::TableImages;
use crate::config::SourceConfig;
use crate::file_names::is_table;
use crate::rejection::Rejection;

/// The tables of which a list names rows.
#[derive(Default)]
pub(crate) struct ListedRows {
    images: TableImages,
    /// The rows of each table, counted over all tables.
    tables: BTreeMap<PathBuf, Range<usize>>,
}

/// Splits the path of a row into the path of the table and the rest, which starts with the number of the row. `None` if
/// no folder of the path has the name of a table.
pub(crate) fn table_and_row(path: &Path) -> Option<(&Path, &Path)> {
    let table = path.ancestors().skip(1).find(|ancestor| is_table(ancestor))?;
    Some((table, path.strip_prefix(table).ok()?))
}

impl ListedRows {
    /// Returns the index of the row that a path names, counted over all tables. Opens its table if this is the first
    /// of its rows. `None` if the path is that of a file.
    ///
    /// # Errors
    /// The table cannot be read, or has no such row.
    pub(crate) fn find(&mut self, path: &Path) -> Result<Option<usize>, String> {
        let Some((table, rest)) = table_and_row(path) else { return Ok(None) };
        let rows = match self.tables.get(table) {
            Some(rows) => rows.clone(),
            // A folder can have the name of a table.
            None if table.is_dir() => return Ok(None),
            None => self.add(table)?,
        };
        let number = rest.iter().next().unwrap_or_default().to_string_lossy();
        let row = number.parse::<usize>().ok().and_then(|row| rows.clone().nth(row));
        let missing = || format!("`{}` has {} rows, but none with the number `{number}`", table.display(), rows.len());
        row.map(Some).ok_or_else(missing)
    }

    /// Opens a table and returns its rows.
    fn add(&mut self, table: &Path) -> Result<Range<usize>, String> {
        let failed = |detail: String| format!("cannot read the table `{}`: {detail}", table.display());
        let file = TableFile::open(table).map_err(|error| failed(error.to_string()))?;
        let columns = Columns::find(&file, &SourceConfig::default()).map_err(failed)?;
        let start = self.images.rows();
        self.images.add(file, columns);
        let rows = start..self.images.rows();
        self.tables.insert(table.to_owned(), rows.clone());
        Ok(rows)
    }

    /// Reads the image file of a row.
    ///
    /// # Errors
    /// The table is damaged, or the file is too long.
    pub(crate) fn read(&self, row: usize, max_file_bytes: u64) -> Result<Vec<u8>, Rejection> {
        self.images.read_bounded(row, max_file_bytes)
    }
}
