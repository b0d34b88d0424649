//! What this crate's tests share.

use std::path::Path;

use artifacts::hash::Hash;
use artifacts::shard::{Sample, ShardWriter};
use artifacts::{Code, Label, Manifest, RunDir, Split, random};
use rand::RngExt;
use tempfile::TempDir;

/// Side of the images: the smallest that the network takes.
pub(crate) const SIDE: usize = 32;

/// A run folder that goes away with its test.
pub(crate) struct TestRun(TempDir);

impl TestRun {
    /// The run.
    pub(crate) fn dir(&self) -> RunDir {
        RunDir::new(self.0.path())
    }
}

/// A run with a complete ingest artifact of so many images in each split: noise, the fakes brighter than the reals.
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
    complete(&ingest);
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
    };
    (sample, pixels)
}

fn complete(ingest: &Path) {
    let code = Code { version: 1, program: "test".to_owned(), executable: Hash::of(b"test") };
    let config = serde_json::json!({ "filter": "bilinear", "fit": "squash" });
    let manifest = Manifest::of(ingest, "ingest", code).unwrap();
    Manifest { config, ..manifest }.write(ingest).unwrap();
}
