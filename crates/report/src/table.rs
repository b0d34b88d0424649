//! A table of values with named columns. The same table is written as CSV and shown in the page.

use artifacts::Label;
use artifacts::hash::Hash;
use artifacts::spreadsheet;

use crate::escape::visible;

/// A table of values with named columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    /// The names of the columns.
    pub(crate) columns: Vec<&'static str>,
    /// The rows, each as long as `columns`.
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// One value of a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// Text, possibly from a data set.
    Text(String),
    /// A number; an undefined one becomes an empty cell.
    Number(Option<f64>),
    /// A count.
    Count(u64),
}

impl Table {
    /// Creates a table without rows.
    pub(crate) fn new(columns: &[&'static str]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = Cell>) {
        let row: Vec<Cell> = row.into_iter().collect();
        debug_assert_eq!(row.len(), self.columns.len(), "a row for {:?}", self.columns);
        self.rows.push(row);
    }

    /// Returns the table as CSV with a header (RFC 4180).
    pub(crate) fn to_csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.columns)?;
        for row in &self.rows {
            writer.write_record(row.iter().map(Cell::to_csv))?;
        }
        writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
    }
}

impl Cell {
    /// Formats the value with all its digits. Escapes text that a spreadsheet would run as a formula. Numbers are not
    /// escaped, although a minus sign can start a formula, because they would become text.
    fn to_csv(&self) -> String {
        match self {
            Cell::Text(text) => spreadsheet::escape_formula(&visible(text)).into_owned(),
            Cell::Number(value) => value.filter(|v| v.is_finite()).map(|v| v.to_string()).unwrap_or_default(),
            Cell::Count(count) => count.to_string(),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl From<Label> for Cell {
    fn from(label: Label) -> Cell {
        Cell::Text(label.to_string())
    }
}

impl From<Hash> for Cell {
    fn from(hash: Hash) -> Cell {
        Cell::Text(hash.to_string())
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Cell {
        Cell::Number(Some(value))
    }
}

impl From<Option<f64>> for Cell {
    fn from(value: Option<f64>) -> Cell {
        Cell::Number(value)
    }
}

impl From<u64> for Cell {
    fn from(count: u64) -> Cell {
        Cell::Count(count)
    }
}

impl From<usize> for Cell {
    fn from(count: usize) -> Cell {
        Cell::Count(count as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_escapes_formulas_and_quotes_separators() {
        let mut table = Table::new(&["path", "p_fake", "n"]);
        table.push(["=HYPERLINK(\"http://x\")".into(), (-0.5).into(), 3_u64.into()]);
        table.push(["a,\"b\"\r\nc".into(), Some(f64::NAN).into(), 0_u64.into()]);
        let csv = String::from_utf8(table.to_csv().unwrap()).unwrap();
        assert_eq!(
            csv,
            "path,p_fake,n\n\"'=HYPERLINK(\"\"http://x\"\")\",-0.5,3\n\"a,\"\"b\"\"\u{fffd}\u{fffd}c\",,0\n"
        );
    }
}
