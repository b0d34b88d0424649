//! Opens shards and reads images from them in any order.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::open::Shard;
use super::{FILE, Sample};
use crate::hash::Hash;
use crate::{Error, Manifest, Result, Split, command, names};

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

/// The images of one split in a fixed order, with memory-mapped pixels and, if they were kept, image files.
///
/// The files must not change while they are open. Stages never change a file; they replace whole folders.
#[derive(Debug)]
pub struct Shards {
    /// Height and width of all images.
    size: [usize; 2],
    split: Split,
    dir: PathBuf,
    samples: Vec<Sample>,
    /// For each sample: the index in `maps`, and the offset of its pixels there.
    locations: Vec<(usize, usize)>,
    /// For each sample, the position of its kept file in the map of `locations`. `None` if no files were kept.
    files: Option<Vec<Range<usize>>>,
    maps: Vec<Bytes>,
}

impl Shards {
    /// Opens all shards of a split in a folder. Needs no manifest and checks no digests.
    pub fn open(dir: &Path, split: Split) -> Result<Shards> {
        Shards::from_files(dir, split, &shard_paths(dir, split)?)
    }

    fn from_files(dir: &Path, split: Split, paths: &[PathBuf]) -> Result<Shards> {
        let mut shards = Shards {
            size: [0, 0],
            split,
            dir: dir.to_owned(),
            samples: Vec::new(),
            locations: Vec::new(),
            files: None,
            maps: Vec::new(),
        };
        for path in paths {
            shards.append(path)?;
        }
        if shards.samples.is_empty() {
            return Err(Error::Missing {
                artifact: format!("{split} split"),
                path: dir.to_owned(),
                advice: format!("check the source's layout and [ingest], then run `{}`", command::line("ingest")),
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

    /// The file of image `i` that ingest kept, in its encoded form, without a copy. `None` if ingest kept no files.
    /// Panics if `i` is out of range.
    pub fn file(&self, i: usize) -> Option<&[u8]> {
        let (map, _) = self.locations[i];
        self.files.as_ref().map(|files| &self.maps[map][files[i].clone()])
    }

    /// Returns whether ingest kept the files of the images. Then it kept all of them.
    pub fn has_files(&self) -> bool {
        self.files.is_some()
    }

    /// Checks that ingest kept the files of the images.
    ///
    /// # Errors
    /// It did not. The error says how to keep them.
    pub fn require_files(&self) -> Result<()> {
        if self.has_files() {
            return Ok(());
        }
        Err(Error::Missing {
            artifact: format!("column `{FILE}` in the shards of the {} split", self.split),
            path: self.dir.clone(),
            advice: "set ingest.keep_files = true and run ingest again".to_owned(),
        })
    }

    fn append(&mut self, path: &Path) -> Result<()> {
        let malformed = |detail: String| Err(Error::malformed(path, "shard", detail));
        let Shard { size, samples, pixels, files, map } = Shard::open(path)?;
        if self.maps.is_empty() {
            self.size = size;
            self.files = files.is_some().then(Vec::new);
        } else if self.size != size {
            return malformed(format!(
                "its images have height and width {size:?}, but the images of earlier shards have {:?}",
                self.size
            ));
        }
        match (&mut self.files, files) {
            (Some(all), Some(files)) => all.extend(files),
            (None, None) => {}
            _ => return malformed(format!("only some shards of the split have a column `{FILE}`")),
        }
        self.samples.extend(samples);
        self.locations.extend(pixels.into_iter().map(|range| (self.maps.len(), range.start)));
        self.maps.push(map);
        Ok(())
    }
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
