//! The images of tables, read some rows at a time: a single row cannot be had for less.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::columns::{Columns, innermost};
use super::file::{TableFile, contained};

/// Bytes of images that are read together, by what the table says of its columns.
const WINDOW_BYTES: i64 = 16 << 20;
/// Rows that are read together, however small their images are.
const MOST_ROWS: i64 = 256;
/// Windows that are read and passed over rather than to begin again at the one that is wanted: to begin unpacks the pages that
/// stand before it once more.
const MOST_SKIPPED: usize = 16;

/// The rows of some tables, one after another.
#[derive(Default)]
pub(super) struct Windows {
    tables: Vec<(TableFile, Columns)>,
    /// In the order of the rows.
    groups: Vec<Group>,
    /// Those used last, the newest at the end.
    kept: Mutex<VecDeque<(Key, Slot)>>,
    /// Readers between two windows, the newest at the end.
    readers: Mutex<VecDeque<(Key, ParquetRecordBatchReader)>>,
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
    pub(super) fn add(&mut self, file: TableFile, columns: Columns) {
        let mut start = self.groups.last().map_or(0, |last| last.start + last.rows);
        for (number, group) in columns.metadata.metadata().row_groups().iter().enumerate() {
            let rows = group.num_rows().max(1);
            let image_bytes = (group.column(columns.image).uncompressed_size() / rows).max(1);
            let window = (WINDOW_BYTES / image_bytes).clamp(1, MOST_ROWS) as usize;
            let rows = group.num_rows().max(0) as usize;
            self.groups.push(Group { table: self.tables.len(), number, start, rows, window });
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
        let images = slot.get_or_init(|| self.load((group, number))).as_ref().map_err(Clone::clone)?;
        images.get(at).cloned().ok_or_else(|| "the table has fewer rows than it says".to_owned())
    }

    /// Where a window's images are or will be. Threads that want the same wait for the first of them.
    fn slot(&self, key: Key) -> Slot {
        let mut kept = locked(&self.kept);
        let known = kept.iter().position(|(known, _)| *known == key).and_then(|at| kept.remove(at));
        let (_, slot) = known.unwrap_or_else(|| (key, Slot::default()));
        kept.push_back((key, Arc::clone(&slot)));
        // A thread works on one window, and others were left not long ago.
        if kept.len() > 2 * rayon::current_num_threads() + 2 {
            kept.pop_front();
        }
        slot
    }

    /// Goes on with the reader that is nearest before a window, or begins anew.
    fn load(&self, (group, window): Key) -> Result<Vec<Vec<u8>>, String> {
        contained(|| {
            let (mut next, mut reader) = match self.reader_before((group, window)) {
                Some(found) => found,
                None => (window, self.begin((group, window))?),
            };
            while next < window {
                reader.next().transpose()?;
                next += 1;
            }
            let mut images = Vec::new();
            if let Some(batch) = reader.next() {
                let bytes = cast(&innermost(batch?.column(0)), &DataType::LargeBinary)?;
                images.extend(bytes.as_binary::<i64>().iter().map(|bytes| bytes.unwrap_or_default().to_vec()));
            }
            let mut readers = locked(&self.readers);
            readers.push_back(((group, window + 1), reader));
            if readers.len() > rayon::current_num_threads() {
                readers.pop_front();
            }
            Ok(images)
        })
    }

    /// The reader that stands nearest before a window of its group, and the window that it would read next.
    fn reader_before(&self, (group, window): Key) -> Option<(usize, ParquetRecordBatchReader)> {
        let mut readers = locked(&self.readers);
        let near = |&((of, next), _): &(Key, _)| of == group && (next..=next + MOST_SKIPPED).contains(&window);
        let nearest = (0..readers.len()).filter(|&at| near(&readers[at])).max_by_key(|&at| readers[at].0.1)?;
        readers.remove(nearest).map(|((_, next), reader)| (next, reader))
    }

    fn begin(&self, (group, window): Key) -> parquet::errors::Result<ParquetRecordBatchReader> {
        let Group { table, number, window: rows, .. } = self.groups[group];
        let (file, columns) = &self.tables[table];
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), columns.metadata.clone());
        let mask = ProjectionMask::leaves(builder.parquet_schema(), [columns.image]);
        let builder = builder.with_projection(mask).with_row_groups(vec![number]);
        builder.with_offset(window * rows).with_batch_size(rows).build()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
