//! Predictions as text: CSV with a header, or a file name and a score on each line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use artifacts::Label;

use super::cell::Cell;
use super::columns::ROLES;
use super::{OnRow, for_each_line};

/// The names of the columns of a list without a header.
const LIST_COLUMNS: [&str; 2] = ["path", "score"];

/// Reads a file. The separator is the first of tab, comma and semicolon that is in the first line; without one, the
/// last space of a line separates the file name from the score.
pub(super) fn read(path: &Path, on_row: &mut OnRow<'_>) -> Result<(), String> {
    let first = first_line(path)?;
    match ['\t', ',', ';'].into_iter().find(|separator| first.contains(*separator)) {
        Some(separator) => read_separated(path, &first, separator, on_row),
        None => read_spaced(path, on_row),
    }
}

fn first_line(path: &Path) -> Result<String, String> {
    const MAX_BYTES: u64 = 1 << 16;
    let mut line = Vec::new();
    let file = File::open(path).map_err(|e| e.to_string())?;
    BufReader::new(file.take(MAX_BYTES)).read_until(b'\n', &mut line).map_err(|e| e.to_string())?;
    let line = String::from_utf8(line).map_err(|_| "it is not text in UTF-8".to_owned())?;
    Ok(line.trim_start_matches('\u{feff}').trim_end().to_owned())
}

fn read_separated(path: &Path, first: &str, separator: char, on_row: &mut OnRow<'_>) -> Result<(), String> {
    let cells: Vec<&str> = first.split(separator).map(|cell| cell.trim().trim_matches('"')).collect();
    let has_header = has_header(&cells);
    if !has_header && cells.len() != LIST_COLUMNS.len() {
        return Err(format!(
            "its first line is no header, and has {} values; write a header such as path,score,label",
            cells.len()
        ));
    }
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator as u8)
        .trim(csv::Trim::All)
        .has_headers(has_header)
        .from_path(path)
        .map_err(|e| e.to_string())?;
    let names: Vec<String> = match has_header {
        true => reader.headers().map_err(|e| e.to_string())?.iter().map(without_mark).collect(),
        false => LIST_COLUMNS.map(str::to_owned).to_vec(),
    };
    for (line, record) in (1..).zip(reader.records()) {
        let record = record.map_err(|e| e.to_string())?;
        let cells: Vec<Cell> = record.iter().map(|cell| Cell::Text(without_mark(cell))).collect();
        on_row(&names, line, &cells)?;
    }
    Ok(())
}

/// Removes the byte order mark that spreadsheets write at the start of a file.
fn without_mark(cell: &str) -> String {
    cell.trim_start_matches('\u{feff}').trim_matches('"').to_owned()
}

/// Whether a line is a header: it has the name of a column, or ends with neither a number nor a class.
fn has_header(cells: &[&str]) -> bool {
    let is_name = |cell: &&str| ROLES.iter().any(|(_, names)| names.iter().any(|name| name.eq_ignore_ascii_case(cell)));
    let last = cells.last().copied().unwrap_or_default();
    let is_value = last.parse::<f64>().is_ok() || Label::from_name(last).is_some();
    last.parse::<f64>().is_err() && (cells.iter().any(is_name) || !is_value)
}

/// Reads lines of a file name and a score, with spaces between them. File names may have spaces.
fn read_spaced(path: &Path, on_row: &mut OnRow<'_>) -> Result<(), String> {
    let names = LIST_COLUMNS.map(str::to_owned);
    let mut row = 0;
    for_each_line(path, |line| {
        row += 1;
        let (name, score) = line
            .rsplit_once(char::is_whitespace)
            .ok_or_else(|| format!("line {row} is not a file name and a score; write a header such as path,score"))?;
        // A header: `path score`.
        if row == 1 && has_header(&[name.trim(), score]) {
            row = 0;
            return Ok(());
        }
        on_row(&names, row, &[Cell::Text(name.trim().to_owned()), Cell::Text(score.to_owned())])
    })
}
