//! Writes shards.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, FixedSizeBinaryArray, RecordBatch, StringArray, UInt8Array, UInt32Array, UInt64Array,
};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::{FILE, HEIGHT_KEY, PIXELS, SCHEMA_VERSION, SCHEMA_VERSION_OF_FILES, Sample, VERSION_KEY, WIDTH_KEY};
use crate::columns::report_column;
use crate::{Error, Result, Split};

/// Default number of images per shard: 600 MB of pixels at 224 x 224.
pub const DEFAULT_ROWS: usize = 4096;

/// Target size of the pixels and files of a row group in bytes. A row group is held in memory while it is filled.
const ROW_GROUP_BYTES: usize = 16 << 20;

/// The largest length of an image file in bytes. Parquet and Arrow count the bytes of a page and of a row group in
/// signed 32-bit numbers.
const MAX_FILE_BYTES: usize = 1 << 30;

/// Writes the shards of one split. Holds at most one row group in memory.
///
/// The final names, such as `train-00000-of-00003.parquet`, contain the number of shards, so [`ShardWriter::finish`]
/// renames the files. Write into a folder that is published afterwards.
pub struct ShardWriter {
    dir: PathBuf,
    split: Split,
    size: [usize; 2],
    rows_per_shard: usize,
    rows_in_shard: usize,
    current: Option<ArrowWriter<File>>,
    written: Vec<PathBuf>,
    samples: Vec<Sample>,
    pixels: Vec<u8>,
    /// The image files of `samples`, if they are kept.
    files: Option<Files>,
    /// The names of the columns in [`Sample::columns`] that are written.
    columns: Vec<String>,
}

/// The image files of some rows, one after another.
#[derive(Default)]
struct Files {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
}

impl ShardWriter {
    /// Creates a writer into the folder `dir`. `size` is the height and width of all images.
    pub fn new(dir: &Path, split: Split, size: [usize; 2], rows_per_shard: usize) -> ShardWriter {
        ShardWriter {
            dir: dir.to_owned(),
            split,
            size,
            rows_per_shard: rows_per_shard.max(1),
            rows_in_shard: 0,
            current: None,
            written: Vec::new(),
            samples: Vec::new(),
            pixels: Vec::new(),
            files: None,
            columns: Vec::new(),
        }
    }

    /// Also writes these columns of [`Sample::columns`].
    pub fn with_columns(self, columns: &[String]) -> ShardWriter {
        ShardWriter { columns: columns.to_vec(), ..self }
    }

    /// Creates a writer like [`ShardWriter::new`] of shards that also have the image files.
    pub fn with_files(dir: &Path, split: Split, size: [usize; 2], rows_per_shard: usize) -> ShardWriter {
        ShardWriter { files: Some(Files::default()), ..ShardWriter::new(dir, split, size, rows_per_shard) }
    }

    /// Appends one image. `pixels` is RGB, `[height, width, 3]`.
    ///
    /// # Errors
    /// `pixels` has another length, the writer was made by [`ShardWriter::with_files`], or writing fails.
    pub fn push(&mut self, sample: Sample, pixels: &[u8]) -> Result<()> {
        self.push_row(sample, pixels, None)
    }

    /// Appends one image with its file. `pixels` is RGB, `[height, width, 3]`.
    ///
    /// # Errors
    /// `pixels` has another length, the file has more than 1 GiB, the writer was not made by
    /// [`ShardWriter::with_files`], or writing fails.
    pub fn push_with_file(&mut self, sample: Sample, pixels: &[u8], file: &[u8]) -> Result<()> {
        self.push_row(sample, pixels, Some(file))
    }

    fn push_row(&mut self, sample: Sample, pixels: &[u8], file: Option<&[u8]>) -> Result<()> {
        let refused = |dir, detail: String| Err(Error::malformed(dir, "row", format!("`{}` {detail}", sample.path)));
        if pixels.len() != self.row_bytes() {
            let [height, width] = self.size;
            let detail = format!("`{}` has {} bytes, but must have {height} x {width} x 3", sample.path, pixels.len());
            return Err(Error::malformed(&self.dir, "row of pixels", detail));
        }
        match (&mut self.files, file) {
            (Some(files), Some(file)) if file.len() <= MAX_FILE_BYTES => {
                files.bytes.extend_from_slice(file);
                files.lengths.push(file.len());
            }
            (Some(_), Some(file)) => {
                let detail = format!("has {} bytes, but a kept file has at most {MAX_FILE_BYTES}", file.len());
                return refused(&self.dir, detail);
            }
            (Some(_), None) => return refused(&self.dir, "has no file, but these shards keep files".to_owned()),
            (None, Some(_)) => return refused(&self.dir, "has a file, but these shards keep none".to_owned()),
            (None, None) => {}
        }
        self.samples.push(sample);
        if self.pixels.is_empty() {
            // Reserve a whole row group: growing step by step would copy the pixels several times.
            self.pixels
                .reserve_exact((ROW_GROUP_BYTES + pixels.len()).min(self.rows_per_shard.saturating_mul(pixels.len())));
        }
        self.pixels.extend_from_slice(pixels);
        self.rows_in_shard += 1;
        if self.rows_in_shard == self.rows_per_shard {
            self.close_shard()
        } else if self.pixels.len() + self.files.as_ref().map_or(0, |files| files.bytes.len()) >= ROW_GROUP_BYTES {
            self.flush_rows()
        } else {
            Ok(())
        }
    }

