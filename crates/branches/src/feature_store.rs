//! Features of a frozen branch on disk, so that they are computed once.
//!
//! The folder of a store is named after the branch and a digest of the images and of the branch's weights and settings.
//! The store holds chunks of images, one file for each view and [`CHUNK`] rows. The name of a view stands for the changes to the images.
//! A file appears atomically, so an interrupted computation continues where it stopped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use artifacts::hash::Hash;
use artifacts::{Split, atomic};
use safetensors::tensor::{Dtype, TensorView};
use serde::Deserialize;

use crate::batch::BranchFeatures;
use crate::config::BranchName;
use crate::error::Result;

/// The number of images in a file.
pub(crate) const CHUNK: usize = 128;
/// The tensor of the features, `[n, width]`.
const VALUES: &str = "features";
/// The tensor that states which images the branch has features of, `[n]`.
const FLAGS: &str = "present";
/// The longest header of a chunk that is read.
const MAX_HEADER: u64 = 1 << 20;

/// The features of one branch for the images of one split, in several views.
#[derive(Debug)]
pub(crate) struct FeatureStore {
    dir: PathBuf,
    split: Split,
    rows: usize,
    branch: BranchName,
    /// The number of features of an image.
    width: usize,
    /// The names of the views.
    views: Vec<String>,
    /// Complete chunks by view and number.
    chunks: BTreeMap<(usize, usize), Chunk>,
}

/// An open file of a store.
#[derive(Debug)]
struct Chunk {
    file: File,
    /// The offset of the features in the file.
    values: u64,
    /// The offset of the flags in the file.
    flags: u64,
}

/// A tensor in the header of a safetensors file. The reader of the crate needs the whole file, not only its header.
#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

