//! Run folders with synthetic shards, for this crate's tests.

use std::collections::BTreeMap;
use std::path::Path;

use artifacts::hash::Hash;
use artifacts::shard::{Sample, ShardWriter};
use artifacts::{Code, Label, Manifest, RunDir, Split, random};
use pixels::RgbImage;
use pixels::encode::Subsampling;
use rand::RngExt;
use tempfile::TempDir;

/// Height and width of the images: the smallest that the network accepts.
pub(crate) const SIDE: usize = 32;

/// A temporary run folder, removed when dropped.
pub(crate) struct TestRun(TempDir);

impl TestRun {
    /// The paths in the folder.
    pub(crate) fn dir(&self) -> RunDir {
        RunDir::new(self.0.path())
    }
}

/// Creates a run like [`ingested`], whose shards also hold an encoded file of 64 x 64 pixels for each image. The fakes are
/// of two generators.
#[allow(dead_code, reason = "the test `signals` includes this file, and does not use this function")]
pub(crate) fn ingested_with_files(splits: &[(Split, usize)]) -> TestRun {
    let run = TestRun(tempfile::tempdir().unwrap());
    let ingest = run.dir().ingest();
    std::fs::create_dir_all(&ingest).unwrap();
    for &(split, images) in splits {
        let mut writer = ShardWriter::with_files(&ingest, split, [SIDE, SIDE], 10);
        for i in 0..images {
            let (sample, pixels) = image(split, i);
            let generator = if sample.label == Label::Fake { format!("gan-{}", i / 2 % 2) } else { String::new() };
            let mut random = random::stream(12, split.name(), &[i as u64]);
            let picture = RgbImage::from_fn(64, 64, |_, _| random.random());
            let file = pixels::encode::jpeg(&picture, 90, Subsampling::Full).unwrap();
            writer.push_with_file(Sample { id: Hash::of(&file), generator, ..sample }, &pixels, &file).unwrap();
        }
        writer.finish().unwrap();
    }
    write_manifest(&ingest);
    run
}

/// Creates a run with a complete ingest artifact that has the given number of images in each split. The images are
/// noise; the fake ones are brighter than the real ones.
pub(crate) fn ingested(splits: &[(Split, usize)]) -> TestRun {
    let run = TestRun(tempfile::tempdir().unwrap());
    let ingest = run.dir().ingest();
    std::fs::create_dir_all(&ingest).unwrap();
    for &(split, images) in splits {
        let mut writer = ShardWriter::new(&ingest, split, [SIDE, SIDE], 10);
        for i in 0..images {
            let (sample, pixels) = image(split, i);
            writer.push(sample, &pixels).unwrap();
        }
        writer.finish().unwrap();
    }
    write_manifest(&ingest);
    run
}

fn image(split: Split, i: usize) -> (Sample, Vec<u8>) {
    let label = Label::ALL[i % 2];
    let mut random = random::stream(11, split.name(), &[i as u64]);
    let floor = if label == Label::Fake { 100 } else { 0 };
    let pixels: Vec<u8> = (0..SIDE * SIDE * 3).map(|_| floor + random.random_range(0..150)).collect();
    let sample = Sample {
        id: Hash::of(&pixels),
        path: format!("{split}/{label}/{i}.png"),
        label,
        split,
        generator: String::new(),
        width: SIDE as u32,
        height: SIDE as u32,
        format: "png".to_owned(),
        file_bytes: 1,
        columns: BTreeMap::new(),
    };
    (sample, pixels)
}

fn write_manifest(ingest: &Path) {
    let code = Code { version: 1, program: "test".to_owned(), executable: Hash::of(b"test") };
    let config = serde_json::json!({ "filter": "bilinear", "fit": "squash" });
    let manifest = Manifest::of(ingest, "ingest", code).unwrap();
    Manifest { config, ..manifest }.write(ingest).unwrap();
}
