//! Opens shards and reads images from them in any order.

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::{UInt8Type, UInt32Type, UInt64Type};
use memmap2::Mmap;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, Type as PhysicalType};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};

use super::{HEIGHT_KEY, PIXELS, SCHEMA_VERSION, Sample, VERSION_KEY, WIDTH_KEY};
use crate::columns::{self, Columns};
use crate::hash::Hash;
use crate::{Error, Manifest, Result, Split, names};

/// The shards of all splits of an ingest artifact, with its manifest.
#[derive(Debug)]
pub struct ShardSet {
    dir: PathBuf,
    manifest: Manifest,
}

impl ShardSet {
    /// Opens a complete ingest folder. Reads the manifest only.
    pub fn open(dir: &Path) -> Result<ShardSet> {
        let manifest = Manifest::require(dir, names::INGEST)?;
        Ok(ShardSet { dir: dir.to_owned(), manifest })
    }

    /// The manifest of the ingest artifact.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Opens the shards of one split. Opens only shards that the manifest lists, and checks their digests first.
    pub fn split(&self, split: Split) -> Result<Shards> {
        let names = self.manifest.outputs.keys().filter(|name| is_shard_of(name, split));
        let verified = names.map(|name| self.manifest.verified(&self.dir, name));
        Shards::from_files(&self.dir, split, &verified.collect::<Result<Vec<_>>>()?)
    }

    /// Computes one digest over the shards of a split, for stages that read only this split.
    pub fn digest(&self, split: Split) -> Hash {
        self.manifest.digest_of(|name| is_shard_of(name, split))
    }

    /// Returns whether the artifact has shards of a split.
    pub fn has(&self, split: Split) -> bool {
        self.manifest.outputs.keys().any(|name| is_shard_of(name, split))
    }
}

/// The images of one split in a fixed order, with memory-mapped pixels.
///
/// The files must not change while they are open. Stages never change a file; they replace whole folders.
#[derive(Debug)]
pub struct Shards {
    /// Height and width of all images.
    size: [usize; 2],
    samples: Vec<Sample>,
    /// For each sample: the index in `maps`, and the offset of its pixels there.
    locations: Vec<(usize, usize)>,
    maps: Vec<Mmap>,
}

impl Shards {
    /// Opens all shards of a split in a folder. Needs no manifest and checks no digests.
    pub fn open(dir: &Path, split: Split) -> Result<Shards> {
        Shards::from_files(dir, split, &shard_paths(dir, split)?)
    }

    fn from_files(dir: &Path, split: Split, paths: &[PathBuf]) -> Result<Shards> {
        let mut shards = Shards { size: [0, 0], samples: Vec::new(), locations: Vec::new(), maps: Vec::new() };
        for path in paths {
            shards.append_file(path)?;
        }
        if shards.samples.is_empty() {
            return Err(Error::Missing {
                artifact: format!("{split} split"),
                path: dir.to_owned(),
                advice: "check the source's layout and [ingest], then run `cargo xtask ingest`".to_owned(),
            });
        }
        Ok(shards)
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Returns whether there are no images. Always `false`, because opening an empty split is an error.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Height and width of all images.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// The columns of all images besides their pixels.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The columns of image `i` besides its pixels. Panics if `i` is out of range.
    pub fn sample(&self, i: usize) -> &Sample {
        &self.samples[i]
    }

    /// The pixels of image `i`: RGB, `[height, width, 3]`. Panics if `i` is out of range.
    pub fn pixels(&self, i: usize) -> &[u8] {
        let (map, start) = self.locations[i];
        &self.maps[map][start..start + self.size[0] * self.size[1] * 3]
    }

    fn append_file(&mut self, path: &Path) -> Result<()> {
        let malformed = |detail: String| Error::malformed(path, "shard", detail);
        let file = File::open(path).map_err(Error::io("open", path))?;
        let map = map(&file).map_err(Error::io("map", path))?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::from(true));
        let metadata = ArrowReaderMetadata::load(&file, options).map_err(|e| malformed(e.to_string()))?;
        let size = check_header(path, metadata.metadata())?;
        if self.maps.is_empty() {
            self.size = size;
        } else if self.size != size {
            return Err(malformed(format!(
                "its images have height and width {size:?}, but the images of earlier shards have {:?}",
                self.size
            )));
        }
        let ranges = pixel_ranges(metadata.metadata(), size, map.len()).map_err(malformed)?;
        let samples = read_samples(file, metadata, path)?;
        if samples.len() != ranges.len() {
            return Err(malformed(format!("it has {} rows but {} images", samples.len(), ranges.len())));
        }
        self.samples.extend(samples);
        self.locations.extend(ranges.into_iter().map(|range| (self.maps.len(), range.start)));
        self.maps.push(map);
        Ok(())
    }
}

