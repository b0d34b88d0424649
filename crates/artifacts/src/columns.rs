//! Typed access to the columns of a table by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::datatypes::ArrowPrimitiveType;

use crate::Label;
use crate::hash::Hash;

/// Prefix of the columns that `ingest.report_columns` names: `column.camera`.
const REPORT_COLUMN: &str = "column.";

/// The columns of a record batch. Errors name the column.
pub(crate) struct Columns<'a>(&'a RecordBatch);

impl<'a> Columns<'a> {
    /// Wraps a record batch.
    pub(crate) fn of(batch: &'a RecordBatch) -> Columns<'a> {
        Columns(batch)
    }

    /// Returns a text column without nulls.
    pub(crate) fn text(&self, name: &str) -> Result<&'a StringArray, String> {
        without_nulls(name, self.find(name)?)?.as_string_opt().ok_or_else(|| wrong_type(name))
    }

    /// Returns a number column without nulls.
    pub(crate) fn numbers<T: ArrowPrimitiveType>(&self, name: &str) -> Result<&'a PrimitiveArray<T>, String> {
        without_nulls(name, self.find(name)?)?.as_primitive_opt().ok_or_else(|| wrong_type(name))
    }

    /// Returns a number column that may have nulls. Returns `None` if the table has no such column, as tables of
    /// earlier versions.
    pub(crate) fn optional_numbers<T: ArrowPrimitiveType>(
        &self,
        name: &str,
    ) -> Result<Option<&'a PrimitiveArray<T>>, String> {
        let column = self.0.column_by_name(name);
        column.map(|column| column.as_primitive_opt().ok_or_else(|| wrong_type(name))).transpose()
    }

    /// Returns the columns that `ingest.report_columns` named, by their names there.
    pub(crate) fn report_columns(&self) -> Result<Vec<(String, &'a StringArray)>, String> {
        let schema = self.0.schema();
        let names = schema.fields().iter().map(|field| field.name());
        let column = |name: &String| Some((name.strip_prefix(REPORT_COLUMN)?.to_owned(), name.clone()));
        names.filter_map(column).map(|(rest, name)| Ok((rest, self.text(&name)?))).collect()
    }

    fn find(&self, name: &str) -> Result<&'a dyn Array, String> {
        self.0.column_by_name(name).map(AsRef::as_ref).ok_or_else(|| format!("it has no column `{name}`"))
    }
}

/// Makes the column of a table for the column `name` of `ingest.report_columns`. `rows` has the cells of each row by
/// column; a missing cell is empty.
pub(crate) fn report_column<'a>(
    name: &str,
    rows: impl Iterator<Item = &'a BTreeMap<String, String>>,
) -> (String, ArrayRef) {
    let cells = rows.map(|cells| cells.get(name).map_or("", String::as_str));
    (format!("{REPORT_COLUMN}{name}"), Arc::new(StringArray::from_iter_values(cells)))
}

/// Returns the cells of a row of [`Columns::report_columns`] by column. Empty cells are left out.
pub(crate) fn cells(columns: &[(String, &StringArray)], row: usize) -> BTreeMap<String, String> {
    let cells = columns.iter().map(|(name, column)| (name.clone(), column.value(row).to_owned()));
    cells.filter(|(_, cell)| !cell.is_empty()).collect()
}

/// Converts a class index. The error names the row.
pub(crate) fn label(row: usize, index: u8) -> Result<Label, String> {
    Label::from_index(index).ok_or_else(|| format!("row {row} has label {index}; 0 is real, 1 is fake"))
}

/// Parses a digest. The error names the row.
pub(crate) fn id(row: usize, text: &str) -> Result<Hash, String> {
    text.parse().map_err(|e| format!("row {row} has a bad id: {e}"))
}

/// Rejects a column with nulls.
fn without_nulls<'a>(name: &str, column: &'a dyn Array) -> Result<&'a dyn Array, String> {
    if column.null_count() > 0 { Err(format!("column `{name}` has nulls")) } else { Ok(column) }
}

fn wrong_type(name: &str) -> String {
    format!("column `{name}` has an unexpected type")
}
