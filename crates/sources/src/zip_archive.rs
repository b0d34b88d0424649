//! A zip archive of image files, read in place.
//!
//! Nothing is extracted to disk, so that names such as `../../x` are harmless. At most the largest size of an image is
//! decompressed from each entry, so that a zip bomb cannot exhaust the memory.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use artifacts::hash::{Digest, Hash};
use pixels::file::read_bounded;
use zip::ZipArchive;

use crate::config::SourceConfig;
use crate::error::SourceError;
use crate::file_names::{is_image, stamp};
use crate::folder_labels::FolderLabels;
use crate::rejection::Rejection;
use crate::source::{Entry, Source};

/// The images of a zip archive, readable from several threads at once.
pub(crate) struct Archive {
    path: PathBuf,
    zip: ZipArchive<SharedFile>,
    files: Vec<ListedFile>,
    labels: FolderLabels,
    max_file_bytes: u64,
}

struct ListedFile {
    /// The path in the archive, with `/` between its parts.
    path: String,
    /// The index in the archive's directory.
    index: usize,
}

impl Archive {
    pub(crate) fn open(path: &Path, config: &SourceConfig) -> Result<Archive, SourceError> {
        let unusable =
            |error: &dyn std::fmt::Display| SourceError::Archive { path: path.to_owned(), detail: error.to_string() };
        let file = SharedFile::open(path).map_err(artifacts::Error::io("read", path))?;
        let zip = ZipArchive::new(file).map_err(|error| unusable(&error))?;
        let mut files = Vec::new();
        let mut skipped = 0;
        for index in 0..zip.len() {
            // An image is recognised by its extension, which a name that is not valid text does not have.
            let Some(Ok(name)) = zip.name_for_index(index) else {
                skipped += 1;
                continue;
            };
            // Some programs write `\` as the separator.
            let path = name.replace('\\', "/");
            if is_image(&path) {
                files.push(ListedFile { path, index });
            } else if !path.ends_with('/') {
                skipped += 1;
            }
        }
        if files.is_empty() {
            return Err(SourceError::NoImages { path: path.to_owned(), skipped });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path).then(a.index.cmp(&b.index)));
        let labels = FolderLabels::new(files.iter().map(|file| file.path.as_str()), path, config)?;
        Ok(Archive { path: path.to_owned(), zip, files, labels, max_file_bytes: config.max_file_bytes() })
    }
}

impl Source for Archive {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn entry(&self, index: usize) -> Entry {
        self.labels.entry(&self.files[index].path)
    }

    fn read(&self, index: usize) -> Result<Vec<u8>, Rejection> {
        // Clones share the directory and the file. Each has its own position.
        let mut zip = self.zip.clone();
        let entry = zip.by_index(self.files[index].index).map_err(|error| Rejection::unreadable(&error))?;
        let length = entry.size();
        Ok(read_bounded(entry, length, self.max_file_bytes)?)
    }

    fn root(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn fingerprint(&self) -> Result<Hash, SourceError> {
        Ok(Digest::default().part("zip", &stamp(&self.path)).finish())
    }
}

/// A handle of a shared file. Each clone has its own position.
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
