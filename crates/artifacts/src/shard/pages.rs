//! The byte ranges of pixels and kept files in a shard, from its page index.

use std::ops::Range;

use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::ParquetMetaData;

use super::{FILE, PIXELS};

/// The length of the number that precedes each value of a plain-encoded column of byte arrays.
const PREFIX: usize = 4;

/// Returns the byte range of each image's pixels in a shard of `shard_bytes` bytes. A page ends with the pixels of its
/// only row.
pub(super) fn pixel_ranges(
    metadata: &ParquetMetaData,
    size: [usize; 2],
    shard_bytes: usize,
) -> Result<Vec<Range<usize>>, String> {
    let column = find(metadata, PIXELS)?;
    let descriptor = metadata.file_metadata().schema_descr().column(column);
    let length = size[0].checked_mul(size[1]).and_then(|n| n.checked_mul(3)).ok_or("its images are too large")?;
    if descriptor.physical_type() != PhysicalType::FIXED_LEN_BYTE_ARRAY
        || usize::try_from(descriptor.type_length()) != Ok(length)
        || descriptor.max_def_level() != 0
    {
        return Err(format!("its column `pixels` is not {} x {} x 3 required bytes", size[0], size[1]));
    }
    let mut ranges = Vec::new();
    for group in 0..metadata.num_row_groups() {
        for page in pages(metadata, group, column, shard_bytes)? {
            let start = page.end.checked_sub(length).filter(|start| *start >= page.start);
            ranges.push(start.ok_or("its page index points outside the file")?..page.end);
        }
    }
    Ok(ranges)
}

/// Returns the byte range of each kept file in a shard with the bytes `shard`. A page ends with the file of its only
/// row, after the length of the file. The page index has the length too. They must agree.
pub(super) fn file_ranges(metadata: &ParquetMetaData, shard: &[u8]) -> Result<Vec<Range<usize>>, String> {
    let column = find(metadata, FILE)?;
    let descriptor = metadata.file_metadata().schema_descr().column(column);
    if descriptor.physical_type() != PhysicalType::BYTE_ARRAY || descriptor.max_def_level() != 0 {
        return Err(format!("its column `{FILE}` is not of required byte arrays"));
    }
    let mut ranges = Vec::new();
    for group in 0..metadata.num_row_groups() {
        let pages = pages(metadata, group, column, shard.len())?;
        let index = metadata.page_index_for_row_group(group);
        let lengths = index.offset_index(column).and_then(|index| index.unencoded_byte_array_data_bytes());
        let lengths = lengths.filter(|lengths| lengths.len() == pages.len());
        for (page, &length) in pages.iter().zip(lengths.ok_or("its page index has no lengths of the files")?) {
            ranges.push(file_range(page, length, shard).ok_or_else(|| {
                format!("the length of file {} differs between the page index and the page", ranges.len())
            })?);
        }
    }
    Ok(ranges)
}

/// Returns the byte range of the file that ends a page. `None` if the length before it is not `length`.
fn file_range(page: &Range<usize>, length: i64, shard: &[u8]) -> Option<Range<usize>> {
    let start = page.end.checked_sub(usize::try_from(length).ok()?)?;
    let prefix = start.checked_sub(PREFIX).filter(|prefix| *prefix >= page.start)?;
    (shard.get(prefix..start)? == u32::try_from(length).ok()?.to_le_bytes()).then_some(start..page.end)
}

/// Returns the index of a column by its name.
fn find(metadata: &ParquetMetaData, name: &str) -> Result<usize, String> {
    let schema = metadata.file_metadata().schema_descr();
    (0..schema.num_columns())
        .find(|&i| schema.column(i).name() == name)
        .ok_or_else(|| format!("it has no column `{name}`"))
}

/// Returns the byte ranges of the pages of a column in a row group, with their headers. Each page must have one row.
fn pages(
    metadata: &ParquetMetaData,
    group: usize,
    column: usize,
    shard_bytes: usize,
) -> Result<Vec<Range<usize>>, String> {
    let name = metadata.file_metadata().schema_descr().column(column).name().to_owned();
    let index = metadata.page_index_for_row_group(group);
    let pages = index.page_locations(column).ok_or_else(|| format!("it has no page index of `{name}`"))?;
    let group = metadata.row_group(group);
    if pages.len() as i64 != group.num_rows() {
        return Err(format!("several rows of its column `{name}` share a page; it was not written by Candling"));
    }
    let range = |offset: i64, bytes: i32| {
        let (offset, bytes) = (usize::try_from(offset).ok()?, usize::try_from(bytes).ok()?);
        Some(offset..offset.checked_add(bytes).filter(|end| *end <= shard_bytes)?)
    };
    pages
        .iter()
        .map(|page| range(page.offset, page.compressed_page_size))
        .collect::<Option<_>>()
        .ok_or_else(|| "its page index points outside the file".to_owned())
}
