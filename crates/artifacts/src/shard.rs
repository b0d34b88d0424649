//! Shards: parquet files of labelled, resized images.
//!
//! Any parquet reader can read them. The column `pixels` is uncompressed and plain-encoded with one row per page, so
//! that the page index gives the position of each image. Candling reads the metadata once, and then reads pixels from
//! the memory-mapped file in any order. A shuffled epoch needs no decoding and no copy.

mod read;
mod write;

pub use read::{ShardSet, Shards};
pub use write::{DEFAULT_ROWS, ShardWriter};

use serde::{Deserialize, Serialize};

use crate::hash::Hash;
use crate::{Label, Split};

/// Version of the shard schema, recorded in the metadata of each file.
const SCHEMA_VERSION: u32 = 1;
/// Metadata key of the schema version.
const VERSION_KEY: &str = "candling.schema_version";
/// Metadata key of the height of the stored images.
const HEIGHT_KEY: &str = "candling.height";
/// Metadata key of the width of the stored images.
const WIDTH_KEY: &str = "candling.width";
/// Name of the pixel column.
const PIXELS: &str = "pixels";

/// The columns of one image besides its pixels. With `ingest.strip`, `width`, `height` and `file_bytes` are 0 and
/// `format` is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// BLAKE3 digest of the source file.
    pub id: Hash,
    /// Path of the file in its source.
    pub path: String,
    /// Its class.
    pub label: Label,
    /// Its split.
    pub split: Split,
    /// The generator; empty for photographs and if unknown.
    pub generator: String,
    /// Width of the source image in pixels.
    pub width: u32,
    /// Height of the source image in pixels.
    pub height: u32,
    /// Format of the source file, detected from its content: "jpeg", "png" …
    pub format: String,
    /// Length of the source file in bytes.
    pub file_bytes: u64,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Error;

    fn sample(i: u32, split: Split) -> Sample {
        Sample {
            id: Hash::of(&i.to_le_bytes()),
            path: format!("{split}/real/{i}.jpg"),
            label: if i.is_multiple_of(2) { Label::Real } else { Label::Fake },
            split,
            generator: String::new(),
            width: 10 + i,
            height: 20,
            format: "jpeg".to_owned(),
            file_bytes: 1000,
        }
    }

    fn pixels(i: u32) -> Vec<u8> {
        (0..5 * 7 * 3).map(|k| (k * 31 + i * 17) as u8).collect()
    }

    fn write(dir: &Path, rows: u32, rows_per_shard: usize) {
        let mut writer = ShardWriter::new(dir, Split::Train, [5, 7], rows_per_shard);
        for i in 0..rows {
            writer.push(sample(i, Split::Train), &pixels(i)).unwrap();
        }
        writer.finish().unwrap();
    }

    #[test]
    fn round_trips_in_any_order() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 23, 10);
        assert!(dir.path().join("train-00002-of-00003.parquet").exists());
        let shards = Shards::open(dir.path(), Split::Train).unwrap();
        assert_eq!((shards.len(), shards.size()), (23, [5, 7]));
        for i in (0..23).rev() {
            assert_eq!(shards.sample(i), &sample(i as u32, Split::Train));
            assert_eq!(shards.pixels(i), pixels(i as u32), "image {i}");
        }
    }

    #[test]
    fn writes_equal_bytes_for_equal_content() {
        let [a, b] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        write(a.path(), 12, 5);
        write(b.path(), 12, 5);
        let name = "train-00001-of-00003.parquet";
        assert_eq!(std::fs::read(a.path().join(name)).unwrap(), std::fs::read(b.path().join(name)).unwrap());
    }

    #[test]
    fn error_for_truncated_shard_names_file() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 4, 10);
        let path = dir.path().join("train-00000-of-00001.parquet");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let error = Shards::open(dir.path(), Split::Train).unwrap_err();
        assert!(matches!(&error, Error::Malformed { .. }) && error.to_string().contains("train-00000"), "{error}");
    }

    #[test]
    fn error_for_missing_split_names_split() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 4, 10);
        let error = Shards::open(dir.path(), Split::Test).unwrap_err();
        assert!(error.to_string().contains("test split"), "{error}");
    }

    #[test]
    fn rejects_pixels_of_wrong_length() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = ShardWriter::new(dir.path(), Split::Train, [5, 7], 10);
        assert!(writer.push(sample(0, Split::Train), &[0; 9]).is_err());
    }
}
