//! Reading files of predictions: CSV, lines of JSON, parquet, and lists of file names and scores.

mod cell;
mod columns;
mod json_lines;
mod parquet_table;
mod row;
mod text_table;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use self::cell::Cell;
use self::columns::Columns;
use crate::Error;

pub use columns::ROLES;
pub use row::{Row, ScoreColumn};

/// The largest file of predictions. A row of text takes about 100 bytes, so this is enough for 20 million images.
const MAX_FILE_BYTES: u64 = 2 << 30;

/// Names of columns that the user gives to roles: `score` is in the column `out`.
pub type ColumnNames = std::collections::BTreeMap<String, String>;

/// Receives the rows of a table. `names` are the names of the columns, and the row is counted from 1.
type OnRow<'a> = dyn FnMut(&[String], u64, &[Cell]) -> Result<(), String> + 'a;

/// Reads the rows of a file of predictions. The kind of the file follows from its extension. `report_columns` are further
/// columns whose cells the rows keep.
///
/// # Errors
/// A file that cannot be read, that lacks a column, or that has a cell of the wrong kind.
pub fn read(path: &Path, names: &ColumnNames, report_columns: &[String]) -> Result<Vec<Row>, Error> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default();
    let length = std::fs::metadata(path).map_err(artifacts::Error::io("read", path))?.len();
    let fault = |line: Option<u64>, detail: String| Error::File { path: path.to_owned(), line, detail };
    if length > MAX_FILE_BYTES {
        return Err(fault(None, format!("it has {length} bytes, more than {MAX_FILE_BYTES}; split it into several")));
    }
    let mut rows: Vec<Row> = Vec::new();
    let mut columns: Option<Columns> = None;
    let mut at = None;
    let mut on_row = |found: &[String], line: u64, cells: &[Cell]| -> Result<(), String> {
        if columns.is_none() {
            columns = Some(Columns::find(found, names, report_columns)?);
        }
        at = Some(line);
        if let Some(columns) = &columns {
            rows.push(columns.row(line, cells)?);
        }
        at = None;
        Ok(())
    };
    let read = match extension.as_str() {
        "csv" | "tsv" | "txt" => text_table::read(path, &mut on_row),
        "jsonl" | "ndjson" => json_lines::read(path, &mut on_row),
        "parquet" => parquet_table::read(path, &mut on_row),
        _ => Err("unknown kind of file; predictions are a .csv, .tsv, .txt, .jsonl or .parquet".to_owned()),
    };
    read.map_err(|detail| fault(at, artifacts::text::visible(&detail)))?;
    if rows.is_empty() {
        return Err(fault(None, "it has no rows".to_owned()));
    }
    Ok(rows)
}

/// Reads the lines of a text that are not empty, without a byte order mark and without spaces around them.
fn for_each_line(path: &Path, mut on_line: impl FnMut(&str) -> Result<(), String>) -> Result<(), String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|e| e.to_string())?;
        let line = line.trim_start_matches('\u{feff}').trim();
        if !line.is_empty() {
            on_line(line)?;
        }
    }
    Ok(())
}
