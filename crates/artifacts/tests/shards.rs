//! Shards are written and read back, with and without the image files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use artifacts::hash::Hash;
use artifacts::shard::{Sample, ShardWriter, Shards};
use artifacts::{Error, Label, Split};

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
        columns: BTreeMap::new(),
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
fn keeps_cells_of_named_columns() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["camera".to_owned(), "subject".to_owned()];
    let mut writer = ShardWriter::new(dir.path(), Split::Train, [5, 7], 2).with_columns(&names);
    let with_cells = |i: u32| {
        let cells = if i == 1 { vec![] } else { vec![("camera".to_owned(), format!("Pixel {i}"))] };
        Sample { columns: cells.into_iter().collect(), ..sample(i, Split::Train) }
    };
    (0..3).for_each(|i| writer.push(with_cells(i), &pixels(i)).unwrap());
    writer.finish().unwrap();
    let shards = Shards::open(dir.path(), Split::Train).unwrap();
    (0..3).for_each(|i| assert_eq!(shards.sample(i as usize), &with_cells(i)));
}

#[test]
fn writes_equal_bytes_for_equal_content() {
    let [a, b] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    write(a.path(), 12, 5);
    write(b.path(), 12, 5);
    let name = "train-00001-of-00003.parquet";
    assert_eq!(fs::read(a.path().join(name)).unwrap(), fs::read(b.path().join(name)).unwrap());
}

#[test]
fn error_for_truncated_shard_names_file() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 4, 10);
    let path = dir.path().join("train-00000-of-00001.parquet");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
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

/// The bytes of image file `i`. File 3 is empty.
fn file(i: u32) -> Vec<u8> {
    (0..i.abs_diff(3) * 37).map(|k| (k * 7 + i) as u8).collect()
}

fn write_with_files(dir: &Path, rows: u32, rows_per_shard: usize) {
    let mut writer = ShardWriter::with_files(dir, Split::Train, [5, 7], rows_per_shard);
    for i in 0..rows {
        writer.push_with_file(sample(i, Split::Train), &pixels(i), &file(i)).unwrap();
    }
    writer.finish().unwrap();
}

/// The only shard of `dir`.
fn only_shard(dir: &Path) -> PathBuf {
    dir.join("train-00000-of-00001.parquet")
}

#[test]
fn files_round_trip_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    write_with_files(dir.path(), 23, 10);
    let shards = Shards::open(dir.path(), Split::Train).unwrap();
    assert_eq!((shards.len(), shards.has_files()), (23, true));
    shards.require_files().unwrap();
    for i in (0..23).rev() {
        assert_eq!(shards.sample(i), &sample(i as u32, Split::Train));
        assert_eq!(shards.pixels(i), pixels(i as u32), "image {i}");
        assert_eq!(shards.file(i), Some(file(i as u32).as_slice()), "image {i}");
    }
}

#[test]
fn files_of_several_row_groups_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    // Larger than a row group together.
    let file = |i: u32| vec![i as u8; (7 << 20) + i as usize];
    let mut writer = ShardWriter::with_files(dir.path(), Split::Train, [5, 7], 100);
    (0..4).for_each(|i| writer.push_with_file(sample(i, Split::Train), &pixels(i), &file(i)).unwrap());
    writer.finish().unwrap();
    let shards = Shards::open(dir.path(), Split::Train).unwrap();
    (0..4).for_each(|i| assert!(shards.file(i) == Some(&file(i as u32)), "image {i}"));
}

#[test]
fn shards_of_version_1_are_read_and_still_written_with_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    // The shard that this code wrote before the column `file` existed.
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/shards/version-1.parquet");
    fs::copy(&old, only_shard(dir.path())).unwrap();
    let shards = Shards::open(dir.path(), Split::Train).unwrap();
    for i in 0..4 {
        assert_eq!(shards.sample(i), &sample(i as u32, Split::Train));
        assert_eq!((shards.pixels(i), shards.file(i)), (pixels(i as u32).as_slice(), None));
    }
    let error = shards.require_files().unwrap_err().to_string();
    assert!(error.contains("set ingest.keep_files = true and run ingest again"), "{error}");

    write(dir.path(), 4, 10);
    assert!(fs::read(only_shard(dir.path())).unwrap() == fs::read(old).unwrap());
}

#[test]
fn rejects_rows_with_files_in_shards_without_and_the_reverse() {
    let dir = tempfile::tempdir().unwrap();
    let mut without = ShardWriter::new(dir.path(), Split::Train, [5, 7], 10);
    let error = without.push_with_file(sample(0, Split::Train), &pixels(0), b"file").unwrap_err().to_string();
    assert!(error.contains("train/real/0.jpg") && error.contains("keep none"), "{error}");
    let mut with = ShardWriter::with_files(dir.path(), Split::Train, [5, 7], 10);
    let error = with.push(sample(0, Split::Train), &pixels(0)).unwrap_err().to_string();
    assert!(error.contains("train/real/0.jpg` has no file"), "{error}");
}

#[test]
fn rejects_split_with_files_in_some_shards_only() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 4, 10);
    fs::rename(only_shard(dir.path()), dir.path().join("train-00000-of-00002.parquet")).unwrap();
    write_with_files(dir.path(), 4, 10);
    fs::rename(only_shard(dir.path()), dir.path().join("train-00001-of-00002.parquet")).unwrap();
    let error = Shards::open(dir.path(), Split::Train).unwrap_err().to_string();
    assert!(error.contains("train-00001-of-00002.parquet") && error.contains("only some shards"), "{error}");
}

#[test]
fn rejects_damaged_length_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    write_with_files(dir.path(), 10, 10);
    let path = only_shard(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    let content = file(9);
    let start = bytes.windows(content.len()).position(|window| window == content).unwrap();
    for at in start - 4..start {
        bytes[at] ^= 0x40;
        fs::write(&path, &bytes).unwrap();
        let error = Shards::open(dir.path(), Split::Train).unwrap_err().to_string();
        assert!(error.contains("train-00000-of-00001.parquet") && error.contains("length of file 9"), "{error}");
        bytes[at] ^= 0x40;
    }
}

#[test]
fn damaged_shards_give_errors_or_images_but_no_panics() {
    let dir = tempfile::tempdir().unwrap();
    write_with_files(dir.path(), 2, 10);
    let path = only_shard(dir.path());
    let intact = fs::read(&path).unwrap();
    let mut failed = 0;
    // The parquet reader panics on some of these shards. A backtrace for each would take most of the time of this test.
    let (this, hook) = (std::thread::current().id(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() != this {
            hook(info)
        }
    }));
    // Every place would take ten seconds.
    let places: Vec<usize> = (0..intact.len()).step_by(4).collect();
    for &at in &places {
        let mut bytes = intact.clone();
        bytes[at] ^= if at % 8 == 0 { 0x01 } else { 0x80 };
        fs::write(&path, &bytes).unwrap();
        match Shards::open(dir.path(), Split::Train) {
            Err(_) => failed += 1,
            Ok(shards) => (0..shards.len()).for_each(|i| {
                let _ = (shards.pixels(i).len(), shards.file(i).map(<[u8]>::len));
            }),
        }
    }
    let _ = std::panic::take_hook();
    assert!(failed > places.len() / 4, "{failed}");
}
