//! A download that is not complete yet: `NAME.part`, and `NAME.part.json`, which says what it is a part of.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use artifacts::atomic;
use serde::{Deserialize, Serialize};

use crate::{Checksum, Result};

/// What a part is a part of, as the server described it when the part was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// What to put into `If-Range`: a strong entity tag, or the date of the last change.
    pub(crate) validator: Option<String>,
    /// The size of the whole in bytes.
    pub(crate) total: Option<u64>,
    /// The checksum of the whole.
    pub(crate) checksum: Option<Checksum>,
}

/// The open part of a download, locked against other processes.
///
/// The lock is on the part itself and ends with the process, so that a killed one leaves nothing to clean up.
#[derive(Debug)]
pub(crate) struct Part {
    target: PathBuf,
    path: PathBuf,
    file: File,
    bytes: u64,
    origin: Option<Origin>,
}

/// The part, or the news that the file is complete.
pub(crate) enum Opened {
    Part(Part),
    Complete,
}

impl Part {
    /// Opens or creates the part of `target`. If another process has it, `waiting` is called and this one waits.
    pub(crate) fn open(target: &Path, waiting: impl FnOnce()) -> Result<Opened> {
        let path = atomic::sibling(target, "part");
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(artifacts::Error::io("create", folder))?;
        }
        // A link planted here would lead the download out of its folder.
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink()) {
            atomic::remove_file(&path)?;
        }
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(artifacts::Error::io("open", &path))?;
        lock(&file, waiting).map_err(artifacts::Error::io("lock", &path))?;
        if target.is_file() {
            // Whoever had the lock finished. The file just opened is the target now, or a new and empty one.
            atomic::remove_file(&path)?;
            return Ok(Opened::Complete);
        }
        let bytes = file.seek(SeekFrom::End(0)).map_err(artifacts::Error::io("read", &path))?;
        let origin = fs::read(atomic::sibling(&path, "json")).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Ok(Opened::Part(Part { target: target.to_owned(), path, file, bytes, origin }))
    }

    /// The bytes there are.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that the file will be in.
    pub(crate) fn folder(&self) -> &Path {
        self.target.parent().unwrap_or(Path::new("."))
    }

    pub(crate) fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Whether all bytes are there.
    pub(crate) fn is_whole(&self) -> bool {
        self.origin.as_ref().and_then(|origin| origin.total) == Some(self.bytes)
    }

    /// The validator with which this part can be continued; `None` if it is empty, or of unknown origin, or too long.
    pub(crate) fn validator(&self) -> Option<&str> {
        let origin = self.origin.as_ref()?;
        let fits = self.bytes > 0 && origin.total.is_none_or(|total| self.bytes < total);
        origin.validator.as_deref().filter(|_| fits)
    }

    /// Drops what is there and begins a part of `origin`.
    pub(crate) fn begin(&mut self, origin: Origin) -> Result<()> {
        self.clear()?;
        atomic::write_json(&atomic::sibling(&self.path, "json"), &origin)?;
        self.origin = Some(origin);
        Ok(())
    }

    /// Drops what is there, so that the next attempt starts over.
    pub(crate) fn clear(&mut self) -> Result<()> {
        // The description goes first: killed between the two, the bytes that remain are of unknown origin, and dropped.
        atomic::remove_file(&atomic::sibling(&self.path, "json"))?;
        self.origin = None;
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(artifacts::Error::io("empty", &self.path))?;
        self.bytes = 0;
        Ok(())
    }

    /// Adds bytes at the end.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(artifacts::Error::io("write", &self.path))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Takes what is there for the whole: the body ended as it should, and only its length was not announced.
    pub(crate) fn end_here(&mut self) {
        if let Some(origin) = &mut self.origin {
            origin.total = Some(self.bytes);
        }
    }

    /// Drops what is there and the files themselves.
    pub(crate) fn discard(mut self) -> Result<()> {
        self.clear()?;
        Ok(atomic::remove_file(&self.path)?)
    }

    /// Makes the whole, verified part durable and gives it its name.
    pub(crate) fn publish(self) -> Result<()> {
        self.file.sync_all().map_err(artifacts::Error::io("sync", &self.path))?;
        atomic::rename(&self.path, &self.target)?;
        Ok(atomic::remove_file(&atomic::sibling(&self.path, "json"))?)
    }
}

/// Takes the lock, waiting if need be. A file system without locks is worked on without.
fn lock(file: &File, waiting: impl FnOnce()) -> io::Result<()> {
    let locked = match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            waiting();
            file.lock()
        }
        Err(TryLockError::Error(error)) => Err(error),
    };
    locked.or_else(|error| if error.kind() == io::ErrorKind::Unsupported { Ok(()) } else { Err(error) })
}
