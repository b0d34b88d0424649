//! The file of a table. It is opened anew for each read, because a source may have more tables than a process may keep
//! open.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// The file of a table.
#[derive(Clone, Debug)]
pub(super) struct TableFile {
    path: Arc<PathBuf>,
    length: u64,
}

impl TableFile {
    pub(super) fn open(path: &Path) -> std::io::Result<TableFile> {
        Ok(TableFile { path: Arc::new(path.to_owned()), length: std::fs::metadata(path)?.len() })
    }

    fn at(&self, start: u64) -> Result<File> {
        let mut file = File::open(&*self.path)?;
        file.seek(SeekFrom::Start(start))?;
        Ok(file)
    }
}

impl Length for TableFile {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for TableFile {
    type T = BufReader<File>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::new(self.at(start)?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        // Without this check, a length in a damaged file could exhaust the memory.
        if start.checked_add(length as u64).is_none_or(|end| end > self.length) {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at offset {start}, but the file has only {}",
                self.length
            )));
        }
        let mut bytes = vec![0; length];
        self.at(start)?.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// Runs a parquet reader and returns its error as text. A damaged file can make the reader panic; this is returned as
/// an error too. The reader is dropped, so no broken state remains.
pub(super) fn catch_errors<T>(read: impl FnOnce() -> Result<T>) -> std::result::Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(_) => Err("it is damaged: the parquet reader stopped with an internal error".to_owned()),
    }
}
