//! Opens one shard and finds the images in it.

use std::ops::Range;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::{UInt8Type, UInt32Type, UInt64Type};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaData;

use super::pages::{file_ranges, pixel_ranges};
use super::{FILE, HEIGHT_KEY, PIXELS, SCHEMA_VERSION, SCHEMA_VERSION_OF_FILES, Sample, VERSION_KEY, WIDTH_KEY};
use crate::columns::{self, Columns};
use crate::{Error, Result, Split, parquet_file};

/// One open shard.
pub(super) struct Shard {
    /// Height and width of all images.
    pub(super) size: [usize; 2],
    pub(super) samples: Vec<Sample>,
    /// For each sample, the position of its pixels in `map`.
    pub(super) pixels: Vec<Range<usize>>,
    /// For each sample, the position of its kept file in `map`. `None` if no files were kept.
    pub(super) files: Option<Vec<Range<usize>>>,
    pub(super) map: Bytes,
}

impl Shard {
    /// Opens a shard. Reads everything except pixels and files.
    ///
    /// # Errors
    /// The shard cannot be read or is damaged.
    pub(super) fn open(path: &Path) -> Result<Shard> {
        parquet_file::read(path, "shard", |map, metadata| read(path, map, metadata))
    }
}

fn read(path: &Path, map: &Bytes, metadata: ArrowReaderMetadata) -> Result<Shard> {
    let malformed = |detail: String| Error::malformed(path, "shard", detail);
    let Header { size, has_files } = check_header(path, metadata.metadata())?;
    let pixels = pixel_ranges(metadata.metadata(), size, map.len()).map_err(malformed)?;
    let files = has_files.then(|| file_ranges(metadata.metadata(), map)).transpose().map_err(malformed)?;
    let samples = read_samples(map.clone(), metadata, path)?;
    for (count, what) in [(Some(pixels.len()), "images"), (files.as_ref().map(Vec::len), "files")] {
        if let Some(count) = count.filter(|count| *count != samples.len()) {
            return Err(malformed(format!("it has {} rows but {count} {what}", samples.len())));
        }
    }
    Ok(Shard { size, samples, pixels, files, map: map.clone() })
}

/// What the metadata of a shard says of all its images.
struct Header {
    /// Their height and width.
    size: [usize; 2],
    /// Whether the shard has the column `file`.
    has_files: bool,
}

/// Checks the schema version and reads the header.
fn check_header(path: &Path, metadata: &ParquetMetaData) -> Result<Header> {
    let entries = metadata.file_metadata().key_value_metadata();
    let number = |key: &str| {
        entries
            .and_then(|entries| entries.iter().find(|entry| entry.key == key))
            .and_then(|entry| entry.value.as_ref()?.parse::<u32>().ok())
            .ok_or_else(|| {
                Error::malformed(
                    path,
                    "shard",
                    format!("its metadata has no key `{key}`; it was not written by Candling"),
                )
            })
    };
    let found = number(VERSION_KEY)?;
    if found > SCHEMA_VERSION_OF_FILES {
        return Err(Error::SchemaVersion { path: path.to_owned(), found, supported: SCHEMA_VERSION_OF_FILES });
    }
    let size = [number(HEIGHT_KEY)? as usize, number(WIDTH_KEY)? as usize];
    Ok(Header { size, has_files: found > SCHEMA_VERSION })
}

/// Reads all columns except the pixels and the kept files.
fn read_samples(map: Bytes, metadata: ArrowReaderMetadata, path: &Path) -> Result<Vec<Sample>> {
    let malformed = |detail: String| Error::malformed(path, "shard", detail);
    let schema = metadata.metadata().file_metadata().schema_descr_ptr();
    let of_sample = (0..schema.num_columns()).filter(|&i| ![PIXELS, FILE].contains(&schema.column(i).name()));
    let mask = ProjectionMask::leaves(&schema, of_sample);
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(map, metadata)
        .with_projection(mask)
        .build()
        .map_err(|e| malformed(e.to_string()))?;
    let mut samples = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|e| malformed(e.to_string()))?;
        append_samples(&batch, &mut samples).map_err(malformed)?;
    }
    Ok(samples)
}

fn append_samples(batch: &RecordBatch, samples: &mut Vec<Sample>) -> Result<(), String> {
    let columns = Columns::of(batch);
    let (ids, paths, splits) = (columns.text("id")?, columns.text("path")?, columns.text("split")?);
    let (generators, formats) = (columns.text("generator")?, columns.text("format")?);
    let labels = columns.numbers::<UInt8Type>("label")?;
    let (widths, heights) = (columns.numbers::<UInt32Type>("width")?, columns.numbers::<UInt32Type>("height")?);
    let file_bytes = columns.numbers::<UInt64Type>("file_bytes")?;
    let kept = columns.report_columns()?;
    for i in 0..batch.num_rows() {
        let split = splits.value(i);
        samples.push(Sample {
            id: columns::id(i, ids.value(i))?,
            path: paths.value(i).to_owned(),
            label: columns::label(i, labels.value(i))?,
            split: Split::from_name(split).ok_or_else(|| format!("row {i} has the unknown split `{split}`"))?,
            generator: generators.value(i).to_owned(),
            width: widths.value(i),
            height: heights.value(i),
            format: formats.value(i).to_owned(),
            file_bytes: file_bytes.value(i),
            columns: columns::cells(&kept, i),
        });
    }
    Ok(())
}
