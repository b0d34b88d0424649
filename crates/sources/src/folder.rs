//! A folder of image files.

use std::path::{Path, PathBuf};

use artifacts::hash::{Digest, Hash};
use artifacts::text::visible;
use walkdir::WalkDir;

use crate::config::SourceConfig;
use crate::error::SourceError;
use crate::file_names::{is_hidden, is_image, is_table, stamp, with_slashes};
use crate::folder_labels::FolderLabels;
use crate::other_files::{OtherFile, START_BYTES, describe, why_not_an_image};
use crate::rejection::Rejection;
use crate::source::{Entry, Source};

/// The images of a folder and its subfolders; symbolic links are followed. A file without the name of an image is used
/// if its content is that of one.
pub(crate) struct Folder {
    root: PathBuf,
    files: Vec<ListedFile>,
    labels: FolderLabels,
    max_file_bytes: u64,
    other_files: Vec<OtherFile>,
    /// The number of parquet files in the folder. They are not read.
    tables: usize,
}

struct ListedFile {
    /// The path below the root, with `/` between its parts.
    path: String,
    /// The exact path if it differs from `path`, because a name is not Unicode.
    exact: Option<PathBuf>,
}

impl Folder {
    pub(crate) fn open(root: &Path, config: &SourceConfig) -> Result<Folder, SourceError> {
        let mut files = Vec::new();
        let (mut other_files, mut tables) = (Vec::new(), 0);
        for entry in WalkDir::new(root).follow_links(true) {
            let path = match entry {
                Ok(entry) if entry.file_type().is_dir() => continue,
                Ok(entry) => entry.into_path(),
                // A broken or circular link is treated as a file, so that `rejected.jsonl` lists it. A folder that
                // cannot be listed is an error, because its images would be missing without a message.
                Err(error) => match error.path() {
                    Some(path) if path.is_symlink() && (error.loop_ancestor().is_some() || !path.is_dir()) => {
                        path.to_owned()
                    }
                    _ => return Err(artifacts::Error::io("read", root)(error.into()).into()),
                },
            };
            let file = ListedFile::new(root, &path);
            if is_hidden(&file.path) {
                continue;
            } else if is_table(&path) {
                tables += 1;
            } else if is_image(&file.path) {
                files.push(file);
            } else {
                match why_not_an_image(pixels::file::read_start(&path, START_BYTES).map_err(Rejection::from)) {
                    None => files.push(file),
                    Some(rejection) => other_files.push(OtherFile { path: visible(&file.path), rejection }),
                }
            }
        }
        other_files.sort_by(|a, b| a.path.cmp(&b.path));
        if files.is_empty() {
            return Err(SourceError::NoImages { path: root.to_owned(), others: describe(&other_files) });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path).then_with(|| a.exact.cmp(&b.exact)));
        // Paths such as `data/faces/.` do not end in the folder's name.
        let absolute = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let labels = FolderLabels::new(files.iter().map(|file| file.path.as_str()), &absolute, config)?;
        let max_file_bytes = config.max_file_bytes();
        Ok(Folder { root: root.to_owned(), files, labels, max_file_bytes, other_files, tables })
    }

    fn path(&self, index: usize) -> PathBuf {
        let file = &self.files[index];
        self.root.join(file.exact.as_deref().unwrap_or(Path::new(&file.path)))
    }
}

impl ListedFile {
    fn new(root: &Path, path: &Path) -> ListedFile {
        let exact = path.strip_prefix(root).unwrap_or(path);
        let path = with_slashes(exact);
        let exact = (Path::new(&path) != exact).then(|| exact.to_owned());
        ListedFile { path, exact }
    }
}

impl Source for Folder {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn entry(&self, index: usize) -> Entry {
        self.labels.entry(&self.files[index].path)
    }

    fn read(&self, index: usize) -> Result<Vec<u8>, Rejection> {
        Ok(pixels::file::read(&self.path(index), self.max_file_bytes)?)
    }

    fn root(&self) -> Option<&Path> {
        Some(&self.root)
    }

    fn other_files(&self) -> &[OtherFile] {
        &self.other_files
    }

    fn notice(&self) -> Option<String> {
        (self.tables > 0).then(|| {
            format!(
                "{} .parquet files beside the images are not read; to read them, set ingest.source to one of them or to a \
                 folder that has only tables",
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