impl FeatureStore {
    /// Opens the store `root/KEY` for some views, and creates the folder if it does not exist. `rows` is the number of
    /// images of `split`; `width` the number of features of an image. Damaged files count as missing.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub(crate) fn open(
        root: &Path,
        key: Hash,
        (split, rows): (Split, usize),
        (branch, width): (BranchName, usize),
        views: Vec<String>,
    ) -> Result<FeatureStore> {
        let dir = root.join(format!("{branch}-{}", key.short()));
        fs::create_dir_all(&dir).map_err(artifacts::Error::io("create", &dir))?;
        let mut store = FeatureStore { dir, split, rows, branch, width, views, chunks: BTreeMap::new() };
        for view in 0..store.views.len() {
            for chunk in 0..rows.div_ceil(CHUNK) {
                if let Some(open) = store.open_chunk(view, chunk) {
                    store.chunks.insert((view, chunk), open);
                }
            }
        }
        Ok(store)
    }

    /// The branch whose features these are.
    pub(crate) fn branch(&self) -> BranchName {
        self.branch
    }

    /// The number of views.
    pub(crate) fn views(&self) -> usize {
        self.views.len()
    }

    /// The chunks that are still to be computed: the index of a view and the range of rows.
    pub(crate) fn missing(&self) -> Vec<(usize, Range<usize>)> {
        let all = (0..self.views()).flat_map(|view| (0..self.rows.div_ceil(CHUNK)).map(move |chunk| (view, chunk)));
        all.filter(|key| !self.chunks.contains_key(key)).map(|(view, chunk)| (view, self.range(chunk))).collect()
    }

    /// Writes the features of one of the [`FeatureStore::missing`] chunks.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&mut self, view: usize, rows: &Range<usize>, features: &BranchFeatures) -> Result<()> {
        let chunk = rows.start / CHUNK;
        let flags: Vec<u8> = features.present.iter().map(|&present| u8::from(present)).collect();
        let n = features.len();
        let values = TensorView::new(Dtype::F32, vec![n, self.width], bytemuck::cast_slice(&features.values))?;
        let flags = TensorView::new(Dtype::U8, vec![n], &flags)?;
        let bytes = safetensors::serialize([(VALUES.to_owned(), values), (FLAGS.to_owned(), flags)], None)?;
        atomic::write_file(&self.path(view, chunk), &bytes)?;
        if let Some(open) = self.open_chunk(view, chunk) {
            self.chunks.insert((view, chunk), open);
        }
        Ok(())
    }

    /// Appends the features of an image to `to`.
    ///
    /// # Errors
    /// The chunk is missing or cannot be read.
    pub(crate) fn read(&self, view: usize, row: usize, to: &mut BranchFeatures) -> Result<()> {
        let number = row / CHUNK;
        let path = || self.path(view, number);
        let chunk = self.chunks.get(&(view, number)).ok_or_else(|| {
            let advice = format!("run `{}` again, which computes it", artifacts::command::line("train"));
            artifacts::Error::Missing { artifact: "chunk of features".to_owned(), path: path(), advice }
        })?;
        let at = (row % CHUNK) as u64;
        let mut flag = [0];
        let mut values = vec![0_f32; self.width];
        let read = chunk.file.read_exact_at(&mut flag, chunk.flags + at).and_then(|()| {
            let offset = chunk.values + at * self.width as u64 * 4;
            chunk.file.read_exact_at(bytemuck::cast_slice_mut(&mut values), offset)
        });
        read.map_err(artifacts::Error::io("read", &path()))?;
        to.push((flag[0] == 1).then_some(values.as_slice()));
        Ok(())
    }

    fn range(&self, chunk: usize) -> Range<usize> {
        chunk * CHUNK..((chunk + 1) * CHUNK).min(self.rows)
    }

    fn path(&self, view: usize, chunk: usize) -> PathBuf {
        self.dir.join(format!("{}-{}-{chunk:05}.safetensors", self.split, self.views[view]))
    }

    /// Opens a chunk. Returns `None` if it does not exist or does not have the expected tensors.
    fn open_chunk(&self, view: usize, chunk: usize) -> Option<Chunk> {
        let file = File::open(self.path(view, chunk)).ok()?;
        let mut length = [0; 8];
        file.read_exact_at(&mut length, 0).ok()?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER {
            return None;
        }
        let mut header = vec![0; length as usize];
        file.read_exact_at(&mut header, 8).ok()?;
        let header: BTreeMap<String, Tensor> = serde_json::from_slice(&header).ok()?;
        let start = 8 + length;
        let n = self.range(chunk).len();
        let offset = |name: &str, dtype: &str, shape: &[usize]| {
            let tensor = header.get(name).filter(|tensor| tensor.dtype == dtype && tensor.shape == shape)?;
            Some(start + tensor.data_offsets[0])
        };
        let values = offset(VALUES, "F32", &[n, self.width])?;
        let flags = offset(FLAGS, "U8", &[n])?;
        let end = header.values().map(|tensor| tensor.data_offsets[1]).max()?;
        (Some(file.metadata().ok()?.len()) == start.checked_add(end)).then_some(Chunk { file, values, flags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 3;

    fn open(root: &Path) -> FeatureStore {
        let key = Hash::of(b"images and weights");
        let views = ["plain", "changed"].map(str::to_owned).to_vec();
        FeatureStore::open(root, key, (Split::Train, CHUNK + 2), (BranchName::Vit, WIDTH), views).unwrap()
    }

    fn features(view: usize, rows: &Range<usize>) -> BranchFeatures {
        let mut features = BranchFeatures::new(WIDTH);
        for row in rows.clone() {
            features.push((row % 2 == 0).then_some(&[row as f32, view as f32, 0.5][..]));
        }
        features
    }

    #[test]
    fn reads_what_was_written_and_continues_after_an_interruption() {
        let root = tempfile::tempdir().unwrap();
        let mut store = open(root.path());
        let missing = store.missing();
        assert_eq!(missing, [(0, 0..CHUNK), (0, CHUNK..CHUNK + 2), (1, 0..CHUNK), (1, CHUNK..CHUNK + 2)]);
        for (view, rows) in &missing[..3] {
            store.write(*view, rows, &features(*view, rows)).unwrap();
        }
        let mut store = open(root.path());
        assert_eq!(store.missing(), missing[3..]);
        store.write(1, &missing[3].1, &features(1, &missing[3].1)).unwrap();
        let mut read = BranchFeatures::new(WIDTH);
        store.read(1, CHUNK, &mut read).unwrap();
        store.read(0, 5, &mut read).unwrap();
        assert_eq!((read.row(0), read.row(1)), (Some(&[CHUNK as f32, 1.0, 0.5][..]), None));
    }

    #[test]
    fn computes_damaged_chunks_again() {
        let root = tempfile::tempdir().unwrap();
        let mut store = open(root.path());
        for (view, rows) in store.missing() {
            store.write(view, &rows, &features(view, &rows)).unwrap();
        }
        let path = store.path(0, 1);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let damaged = open(root.path());
        assert_eq!(damaged.missing(), [(0, CHUNK..CHUNK + 2)]);
        let error = damaged.read(0, CHUNK, &mut BranchFeatures::new(WIDTH)).unwrap_err();
        assert!(error.to_string().contains("chunk of features"), "{error}");
    }
}
