//! Shards: parquet files of labelled, already resized pixels.
//!
//! Any parquet reader can read them. Candling itself reads metadata once and then takes pixels straight from the
//! memory-mapped file, in any order: the `pixels` column is plain, uncompressed and has one row a page, so that
//! the page index says where each image lies. A globally shuffled epoch thus costs no decoding and no copy.

mod read;
mod write;

pub use read::{ShardSet, Shards};
pub use write::{DEFAULT_ROWS, ShardWriter};

use serde::{Deserialize, Serialize};

use crate::hash::Hash;
use crate::{Label, Split};

/// Version of the shards' schema, in each file's metadata.
const SCHEMA_VERSION: u32 = 1;
/// Key of the schema version in a file's metadata.
const VERSION_KEY: &str = "candling.schema_version";
/// Key of the stored height in a file's metadata.
const HEIGHT_KEY: &str = "candling.height";
/// Key of the stored width in a file's metadata.
const WIDTH_KEY: &str = "candling.width";
/// The column of pixels.
const PIXELS: &str = "pixels";

/// What is known of one image besides its pixels. Of its file, `width`, `height` and `file_bytes` are 0 and `format` is
/// empty where ingest was told to strip them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// BLAKE3 of the source file.
    pub id: Hash,
    /// Where the source has it.
    pub path: String,
    /// Its class.
    pub label: Label,
    /// What it may be used for.
    pub split: Split,
    /// The generator, "" where unknown and for photographs.
    pub generator: String,
    /// Width of the source image in pixels.
    pub width: u32,
    /// Height of the source image in pixels.
    pub height: u32,
    /// Format of the source file by its content: "jpeg", "png" …
    pub format: String,
    /// Length of the source file.
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
    fn shards_round_trip_in_any_order() {
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
    fn equal_content_gives_equal_bytes() {
        let [a, b] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        write(a.path(), 12, 5);
        write(b.path(), 12, 5);
        let name = "train-00001-of-00003.parquet";
        assert_eq!(std::fs::read(a.path().join(name)).unwrap(), std::fs::read(b.path().join(name)).unwrap());
    }

    #[test]
    fn a_cut_shard_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 4, 10);
        let path = dir.path().join("train-00000-of-00001.parquet");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let error = Shards::open(dir.path(), Split::Train).unwrap_err();
        assert!(matches!(&error, Error::Malformed { .. }) && error.to_string().contains("train-00000"), "{error}");
    }

    #[test]
    fn a_missing_split_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 4, 10);
        let error = Shards::open(dir.path(), Split::Test).unwrap_err();
        assert!(error.to_string().contains("test split"), "{error}");
    }

    #[test]
    fn pixels_of_the_wrong_length_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = ShardWriter::new(dir.path(), Split::Train, [5, 7], 10);
        assert!(writer.push(sample(0, Split::Train), &[0; 9]).is_err());
    }
}