#[expect(unsafe_code, reason = "a memory map lets a shuffled epoch read pixels without copies")]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is read-only, and artifacts are replaced by renaming and never written in place. Another program
    // that truncates the file while it is open would still kill this process with SIGBUS. The documentation of `Shards`
    // forbids that.
    unsafe { Mmap::map(file) }
}

fn is_shard_of(name: &str, split: Split) -> bool {
    name.strip_prefix(split.name()).is_some_and(|rest| rest.starts_with('-')) && name.ends_with(".parquet")
}

fn shard_paths(dir: &Path, split: Split) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let entry = entry.map_err(Error::io("list", dir))?;
        if is_shard_of(&entry.file_name().to_string_lossy(), split) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Checks the schema version and returns the height and width of the stored images.
fn check_header(path: &Path, metadata: &ParquetMetaData) -> Result<[usize; 2]> {
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
    if found > SCHEMA_VERSION {
        return Err(Error::SchemaVersion { path: path.to_owned(), found, supported: SCHEMA_VERSION });
    }
    Ok([number(HEIGHT_KEY)? as usize, number(WIDTH_KEY)? as usize])
}

/// Returns the byte range of each image in the file, from the page index. A page ends with the pixels of its only row.
fn pixel_ranges(metadata: &ParquetMetaData, size: [usize; 2], file_len: usize) -> Result<Vec<Range<usize>>, String> {
    let schema = metadata.file_metadata().schema_descr();
    let column =
        (0..schema.num_columns()).find(|&i| schema.column(i).name() == PIXELS).ok_or("it has no column `pixels`")?;
    let descriptor = schema.column(column);
    let length = size[0].checked_mul(size[1]).and_then(|n| n.checked_mul(3)).ok_or("its images are too large")?;
    if descriptor.physical_type() != PhysicalType::FIXED_LEN_BYTE_ARRAY
        || usize::try_from(descriptor.type_length()) != Ok(length)
        || descriptor.max_def_level() != 0
    {
        return Err(format!("its column `pixels` is not {} x {} x 3 required bytes", size[0], size[1]));
    }
    let mut ranges = Vec::new();
    for (i, group) in metadata.row_groups().iter().enumerate() {
        let index = metadata.page_index_for_row_group(i);
        let pages = index.page_locations(column).ok_or("it has no page index of `pixels`")?;
        if group.column(column).compression() != Compression::UNCOMPRESSED || pages.len() as i64 != group.num_rows() {
            return Err("its pixels are compressed or share pages; it was not written by Candling".to_owned());
        }
        for page in pages {
            let end = usize::try_from(page.offset)
                .ok()
                .zip(usize::try_from(page.compressed_page_size).ok())
                .and_then(|(offset, bytes)| offset.checked_add(bytes).filter(|_| bytes >= length))
                .filter(|end| *end <= file_len)
                .ok_or("its page index points outside the file")?;
            ranges.push(end - length..end);
        }
    }
    Ok(ranges)
}

/// Reads all columns except the pixels.
fn read_samples(file: File, metadata: ArrowReaderMetadata, path: &Path) -> Result<Vec<Sample>> {
    let malformed = |detail: String| Error::malformed(path, "shard", detail);
    let schema = metadata.metadata().file_metadata().schema_descr_ptr();
    let all_but_pixels = (0..schema.num_columns()).filter(|&i| schema.column(i).name() != PIXELS);
    let mask = ProjectionMask::leaves(&schema, all_but_pixels);
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
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
        });
    }
    Ok(())
}
