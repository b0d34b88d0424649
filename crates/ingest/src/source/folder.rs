//! A folder of image files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use artifacts::hash::{Digest, Hash};
use pixels::Limits;
use walkdir::WalkDir;

use super::layout::Layout;
use super::table::is_table;
use super::{Entry, Source, SourceError, name};
use crate::Config;
use crate::reject::Fault;

/// A folder, with its subfolders; symbolic links are followed.
pub(super) struct Folder {
    root: PathBuf,
    files: Vec<ListedFile>,
    layout: Layout,
    limits: Limits,
    /// Parquet files beside the images.
    tables: usize,
}

struct ListedFile {
    /// Below the root, with `/` between its parts.
    path: String,
    /// The path itself where `path` is not it, letter by letter: names need not be Unicode.
    exact: Option<PathBuf>,
}

impl Folder {
    pub(super) fn open(root: &Path, config: &Config) -> Result<Folder, SourceError> {
        let mut files = Vec::new();
        let (mut skipped, mut tables) = (0, 0);
        for entry in WalkDir::new(root).follow_links(true) {
            let path = match entry {
                Ok(entry) if entry.file_type().is_dir() => continue,
                Ok(entry) => entry.into_path(),
                // A link that leads nowhere stays in the list, to be rejected by name; a folder that cannot be listed
                // would silently hide its images.
                Err(error) => match error.path() {
                    Some(path) if path.is_symlink() => path.to_owned(),
                    _ => return Err(artifacts::Error::io("read", root)(error.into()).into()),
                },
            };
            match ListedFile::new(root, &path) {
                file if name::is_image(&file.path) => files.push(file),
                _ => {
                    skipped += 1;
                    tables += usize::from(is_table(&path));
                }
            }
        }
        if files.is_empty() {
            return Err(SourceError::NoImages { path: root.to_owned(), skipped });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path).then_with(|| a.exact.cmp(&b.exact)));
        // `data/faces/.` and the like have no name of their own.
        let named = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let layout = Layout::of(files.iter().map(|file| file.path.as_str()), &named, config)?;
        Ok(Folder { root: root.to_owned(), files, layout, limits: config.limits(), tables })
    }

    fn path(&self, index: usize) -> PathBuf {
        let file = &self.files[index];
        self.root.join(file.exact.as_deref().unwrap_or(Path::new(&file.path)))
    }
}

impl ListedFile {
    fn new(root: &Path, path: &Path) -> ListedFile {
        let exact = path.strip_prefix(root).unwrap_or(path);
        let path = slashed(exact);
        let exact = (Path::new(&path) != exact).then(|| exact.to_owned());
        ListedFile { path, exact }
    }
}

impl Source for Folder {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn entry(&self, index: usize) -> Entry {
        self.layout.entry(&self.files[index].path)
    }

    fn read(&self, index: usize) -> Result<Vec<u8>, Fault> {
        Ok(pixels::file::read(&self.path(index), self.limits.max_file_bytes())?)
    }

    fn place(&self) -> Option<&Path> {
        Some(&self.root)
    }

    fn remark(&self) -> Option<String> {
        (self.tables > 0).then(|| {
            format!(
                "{} .parquet files beside the images are not read; to read them, name them or their folder",
                self.tables
            )
        })
    }

    fn fingerprint(&self) -> Result<Hash, SourceError> {
        let mut digest = Digest::default();
        for (index, file) in self.files.iter().enumerate() {
            digest = digest.part(&file.path, &stamp(&self.path(index)));
        }
        Ok(digest.finish())
    }
}

/// A path with `/` between its parts.
pub(super) fn slashed(path: &Path) -> String {
    path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// A file's length and time of change; nothing where it has none.
pub(super) fn stamp(path: &Path) -> Vec<u8> {
    let Ok(metadata) = fs::metadata(path) else {
        return Vec::new();
    };
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    [metadata.len().to_le_bytes().as_slice(), &modified.as_nanos().to_le_bytes()].concat()
}
