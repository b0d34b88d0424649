//! Predictions as a parquet table.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::OnRow;
use super::cell::Cell;

/// Reads a table. The whole file is in memory, so that a wrong length in it cannot allocate more.
pub(super) fn read(path: &Path, on_row: &mut OnRow<'_>) -> Result<(), String> {
    let bytes = Bytes::from(std::fs::read(path).map_err(|e| e.to_string())?);
    // A damaged file can make the parquet reader panic. It is dropped, so no broken state remains.
    let batches = catch_unwind(AssertUnwindSafe(|| read_batches(bytes)))
        .unwrap_or_else(|_| Err("it is damaged: the parquet reader stopped with an internal error".to_owned()))?;
    let mut row = 0;
    for batch in batches {
        let names: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        let columns: Vec<Column> = batch.columns().iter().map(Column::of).collect();
        for index in 0..batch.num_rows() {
            row += 1;
            let cells: Vec<Cell> = columns.iter().map(|column| column.cell(index)).collect();
            on_row(&names, row, &cells)?;
        }
    }
    Ok(())
}

fn read_batches(bytes: Bytes) -> Result<Vec<RecordBatch>, String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(|builder| builder.build());
    reader.map_err(|e| e.to_string())?.collect::<Result<_, _>>().map_err(|e| e.to_string())
}

/// A column whose values are numbers, texts, or neither.
enum Column {
    Numbers(ArrayRef),
    Texts(ArrayRef),
    Ignored,
}

impl Column {
    fn of(array: &ArrayRef) -> Column {
        let kind = array.data_type();
        let as_type = |kind: DataType| cast(array, &kind).ok();
        if kind.is_numeric() || *kind == DataType::Boolean {
            as_type(DataType::Float64).map_or(Column::Ignored, Column::Numbers)
        } else if matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..)) {
            as_type(DataType::Utf8).map_or(Column::Ignored, Column::Texts)
        } else {
            Column::Ignored
        }
    }

    fn cell(&self, index: usize) -> Cell {
        match self {
            Column::Numbers(array) if array.is_valid(index) => {
                array.as_primitive_opt::<Float64Type>().map_or(Cell::Empty, |values| Cell::Number(values.value(index)))
            }
            Column::Texts(array) if array.is_valid(index) => {
                array.as_string_opt::<i32>().map_or(Cell::Empty, |values| Cell::Text(values.value(index).to_owned()))
            }
            _ => Cell::Empty,
        }
    }
}
