//! A zip archive of image files, read in place.
//!
//! Nothing is extracted to disk, so that names such as `../../x` are harmless. At most the largest size of an image is
//! decompressed from each entry, so that a zip bomb cannot exhaust the memory.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use artifacts::hash::{Digest, Hash};
use artifacts::text::visible;
use pixels::file::read_bounded;
use zip::ZipArchive;

use crate::config::SourceConfig;
use crate::error::SourceError;
use crate::file_names::{is_hidden, is_image, stamp};
use crate::folder_labels::FolderLabels;
use crate::other_files::{OtherFile, START_BYTES, describe, why_not_an_image};
use crate::rejection::Rejection;
use crate::source::{Entry, Source};
use crate::zip_directory::repeated_names;

/// The images of a zip archive, readable from several threads at once. A file without the name of an image is used if
/// its content is that of one.
pub(crate) struct Archive {
    path: PathBuf,
    zip: ZipArchive<SharedFile>,
    files: Vec<ListedFile>,
    labels: FolderLabels,
    max_file_bytes: u64,
    other_files: Vec<OtherFile>,
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
        let zip = ZipArchive::new(file.clone()).map_err(|error| unusable(&error))?;
        let (mut files, mut other_files) = (Vec::new(), Vec::new());
        for (index, raw_name) in zip.file_names_raw().enumerate() {
            let name = match zip.name_for_index(index) {
                Some(Ok(name)) => name,
                // The name is not valid text.
                _ => String::from_utf8_lossy(raw_name),
            };
            let path = with_slashes(&name);
            if path.ends_with('/') || is_hidden(&path) {
                continue;
            }
            let why = if is_image(&path) { None } else { why_not_an_image(read_start(&zip, index)) };
            match why {
                None => files.push(ListedFile { path, index }),
                Some(rejection) => other_files.push(OtherFile { path: visible(&path), rejection }),
            }
        }
        if zip.has_duplicate_names() {
            let repeated = repeated_names(file, zip.central_directory_start()).map_err(|error| unusable(&error))?;
            for (name, count) in repeated {
                let path = with_slashes(&name);
                if path.ends_with('/') || is_hidden(&path) {
                    continue;
                }
                let detail =
                    format!("the archive has {count} entries of this name, of which only the last one is read");
                let unread = OtherFile { path: visible(&path), rejection: Rejection::new("duplicate_name", detail) };
                other_files.extend(std::iter::repeat_n(unread, count - 1));
            }
        }
        other_files.sort_by(|a, b| a.path.cmp(&b.path));
        if files.is_empty() {
            return Err(SourceError::NoImages { path: path.to_owned(), others: describe(&other_files) });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path).then(a.index.cmp(&b.index)));
        let labels = FolderLabels::new(files.iter().map(|file| file.path.as_str()), path, config)?;
        let max_file_bytes = config.max_file_bytes();
        Ok(Archive { path: path.to_owned(), zip, files, labels, max_file_bytes, other_files })
    }
}

/// Replaces `\`, which some programs write as the separator.
fn with_slashes(name: &str) -> String {
    name.replace('\\', "/")
}

/// Reads the first bytes of an entry.
fn read_start(zip: &ZipArchive<SharedFile>, index: usize) -> Result<Vec<u8>, Rejection> {
    let mut zip = zip.clone();
    let entry = zip.by_index(index).map_err(|error| Rejection::unreadable(&error))?;
    let length = entry.size().min(START_BYTES);
    Ok(read_bounded(entry.take(START_BYTES), length, START_BYTES)?)
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

    fn other_files(&self) -> &[OtherFile] {
        &self.other_files
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
