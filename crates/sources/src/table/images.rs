//! Reading of the images of tables.
//!
//! Parquet compresses columns in pages, so that reading one row costs as much as reading its page. Rows are therefore
//! read in batches, and an LRU cache keeps the batches used most recently. Readers are kept open between batches,
//! because a new reader would have to decompress the pages before its batch again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::columns::{Columns, innermost};
use super::file::{TableFile, catch_errors};
use crate::rejection::Rejection;

/// The target size of a batch in bytes of images, estimated from the table's metadata.
const BATCH_BYTES: i64 = 16 << 20;
/// The largest number of rows in a batch.
const MAX_BATCH_ROWS: i64 = 256;
/// The largest number of batches that a reader skips to reach the requested one. If more would be skipped, a new reader
/// is made.
const MAX_SKIPPED: usize = 16;

/// The images of several tables. The rows of each table follow the rows of the one before.
#[derive(Default)]
pub(super) struct TableImages {
    tables: Vec<(TableFile, Columns)>,
    /// In the order of the rows.
    groups: Vec<RowGroup>,
    /// LRU cache of batches, with the most recently used one at the end.
    cache: Mutex<VecDeque<(BatchKey, Batch)>>,
    /// Open readers, each with the key of the batch that it reads next. The most recently used one is at the end.
    readers: Mutex<VecDeque<(BatchKey, ParquetRecordBatchReader)>>,
}

/// A row group of a table.
struct RowGroup {
    /// Index in [`TableImages::tables`].
    table: usize,
    /// Index in the table.
    index: usize,
    /// The first row, counted over all tables.
    start: usize,
    rows: usize,
    /// The number of rows in a batch.
    batch_rows: usize,
}

/// Index of a row group, and index of a batch in it.
type BatchKey = (usize, usize);
/// The images of a batch, or the error of reading it. Empty until the batch is read.
type Batch = Arc<OnceLock<Result<Vec<Vec<u8>>, String>>>;

impl TableImages {
    /// The number of rows of all tables.
    pub(super) fn rows(&self) -> usize {
        self.groups.last().map_or(0, |last| last.start + last.rows)
    }

    /// Appends the rows of a table.
    pub(super) fn add(&mut self, file: TableFile, columns: Columns) {
        let mut start = self.rows();
        for (index, group) in columns.metadata.metadata().row_groups().iter().enumerate() {
            let rows = group.num_rows().max(1);
            let image_bytes = (group.column(columns.image).uncompressed_size() / rows).max(1);
            let batch_rows = (BATCH_BYTES / image_bytes).clamp(1, MAX_BATCH_ROWS) as usize;
            let rows = group.num_rows().max(0) as usize;
            self.groups.push(RowGroup { table: self.tables.len(), index, start, rows, batch_rows });
            start += rows;
        }
        self.tables.push((file, columns));
    }

    /// Reads the image file of a row, if it is not too long.
    pub(super) fn read_bounded(&self, row: usize, max_file_bytes: u64) -> Result<Vec<u8>, Rejection> {
        let bytes = self.read(row).map_err(|detail| Rejection::unreadable(&detail))?;
        Ok(pixels::file::read_bounded(bytes.as_slice(), bytes.len() as u64, max_file_bytes)?)
    }

    /// Reads the image file of a row; empty if the cell is null.
    fn read(&self, row: usize) -> Result<Vec<u8>, String> {
        let group = self.groups.partition_point(|group| group.start + group.rows <= row);
        let RowGroup { start, batch_rows, .. } = self.groups[group];
        let (batch, at) = ((row - start) / batch_rows, (row - start) % batch_rows);
        let slot = self.cached((group, batch));
        let images = slot.get_or_init(|| self.load((group, batch))).as_ref().map_err(Clone::clone)?;
        images.get(at).cloned().ok_or_else(|| "the table has fewer rows than its metadata states".to_owned())
    }

    /// Returns the cache entry of a batch, which may still be empty. Threads that request the same batch share the
    /// entry, so that only the first one reads the batch.
    fn cached(&self, key: BatchKey) -> Batch {
        let mut cache = locked(&self.cache);
        let found = cache.iter().position(|(cached, _)| *cached == key).and_then(|at| cache.remove(at));
        let (_, batch) = found.unwrap_or_else(|| (key, Batch::default()));
        cache.push_back((key, Arc::clone(&batch)));
        // Room for two batches per thread: the current one, and the one before, which a thread may read again.
        if cache.len() > 2 * rayon::current_num_threads() + 2 {
            cache.pop_front();
        }
        batch
    }

    /// Reads a batch with the nearest open reader before it, or with a new reader.
    fn load(&self, (group, batch): BatchKey) -> Result<Vec<Vec<u8>>, String> {
        catch_errors(|| {
            let (mut next, mut reader) = match self.take_reader((group, batch)) {
                Some(found) => found,
                None => (batch, self.new_reader((group, batch))?),
            };
            while next < batch {
                reader.next().transpose()?;
                next += 1;
            }
            let mut images = Vec::new();
            if let Some(rows) = reader.next() {
                let bytes = cast(&innermost(rows?.column(0)), &DataType::LargeBinary)?;
                images.extend(bytes.as_binary::<i64>().iter().map(|bytes| bytes.unwrap_or_default().to_vec()));
            }
            let mut readers = locked(&self.readers);
            readers.push_back(((group, batch + 1), reader));
            if readers.len() > rayon::current_num_threads() {
                readers.pop_front();
            }
            Ok(images)
        })
    }

    /// Removes and returns the open reader whose next batch is nearest before the requested one, with the index of its
    /// next batch.
    fn take_reader(&self, (group, batch): BatchKey) -> Option<(usize, ParquetRecordBatchReader)> {
        let mut readers = locked(&self.readers);
        let near = |&((of, next), _): &(BatchKey, _)| of == group && (next..=next + MAX_SKIPPED).contains(&batch);
        let nearest = (0..readers.len()).filter(|&at| near(&readers[at])).max_by_key(|&at| readers[at].0.1)?;
        readers.remove(nearest).map(|((_, next), reader)| (next, reader))
    }

    fn new_reader(&self, (group, batch): BatchKey) -> parquet::errors::Result<ParquetRecordBatchReader> {
        let RowGroup { table, index, batch_rows, .. } = self.groups[group];
        let (file, columns) = &self.tables[table];
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), columns.metadata.clone());
        let mask = ProjectionMask::leaves(builder.parquet_schema(), [columns.image]);
        let builder = builder.with_projection(mask).with_row_groups(vec![index]);
        builder.with_offset(batch * batch_rows).with_batch_size(batch_rows).build()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
