//! Reads parquet files that Candling wrote, through a memory map.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use bytes::Bytes;
use memmap2::Mmap;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Compression;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};

use crate::{Error, Result};

/// Maps a file and calls `read` with its bytes and metadata. `format` says in errors what the file should be. The bytes
/// are not copied. They must not change as long as they are in use.
///
/// A length in a damaged file cannot exhaust the memory: the parquet reader takes slices of the map, and a compressed
/// column, whose pages could claim any length, is refused. Candling writes no compressed columns.
///
/// # Errors
/// The file cannot be read or is damaged, or `read` fails.
pub(crate) fn read<T>(
    path: &Path,
    format: &'static str,
    read: impl FnOnce(&Bytes, ArrowReaderMetadata) -> Result<T>,
) -> Result<T> {
    let malformed = |detail: String| Error::malformed(path, format, detail);
    let file = File::open(path).map_err(Error::io("open", path))?;
    let bytes = map(&file).map_err(Error::io("map", path))?;
    // The parquet reader panics on some damaged files. It is dropped, so no broken state remains.
    let result = catch_unwind(AssertUnwindSafe(|| {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&bytes, options).map_err(|e| malformed(e.to_string()))?;
        if let Some(column) = compressed_column(metadata.metadata()) {
            return Err(malformed(format!("its column `{column}` is compressed; it was not written by Candling")));
        }
        read(&bytes, metadata)
    }));
    result.unwrap_or_else(|_| Err(malformed("the parquet reader panicked".to_owned())))
}

#[expect(unsafe_code, reason = "a memory map lets a shuffled epoch read pixels without copies")]
fn map(file: &File) -> std::io::Result<Bytes> {
    // SAFETY: the map is read-only, and artifacts are replaced by renaming and never written in place. Another program
    // that truncates the file while it is open would still kill this process with SIGBUS. The documentation of `Shards`
    // forbids that.
    unsafe { Mmap::map(file) }.map(Bytes::from_owner)
}

fn compressed_column(metadata: &ParquetMetaData) -> Option<&str> {
    let columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    columns
        .filter(|column| column.compression() != Compression::UNCOMPRESSED)
        .map(|column| column.column_descr().name())
        .next()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch, UInt8Array};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::properties::WriterProperties;

    use super::*;

    /// Reads the number of rows of a table in a file.
    fn rows(table: &[u8]) -> Result<usize> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.parquet");
        std::fs::write(&path, table).unwrap();
        read(&path, "table", |bytes, metadata| {
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes.clone(), metadata).build().unwrap();
            Ok(reader.map(|batch| batch.unwrap().num_rows()).sum())
        })
    }

    fn table(compression: Compression) -> Vec<u8> {
        let numbers: ArrayRef = Arc::new(UInt8Array::from_iter_values((0..200).map(|i| i / 2)));
        let batch = RecordBatch::try_from_iter([("numbers", numbers)]).unwrap();
        let mut file = Vec::new();
        let properties = WriterProperties::builder().set_compression(compression).build();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        file
    }

    #[test]
    fn reads_tables_without_compression() {
        assert_eq!(rows(&table(Compression::UNCOMPRESSED)).unwrap(), 200);
    }

    #[test]
    fn claimed_compression_is_refused() {
        let mut file = table(Compression::UNCOMPRESSED);
        // Field 4 of the metadata of a column (thrift's compact protocol): the enumeration 0, no compression. After
        // it is field 5, the number of values: 200 as a zigzag number.
        let codec = file.windows(5).rposition(|bytes| bytes == [0x15, 0, 0x16, 0x90, 0x03]).unwrap();
        file[codec + 1] = 2;
        let error = rows(&file).unwrap_err().to_string();
        assert!(error.contains("its column `numbers` is compressed"), "{error}");
    }

    #[test]
    fn files_that_are_no_tables_are_errors() {
        for file in [&b""[..], b"PAR1", b"PAR1 and then nothing of use"] {
            assert!(matches!(rows(file), Err(Error::Malformed { .. })), "{file:?}");
        }
        assert!(matches!(read(Path::new("nowhere"), "table", |_, _| Ok(())), Err(Error::Io { .. })));
    }

    #[test]
    fn a_panic_of_the_reader_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.parquet");
        std::fs::write(&path, table(Compression::UNCOMPRESSED)).unwrap();
        let error = read(&path, "table", |_, _| -> Result<()> { panic!("out of range") }).unwrap_err();
        assert!(error.to_string().contains("the parquet reader panicked"), "{error}");
    }
}
