//! A zip of image files, read in place.
//!
//! Nothing is ever unpacked to disk, so an entry's name is only a name, whatever folders it climbs into; and no entry is read
//! further than an image can be long, whatever it unpacks to.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use artifacts::hash::{Digest, Hash};
use pixels::Limits;
use pixels::file::read_bounded;
use zip::ZipArchive;

use super::folder::stamp;
use super::layout::Layout;
use super::{Entry, Source, SourceError, name};
use crate::Config;
use crate::reject::Fault;

/// A zip, read by any number of threads at once.
pub(super) struct Archive {
    path: PathBuf,
    zip: ZipArchive<SharedFile>,
    files: Vec<ListedFile>,
    layout: Layout,
    limits: Limits,
}

struct ListedFile {
    /// With `/` between its parts.
    path: String,
    /// Its place in the zip's directory.
    index: usize,
}

impl Archive {
    pub(super) fn open(path: &Path, config: &Config) -> Result<Archive, SourceError> {
        let unusable =
            |error: &dyn std::fmt::Display| SourceError::Archive { path: path.to_owned(), detail: error.to_string() };
        let file = SharedFile::open(path).map_err(artifacts::Error::io("read", path))?;
        let zip = ZipArchive::new(file).map_err(|error| unusable(&error))?;
        let mut files = Vec::new();
        let mut skipped = 0;
        for index in 0..zip.len() {
            // A name that is no text cannot be told from no image's.
            let Some(Ok(name)) = zip.name_for_index(index) else {
                skipped += 1;
                continue;
            };
            // Some programs write the separators of Windows.
            let path = name.replace('\\', "/");
            if name::is_image(&path) {
                files.push(ListedFile { path, index });
            } else if !path.ends_with('/') {
                skipped += 1;
            }
        }
        if files.is_empty() {
            return Err(SourceError::NoImages { path: path.to_owned(), skipped });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path).then(a.index.cmp(&b.index)));
        let layout = Layout::of(files.iter().map(|file| file.path.as_str()), path, config)?;
        Ok(Archive { path: path.to_owned(), zip, files, layout, limits: config.limits() })
    }
}

impl Source for Archive {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn entry(&self, index: usize) -> Entry {
        self.layout.entry(&self.files[index].path)
    }

    fn read(&self, index: usize) -> Result<Vec<u8>, Fault> {
        // A clone shares the directory and the file, and has a position of its own.
        let mut zip = self.zip.clone();
        let entry = zip.by_index(self.files[index].index).map_err(|error| Fault::unreadable(&error))?;
        let length = entry.size();
        Ok(read_bounded(entry, length, self.limits.max_file_bytes())?)
    }

    fn place(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn fingerprint(&self) -> Result<Hash, SourceError> {
        Ok(Digest::default().part("zip", &stamp(&self.path)).finish())
    }
}

/// An open file that several readers share, each at a position of its own.
#[derive(Clone)]
struct SharedFile {
    file: Arc<File>,
    length: u64,
    position: u64,
}

impl SharedFile {
    fn open(path: &Path) -> std::io::Result<SharedFile> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(SharedFile { file: Arc::new(file), length, position: 0 })
    }
}

impl Read for SharedFile {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(&*self.file, buffer, self.position)?;
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(&*self.file, buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for SharedFile {
    fn seek(&mut self, target: SeekFrom) -> std::io::Result<u64> {
        let position = match target {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
