//! Shards of tiny images.

use std::fs;

use artifacts::hash::Hash;
use artifacts::shard::{Sample, ShardWriter};
use artifacts::stage::Failure;
use artifacts::{Label, Split};

/// Height and width of the images.
const SIZE: [usize; 2] = [2, 3];

/// Writes a shard of each schema version. The second one has the files of the images and a column of the source.
///
/// # Errors
/// A shard cannot be written.
pub(super) fn seeds() -> Result<Vec<Vec<u8>>, Failure> {
    [false, true].into_iter().map(shard).collect()
}

fn shard(with_files: bool) -> Result<Vec<u8>, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::failed)?;
    let mut writer = match with_files {
        true => ShardWriter::with_files(folder.path(), Split::Test, SIZE, 4).with_columns(&["camera".to_owned()]),
        false => ShardWriter::new(folder.path(), Split::Test, SIZE, 4),
    };
    for row in 0..2_u8 {
        let file = vec![row; 5 + usize::from(row)];
        let sample = Sample {
            id: Hash::of(&file),
            path: format!("test/{row}.jpg"),
            label: if row == 0 { Label::Real } else { Label::Fake },
            split: Split::Test,
            generator: ["", "sdxl"][usize::from(row)].to_owned(),
            width: 3,
            height: 2,
            format: "jpeg".to_owned(),
            file_bytes: file.len() as u64,
            columns: [("camera".to_owned(), "a camera".to_owned())].into(),
        };
        let pixels = [row; SIZE[0] * SIZE[1] * 3];
        match with_files {
            true => writer.push_with_file(sample, &pixels, &file)?,
            false => writer.push(sample, &pixels)?,
        }
    }
    writer.finish()?;
    let path = folder.path().join("test-00000-of-00001.parquet");
    Ok(fs::read(&path).map_err(artifacts::Error::io("read", &path))?)
}

#[cfg(test)]
mod tests {
    use artifacts::shard::Shards;

    use super::*;

    #[test]
    fn the_shards_are_valid() {
        for (shard, has_files) in seeds().unwrap().into_iter().zip([false, true]) {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("test-00000-of-00001.parquet"), shard).unwrap();
            let shards = Shards::open(folder.path(), Split::Test).unwrap();
            assert_eq!((shards.len(), shards.size(), shards.has_files()), (2, SIZE, has_files));
            assert_eq!(shards.pixels(1), [1; 18]);
            assert_eq!(shards.file(1), has_files.then_some([1; 6].as_slice()));
            assert_eq!(shards.sample(0).columns.len(), usize::from(has_files));
        }
    }
}
