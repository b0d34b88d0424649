//! The partial file of a download: `NAME.part`, and `NAME.part.json`, which describes the file on the server.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use artifacts::atomic;
use serde::{Deserialize, Serialize};

use crate::{Checksum, Result};

/// The file on the server, as the first response described it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemoteFile {
    /// The value for `If-Range`: a strong entity tag, or the date of the last change.
    pub(crate) validator: Option<String>,
    /// The size of the file in bytes.
    pub(crate) total: Option<u64>,
    /// The checksum of the file.
    pub(crate) checksum: Option<Checksum>,
}

/// An open partial file, locked against other processes.
///
/// The lock is on the partial file itself. The system releases it when the process ends, so that a killed process
/// leaves no stale lock.
#[derive(Debug)]
pub(crate) struct PartialFile {
    target: PathBuf,
    path: PathBuf,
    file: File,
    bytes: u64,
    remote: Option<RemoteFile>,
}

/// The result of [`PartialFile::open`].
pub(crate) enum Opened {
    /// The download is not complete.
    Partial(PartialFile),
    /// The target exists.
    Complete,
}

impl PartialFile {
    /// Opens or creates the partial file of `target`. If another process has locked it, calls `on_wait` and waits.
    pub(crate) fn open(target: &Path, mut on_wait: impl FnMut()) -> Result<Opened> {
        let path = atomic::sibling(target, "part");
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(artifacts::Error::io("create", folder))?;
        }
        let mut file = loop {
            // Writing through a symbolic link would write outside the folder of the target.
            if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink()) {
                atomic::remove_file(&path)?;
            }
            let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let file = open.map_err(artifacts::Error::io("open", &path))?;
            lock(&file, &mut on_wait).map_err(artifacts::Error::io("lock", &path))?;
            // The process that held the lock may have removed or renamed the file. Another process may then have made
            // a new file with this name, which its own lock protects.
            let is_current = is_at(&file, &path).map_err(artifacts::Error::io("read", &path))?;
            if target.is_file() {
                // Another process completed the download.
                if is_current {
                    atomic::remove_file(&path)?;
                }
                return Ok(Opened::Complete);
            }
            if is_current {
                break file;
            }
        };
        let bytes = file.seek(SeekFrom::End(0)).map_err(artifacts::Error::io("read", &path))?;
        let remote = fs::read(description_path(&path)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Ok(Opened::Partial(PartialFile { target: target.to_owned(), path, file, bytes, remote }))
    }

    /// The size of the partial file in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the complete file.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The folder of the file.
    pub(crate) fn folder(&self) -> &Path {
        self.target.parent().unwrap_or(Path::new("."))
    }

    /// The description of the file on the server, if it is known.
    pub(crate) fn remote(&self) -> Option<&RemoteFile> {
        self.remote.as_ref()
    }

    /// Whether the partial file has all bytes.
    pub(crate) fn is_complete(&self) -> bool {
        self.remote.as_ref().and_then(|remote| remote.total) == Some(self.bytes)
    }

    /// Whether the partial file has all bytes of a file of `total` bytes, which does not contradict its description.
    pub(crate) fn is_all_of(&self, total: u64) -> bool {
        let recorded = self.remote.as_ref().and_then(|remote| remote.total);
        self.bytes == total && recorded.is_none_or(|recorded| recorded == total)
    }

    /// The validator for resuming this partial file. `None` if the file is empty, has no description, or is already as
    /// long as the whole file.
    pub(crate) fn validator(&self) -> Option<&str> {
        let remote = self.remote.as_ref()?;
        let fits = self.bytes > 0 && remote.total.is_none_or(|total| self.bytes < total);
        remote.validator.as_deref().filter(|_| fits)
    }

    /// Empties the partial file and records the description of the file that it will hold.
    pub(crate) fn begin(&mut self, remote: RemoteFile) -> Result<()> {
        self.clear()?;
        atomic::write_json(&self.description_path(), &remote)?;
        self.remote = Some(remote);
        Ok(())
    }

    /// Empties the partial file and removes its description.
    pub(crate) fn clear(&mut self) -> Result<()> {
        // Remove the description first. If the process is killed in between, the next process finds bytes without a
        // description, and drops them.
        atomic::remove_file(&self.description_path())?;
        self.remote = None;
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(artifacts::Error::io("empty", &self.path))?;
        self.bytes = 0;
        Ok(())
    }

    /// Appends bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(artifacts::Error::io("write", &self.path))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Records the current size as the size of the whole file. Call this after the end of a body of unknown length.
    pub(crate) fn mark_complete(&mut self) {
        if let Some(remote) = &mut self.remote {
            remote.total = Some(self.bytes);
        }
    }

    /// Removes the partial file and its description.
    pub(crate) fn remove(mut self) -> Result<()> {
        self.clear()?;
        Ok(atomic::remove_file(&self.path)?)
    }

    /// Syncs the complete file and renames it to its target.
    pub(crate) fn publish(self) -> Result<()> {
        self.file.sync_all().map_err(artifacts::Error::io("sync", &self.path))?;
        atomic::rename(&self.path, &self.target)?;
        Ok(atomic::remove_file(&self.description_path())?)
    }

    fn description_path(&self) -> PathBuf {
        description_path(&self.path)
    }
}

/// The path of the description of the partial file `path`.
fn description_path(path: &Path) -> PathBuf {
    atomic::sibling(path, "json")
}

/// Locks the file. If another process holds the lock, calls `on_wait` and waits. Does nothing on a file system without
/// locks.
fn lock(file: &File, on_wait: &mut impl FnMut()) -> io::Result<()> {
    let locked = match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            on_wait();
            file.lock()
        }
        Err(TryLockError::Error(error)) => Err(error),
    };
    locked.or_else(|error| if atomic::has_no_locks(&error) { Ok(()) } else { Err(error) })
}

/// Whether `file` is the file with the name `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    let opened = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((opened.dev(), opened.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Always true: other systems do not remove or rename open files.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn does_not_write_to_a_file_that_was_replaced_while_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("file.zip");
        let path = dir.path().join("file.zip.part");
        let held = File::create(&path).unwrap();
        held.lock().unwrap();
        let mut waits = 0;
        let opened = PartialFile::open(&target, || {
            waits += 1;
            // The holder removes its file, and a third process makes another one.
            fs::remove_file(&path).unwrap();
            fs::write(&path, b"third").unwrap();
            held.unlock().unwrap();
        });
        let Ok(Opened::Partial(part)) = opened else { panic!("the download is not complete") };
        assert_eq!((part.bytes(), waits), (5, 1));
        assert!(is_at(&part.file, &path).unwrap());
    }
}
