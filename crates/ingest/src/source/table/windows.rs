//! The images of tables, read some rows at a time: a single row cannot be had for less.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::columns::{Columns, innermost};
use crate::source::shared_file::SharedFile;

/// Bytes of images that are read together, by what the table says of its columns.
const WINDOW_BYTES: i64 = 16 << 20;
/// Rows that are read together, however small their images are.
const MOST_ROWS: i64 = 256;

/// The rows of some tables, one after another.
#[derive(Default)]
pub(super) struct Windows {
    tables: Vec<(SharedFile, Columns)>,
    /// In the order of the rows.
    groups: Vec<Group>,
    /// Those used last, the newest at the end.
    kept: Mutex<VecDeque<(Key, Slot)>>,
}

/// One row group of a table.
struct Group {
    table: usize,
    /// Its number in the table.
    number: usize,
    /// Its first row over all tables.
    start: usize,
    rows: usize,
    /// Rows of a window.
    window: usize,
}

/// Group and window.
type Key = (usize, usize);
/// Images once they have been read, or why they were not.
type Slot = Arc<OnceLock<Result<Vec<Vec<u8>>, String>>>;

impl Windows {
    /// Appends the rows of a table.
    pub(super) fn add(&mut self, file: SharedFile, columns: Columns) {
        let mut start = self.groups.last().map_or(0, |last| last.start + last.rows);
        for (number, group) in columns.metadata.metadata().row_groups().iter().enumerate() {
            let rows = group.num_rows().max(1);
            let window =
                (WINDOW_BYTES / (group.column(columns.image).uncompressed_size() / rows).max(1)).clamp(1, MOST_ROWS);
            let rows = group.num_rows().max(0) as usize;
            self.groups.push(Group { table: self.tables.len(), number, start, rows, window: window as usize });
            start += rows;
        }
        self.tables.push((file, columns));
    }

    /// The image file of a row; empty where there is none.
    pub(super) fn read(&self, row: usize) -> Result<Vec<u8>, String> {
        let group = self.groups.partition_point(|group| group.start + group.rows <= row);
        let Group { start, window, .. } = self.groups[group];
        let (number, at) = ((row - start) / window, (row - start) % window);
        let slot = self.slot((group, number));
        let images = slot.get_or_init(|| self.load(&self.groups[group], number)).as_ref().map_err(Clone::clone)?;
        images.get(at).cloned().ok_or_else(|| "the table has fewer rows than it says".to_owned())
    }

    /// Where a window's images are or will be. Threads that want the same wait for the first of them.
    fn slot(&self, key: Key) -> Slot {
        // A thread works on one window, and others were left not long ago.
        let most = 2 * rayon::current_num_threads() + 2;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|(known, _)| *known == key).and_then(|at| kept.remove(at));
        let (_, slot) = known.unwrap_or_else(|| (key, Slot::default()));
        kept.push_back((key, Arc::clone(&slot)));
        if kept.len() > most {
            kept.pop_front();
        }
        slot
    }

    fn load(&self, group: &Group, window: usize) -> Result<Vec<Vec<u8>>, String> {
        let (file, columns) = &self.tables[group.table];
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), columns.metadata.clone());
        let mask = ProjectionMask::leaves(builder.parquet_schema(), [columns.image]);
        let builder = builder.with_projection(mask).with_row_groups(vec![group.number]);
        let builder = builder.with_offset(window * group.window).with_limit(group.window).with_batch_size(group.window);
        let mut images = Vec::with_capacity(group.window);
        for batch in builder.build().map_err(|error| error.to_string())? {
            let batch = batch.map_err(|error| error.to_string())?;
            let bytes = cast(&innermost(batch.column(0)), &DataType::LargeBinary).map_err(|error| error.to_string())?;
            images.extend(bytes.as_binary::<i64>().iter().map(|bytes| bytes.unwrap_or_default().to_vec()));
        }
        Ok(images)
    }
}
