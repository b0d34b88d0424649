//! The columns of a table by name, each of the type that its reader expects.

use arrow::array::{Array, AsArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::datatypes::ArrowPrimitiveType;

use crate::Label;
use crate::hash::Hash;

/// The columns of a part of a table. Errors say what is wrong with which column.
pub(crate) struct Columns<'a>(&'a RecordBatch);

impl<'a> Columns<'a> {
    /// The columns of `batch`.
    pub(crate) fn of(batch: &'a RecordBatch) -> Columns<'a> {
        Columns(batch)
    }

    /// A column of text without nulls.
    pub(crate) fn text(&self, name: &str) -> Result<&'a StringArray, String> {
        whole(name, self.find(name)?)?.as_string_opt().ok_or_else(|| wrong_type(name))
    }

    /// A column of numbers without nulls.
    pub(crate) fn numbers<T: ArrowPrimitiveType>(&self, name: &str) -> Result<&'a PrimitiveArray<T>, String> {
        whole(name, self.find(name)?)?.as_primitive_opt().ok_or_else(|| wrong_type(name))
    }

    /// A column of numbers, some of which may be null, that tables of earlier versions lack.
    pub(crate) fn later_numbers<T: ArrowPrimitiveType>(
        &self,
        name: &str,
    ) -> Result<Option<&'a PrimitiveArray<T>>, String> {
        let column = self.0.column_by_name(name);
        column.map(|column| column.as_primitive_opt().ok_or_else(|| wrong_type(name))).transpose()
    }

    fn find(&self, name: &str) -> Result<&'a dyn Array, String> {
        self.0.column_by_name(name).map(AsRef::as_ref).ok_or_else(|| format!("it has no column `{name}`"))
    }
}

/// The class that an index in row `row` stands for.
pub(crate) fn label(row: usize, index: u8) -> Result<Label, String> {
    Label::from_index(index).ok_or_else(|| format!("row {row} has label {index}; 0 is real, 1 is fake"))
}

/// The digest in row `row`.
pub(crate) fn id(row: usize, text: &str) -> Result<Hash, String> {
    text.parse().map_err(|e| format!("row {row} has a bad id: {e}"))
}

fn whole<'a>(name: &str, column: &'a dyn Array) -> Result<&'a dyn Array, String> {
    if column.null_count() > 0 { Err(format!("column `{name}` has nulls")) } else { Ok(column) }
}

fn wrong_type(name: &str) -> String {
    format!("column `{name}` has another type than expected")
}
