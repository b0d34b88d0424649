//! Shards of tiny images, and the predictions for them.

use std::fs;

use artifacts::hash::Hash;
use artifacts::predictions::{self, Prediction};
use artifacts::shard::{Sample, ShardWriter};
use artifacts::stage::Failure;
use artifacts::{Label, Split, names};

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

/// Writes the predictions of an evaluation for two images.
///
/// # Errors
/// The file cannot be written.
pub(super) fn scores() -> Result<Vec<u8>, Failure> {
    let rows = [0.25, 0.75].map(|p_fake| Prediction {
        id: Hash::of(b"a file"),
        path: "test/a.jpg".to_owned(),
        label: Label::Real,
        generator: String::new(),
        run: 0,
        logit_real: -1.5,
        logit_fake: 1.5,
        p_fake,
        p_fake_calibrated: (p_fake > 0.5).then_some(p_fake),
        predicted: Label::Fake,
        branches: [("vit".to_owned(), Some(0.5)), ("metadata".to_owned(), None)].into(),
        columns: [("camera".to_owned(), "a camera".to_owned())].into(),
    });
    let folder = tempfile::tempdir().map_err(Failure::failed)?;
    let path = folder.path().join(names::PREDICTIONS);
    predictions::write(&path, &rows)?;
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
