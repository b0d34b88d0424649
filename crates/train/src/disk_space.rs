//! Checks before the first step of a training that its checkpoints fit on the disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use artifacts::{Checkpoint, atomic};
use candle_core::Tensor;

use crate::checkpoint::{Description, TrainingPosition};
use crate::error::Error;
use crate::learner::Learner;

/// More than the bytes of a tensor's entry in the header of a safetensors file, without its name.
const ENTRY_BYTES: u64 = 128;
/// More than the bytes that a file takes besides its content: its last block is rounded up.
const FILE_BYTES: u64 = 4096;
/// The number of files of a checkpoint.
const FILES: u64 = 4;

/// The training whose checkpoints must fit.
#[derive(Clone, Copy)]
pub(crate) struct SpaceCheck<'a> {
    /// The folder of the checkpoints.
    pub(crate) folder: &'a Path,
    /// The number of epochs.
    pub(crate) epochs: usize,
    /// The JSON files of a checkpoint.
    pub(crate) description: &'a Description,
    /// The position in the training, which is part of a checkpoint.
    pub(crate) position: &'a TrainingPosition,
    /// Returns the free bytes on the file system of a folder, or `None` if they are unknown.
    pub(crate) free_space: &'a dyn Fn(&Path) -> Option<u64>,
}

impl SpaceCheck<'_> {
    /// Checks that the checkpoints of `learner` fit. Does nothing if the free space is unknown.
    ///
    /// # Errors
    /// [`Error::DiskFull`], or a tensor of the learner cannot be read.
    pub(crate) fn check(&self, learner: &dyn Learner) -> Result<(), Error> {
        let Some(free) = (self.free_space)(self.folder) else { return Ok(()) };
        let checkpoint = learner.checkpoint_bytes()?.saturating_add(self.description_bytes());
        let total = checkpoint.saturating_mul(copies(self.epochs, supports_hard_links(self.folder)));
        let needed = total.saturating_sub(checkpoint_bytes_in(self.folder));
        if fits(needed, free) { Ok(()) } else { Err(Error::DiskFull { folder: self.folder.to_owned(), needed, free }) }
    }

    /// Bounds the bytes of a checkpoint besides its tensors.
    fn description_bytes(&self) -> u64 {
        fn json<T: serde::Serialize>(value: &T) -> u64 {
            serde_json::to_vec_pretty(value).map_or(0, |text| text.len() as u64)
        }
        // The position is a string in JSON, where quotation marks take two bytes.
        json(&self.description.model)
            + json(&self.description.preprocessor)
            + 2 * json(self.position)
            + FILES * FILE_BYTES
    }
}

/// Whether what a training will write fits on the disk.
fn fits(needed: u64, free: u64) -> bool {
    needed <= free
}

/// Returns the largest number of different checkpoints that are on the disk at one time: `best`, `last`, and the new one
/// that replaces `last`. The new one shares its files with `best` if the file system has hard links, and is copied
/// otherwise. A training of one epoch has no `best` before its end.
fn copies(epochs: usize, hard_links: bool) -> u64 {
    let earlier = if epochs > 1 { 2 } else { 1 };
    earlier + if hard_links { 1 } else { 2 }
}

/// Bounds the bytes that a safetensors file with these tensors has on disk.
pub(crate) fn tensor_bytes(tensors: &BTreeMap<String, Tensor>) -> u64 {
    let bytes = |(name, tensor): (&String, &Tensor)| {
        (tensor.elem_count() * tensor.dtype().size_in_bytes() + name.len()) as u64 + ENTRY_BYTES
    };
    tensors.iter().map(bytes).sum()
}

/// Returns whether files of the folder can have a second name. If that is unknown, returns `true`.
fn supports_hard_links(folder: &Path) -> bool {
    let [probe, link] = [".link.partial", ".link-2.partial"].map(|name| folder.join(name));
    let supported = match fs::write(&probe, "") {
        Ok(()) => fs::hard_link(&probe, &link).is_ok(),
        Err(_) => true,
    };
    for file in [probe, link] {
        // The file may not exist.
        let _ = fs::remove_file(file);
    }
    supported
}

/// Returns the bytes that the checkpoints in the folder of a run take, complete or not. They will be replaced. Counts files
/// with two names once.
fn checkpoint_bytes_in(folder: &Path) -> u64 {
    let paths = [Checkpoint::best(folder), Checkpoint::last(folder)].map(|checkpoint| checkpoint.path().to_owned());
    let unpublished = paths.each_ref().map(|path| atomic::hidden_sibling(path, "partial"));
    let checkpoints =
        paths.into_iter().chain(unpublished).flat_map(|path| fs::read_dir(path).into_iter().flatten().flatten());
    let mut files = BTreeMap::new();
    for file in checkpoints {
        if let Ok(metadata) = file.metadata() {
            files.insert(identity(&file.path(), &metadata), metadata.len());
        }
    }
    files.into_values().sum()
}

/// Identifies the content of a file, whatever its name.
#[cfg(unix)]
fn identity(_path: &Path, metadata: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(path: &Path, _metadata: &fs::Metadata) -> std::path::PathBuf {
    path.to_owned()
}

/// Returns the bytes that this user can still write on the file system of `folder`. Returns `None` if the system does not
/// report them.
#[cfg(unix)]
pub(crate) fn free_space(folder: &Path) -> Option<u64> {
    let system = rustix::fs::statvfs(folder).ok()?;
    system.f_bavail.checked_mul(system.f_frsize)
}

#[cfg(not(unix))]
pub(crate) fn free_space(_folder: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decides_from_needed_and_free_bytes() {
        assert!(fits(0, 0) && fits(10, 10) && fits(10, 11));
        assert!(!fits(10, 9) && !fits(u64::MAX, u64::MAX - 1));
    }

    #[test]
    fn counts_checkpoints_that_exist_at_one_time() {
        assert_eq!([copies(1, true), copies(2, true), copies(9, true)], [2, 3, 3]);
        assert_eq!([copies(1, false), copies(2, false)], [3, 4]);
    }

    #[test]
    fn counts_existing_checkpoints_once() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(checkpoint_bytes_in(&folder.path().join("absent")), 0);
        for (checkpoint, bytes) in [("last", 100), (".last.partial", 20), ("backbone", 1000), ("best", 3)] {
            let checkpoint = folder.path().join(checkpoint);
            fs::create_dir(&checkpoint).unwrap();
            fs::write(checkpoint.join("state"), vec![0; bytes]).unwrap();
        }
        assert_eq!(checkpoint_bytes_in(folder.path()), 123);
        if supports_hard_links(folder.path()) && cfg!(unix) {
            fs::hard_link(folder.path().join("last/state"), folder.path().join("best/same")).unwrap();
            assert_eq!(checkpoint_bytes_in(folder.path()), 123);
        }
        assert!(!folder.path().join(".link.partial").exists());
    }

    #[cfg(unix)]
    #[test]
    fn reads_free_space() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_space(folder.path()).is_some());
        assert_eq!(free_space(&folder.path().join("absent")), None);
    }
}
