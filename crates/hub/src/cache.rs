//! The hub's cache: file contents under `blobs`, a link to a blob for each file of a commit under `snapshots`, and the
//! commit of each branch or tag under `refs`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use artifacts::atomic;
use artifacts::hash::Hash;
use hf_hub::{Repo, RepoType};

use crate::dataset::Dataset;
use crate::name::{Kind, Repository};
use crate::{Error, Name};

/// A cache folder, in the layout of hf-hub and `huggingface_hub`.
#[derive(Debug)]
pub(crate) struct Cache(hf_hub::Cache);

impl Cache {
    pub(crate) fn new(folder: PathBuf) -> Cache {
        Cache(hf_hub::Cache::new(folder))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Returns the path of a cached file.
    pub(crate) fn get(&self, name: &Name) -> Option<PathBuf> {
        if name.has_commit_revision() {
            Some(self.pointer(name, &name.revision)).filter(|path| path.exists())
        } else {
            self.0.repo(repo(name)).get(&name.file)
        }
    }

    /// Returns the path of the blob with the entity tag `etag`.
    pub(crate) fn blob(&self, name: &Name, etag: &str) -> PathBuf {
        self.repository(name).join("blobs").join(etag)
    }

    /// Links a complete blob as the file of a commit, and records the commit for the revision.
    pub(crate) fn link(&self, name: &Name, commit: &str, blob: &Path) -> Result<PathBuf, Error> {
        let pointer = self.pointer(name, commit);
        create_folder_of(&pointer)?;
        // A name of this process's own, because another process may link the same file.
        let fresh = atomic::sibling(&pointer, &format!("{}.partial", std::process::id()));
        atomic::remove_file(&fresh)?;
        link_or_copy(&relative_blob(name, blob), blob, &fresh).map_err(artifacts::Error::io("create", &fresh))?;
        atomic::rename(&fresh, &pointer)?;
        if !name.has_commit_revision() {
            let reference = self.repository(name).join("refs").join(&name.revision);
            create_folder_of(&reference)?;
            atomic::write_file(&reference, commit.as_bytes())?;
        }
        Ok(pointer)
    }

    fn repository(&self, name: &Name) -> PathBuf {
        self.folder().join(repo(name).folder_name())
    }

    fn pointer(&self, name: &Name, commit: &str) -> PathBuf {
        self.0.repo(repo(name)).pointer_path(commit).join(&name.file)
    }

    /// Returns the folder of a commit.
    pub(crate) fn snapshot(&self, repository: &Repository, commit: &str) -> PathBuf {
        self.0.repo(repo_of(repository, commit)).pointer_path(commit)
    }

    /// Returns the path of the record of a complete download. Other clients ignore it.
    pub(crate) fn tables_record(&self, dataset: &Dataset) -> PathBuf {
        let repository = self.folder().join(repo_of(&dataset.repository, &dataset.revision).folder_name());
        // The digest, because folders and revisions may contain `/`.
        let digest = Hash::of(format!("{}@{}", dataset.folder, dataset.revision).as_bytes()).to_string();
        repository.join("candling").join(format!("{digest}.json"))
    }
}

fn repo(name: &Name) -> Repo {
    repo_of(&name.repository, &name.revision)
}

fn repo_of(repository: &Repository, revision: &str) -> Repo {
    let kind = match repository.kind {
        Kind::Model => RepoType::Model,
        Kind::Dataset => RepoType::Dataset,
    };
    Repo::with_revision(repository.name.clone(), kind, revision.to_owned())
}

/// Returns the path of the blob relative to the link. It leads up through the file's folders, the commit and
/// `snapshots`.
fn relative_blob(name: &Name, blob: &Path) -> PathBuf {
    let up = name.file.split('/').count() + 1;
    let mut path: PathBuf = std::iter::repeat_n("..", up).collect();
    path.push("blobs");
    path.extend(blob.file_name());
    path
}

/// Creates a symbolic link. If that fails, creates a hard link, and if that fails too, a copy, like the other clients.
fn link_or_copy(relative: &Path, blob: &Path, to: &Path) -> io::Result<()> {
    symlink(relative, to).or_else(|_| fs::hard_link(blob, to)).or_else(|_| fs::copy(blob, to).map(drop))
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_target: &Path, _link: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn create_folder_of(path: &Path) -> Result<(), artifacts::Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(artifacts::Error::io("create", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_a_file_beside_the_leftovers_of_other_processes() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().to_owned());
        let name: Name = "hf:owner/repo/model.safetensors".parse().unwrap();
        let blob = cache.blob(&name, "etag");
        create_folder_of(&blob).unwrap();
        fs::write(&blob, b"weights").unwrap();
        // Another process uses this name.
        let other = atomic::sibling(&cache.pointer(&name, "commit"), "partial");
        fs::create_dir_all(other.join("in-use")).unwrap();
        let linked = cache.link(&name, "commit", &blob).unwrap();
        assert_eq!(fs::read(linked).unwrap(), b"weights");
    }
}