    /// Completes the last shard, waits until all shards are on the disk, and renames them to their final names. Returns
    /// their number.
    pub fn finish(mut self) -> Result<usize> {
        if self.rows_in_shard > 0 {
            self.close_shard()?;
        }
        let count = self.written.len();
        for (i, path) in self.written.iter().enumerate() {
            let name = self.dir.join(format!("{}-{i:05}-of-{count:05}.parquet", self.split));
            File::open(path).and_then(|file| file.sync_data()).map_err(Error::io("sync", path))?;
            std::fs::rename(path, &name).map_err(Error::io("rename to", &name))?;
        }
        Ok(count)
    }

    fn row_bytes(&self) -> usize {
        self.size[0] * self.size[1] * 3
    }

    /// The temporary path of the current shard.
    fn current_path(&self) -> PathBuf {
        self.dir.join(format!("{}-{:05}.parquet.partial", self.split, self.written.len()))
    }

    /// Writes the images in memory as a row group.
    fn flush_rows(&mut self) -> Result<()> {
        let path = self.current_path();
        let failed = |e: &dyn std::fmt::Display| Error::io("write", &path)(std::io::Error::other(e.to_string()));
        let files = self.files.as_mut().map(std::mem::take);
        let version = if files.is_some() { SCHEMA_VERSION_OF_FILES } else { SCHEMA_VERSION };
        let samples = std::mem::take(&mut self.samples);
        let pixels = std::mem::take(&mut self.pixels);
        let batch = to_batch(&samples, &self.columns, (pixels, self.row_bytes()), files).map_err(|e| failed(&e))?;
        let writer = match &mut self.current {
            Some(writer) => writer,
            empty => {
                let file = File::create(&path).map_err(Error::io("create", &path))?;
                let properties = properties(self.size, version);
                empty.insert(ArrowWriter::try_new(file, batch.schema(), Some(properties)).map_err(|e| failed(&e))?)
            }
        };
        writer.write(&batch).and_then(|()| writer.flush()).map_err(|e| failed(&e))
    }

    fn close_shard(&mut self) -> Result<()> {
        self.flush_rows()?;
        let path = self.current_path();
        if let Some(writer) = self.current.take() {
            writer.close().map_err(|e| Error::io("write", &path)(std::io::Error::other(e.to_string())))?;
        }
        self.written.push(path);
        self.rows_in_shard = 0;
        Ok(())
    }
}

fn to_batch(
    samples: &[Sample],
    columns: &[String],
    (pixels, row_bytes): (Vec<u8>, usize),
    files: Option<Files>,
) -> Result<RecordBatch, ArrowError> {
    let text =
        |of: &dyn Fn(&Sample) -> String| Arc::new(StringArray::from_iter_values(samples.iter().map(of))) as ArrayRef;
    let side = |of: fn(&Sample) -> u32| Arc::new(UInt32Array::from_iter_values(samples.iter().map(of))) as ArrayRef;
    let row_bytes = i32::try_from(row_bytes)
        .map_err(|_| ArrowError::InvalidArgumentError("an image has more than 2 GiB of pixels".to_owned()))?;
    let fixed = [
        ("id", text(&|sample| sample.id.to_string())),
        ("path", text(&|sample| sample.path.clone())),
        ("label", Arc::new(UInt8Array::from_iter_values(samples.iter().map(|sample| sample.label.index())))),
        ("split", text(&|sample| sample.split.to_string())),
        ("generator", text(&|sample| sample.generator.clone())),
        ("width", side(|sample| sample.width)),
        ("height", side(|sample| sample.height)),
        ("format", text(&|sample| sample.format.clone())),
        ("file_bytes", Arc::new(UInt64Array::from_iter_values(samples.iter().map(|sample| sample.file_bytes)))),
        (PIXELS, Arc::new(FixedSizeBinaryArray::try_new(row_bytes, Buffer::from_vec(pixels), None)?)),
    ];
    let files = files.map(|Files { bytes, lengths }| {
        let array = BinaryArray::try_new(OffsetBuffer::from_lengths(lengths), Buffer::from_vec(bytes), None)?;
        Ok::<_, ArrowError>((FILE, Arc::new(array) as ArrayRef))
    });
    let kept = columns.iter().map(|name| report_column(name, samples.iter().map(|sample| &sample.columns)));
    let fixed = fixed.into_iter().chain(files.transpose()?).map(|(name, column)| (name.to_owned(), column));
    let batch = RecordBatch::try_from_iter(fixed.chain(kept))?;
    // Declare the columns as not nullable. They then have no definition levels, and a page of pixels holds only pixels.
    let fields: Vec<_> =
        batch.schema().fields().iter().map(|field| field.as_ref().clone().with_nullable(false)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), batch.columns().to_vec())
}

fn properties(size: [usize; 2], version: u32) -> WriterProperties {
    let (pixels, file) = (ColumnPath::from(PIXELS), ColumnPath::from(FILE));
    let entry = |key: &str, value: usize| KeyValue::new(key.to_owned(), value.to_string());
    WriterProperties::builder()
        .set_created_by("candling".to_owned())
        .set_compression(Compression::UNCOMPRESSED)
        .set_statistics_enabled(EnabledStatistics::None)
        // One row per page, so that the page index locates each image.
        .set_data_page_row_count_limit(1)
        .set_write_batch_size(1)
        .set_column_dictionary_enabled(pixels.clone(), false)
        .set_column_encoding(pixels, Encoding::PLAIN)
        .set_column_dictionary_enabled(file.clone(), false)
        .set_column_encoding(file, Encoding::PLAIN)
        .set_key_value_metadata(Some(vec![
            entry(VERSION_KEY, version as usize),
            entry(HEIGHT_KEY, size[0]),
            entry(WIDTH_KEY, size[1]),
        ]))
        .build()
}
