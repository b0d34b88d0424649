//! Files that come with Candling: pipelines and protocols of benchmarks.

use std::fs;
use std::path::{Path, PathBuf};

use artifacts::Error;
use artifacts::stage::Failure;
use tempfile::TempDir;

/// TOML files with names.
#[derive(Clone, Debug)]
pub enum ProvidedFiles {
    /// The files `NAME.toml` in a folder.
    Folder(PathBuf),
    /// Names and contents.
    BuiltIn(&'static [(&'static str, &'static str)]),
}

/// A file or folder on disk. What was built in is deleted when this is dropped.
#[derive(Debug)]
pub struct Provided {
    path: PathBuf,
    _folder: Option<TempDir>,
}

impl ProvidedFiles {
    /// Returns the names, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = match self {
            ProvidedFiles::BuiltIn(files) => files.iter().map(|(name, _)| (*name).to_owned()).collect(),
            ProvidedFiles::Folder(folder) => fs::read_dir(folder)
                .into_iter()
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
                .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
                .collect(),
        };
        names.sort();
        names
    }

    /// Returns the folder of all files. Writes files that are built in to a temporary folder.
    ///
    /// # Errors
    /// A temporary file cannot be written.
    pub(crate) fn folder(&self) -> Result<Provided, Failure> {
        match self {
            ProvidedFiles::Folder(folder) => Ok(Provided::at(folder)),
            ProvidedFiles::BuiltIn(files) => {
                let folder = temporary_folder()?;
                for (name, text) in *files {
                    write(&folder.path().join(format!("{name}.toml")), text)?;
                }
                Ok(Provided { path: folder.path().to_owned(), _folder: Some(folder) })
            }
        }
    }

    /// Returns the file with this name, if there is one. Writes a file that is built in to a temporary folder.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn open(&self, name: &str) -> Result<Option<Provided>, Failure> {
        let file = format!("{name}.toml");
        match self {
            ProvidedFiles::Folder(folder) => Ok(Some(folder.join(file)).filter(|path| path.exists()).map(Provided::at)),
            ProvidedFiles::BuiltIn(files) => {
                let Some((_, text)) = files.iter().find(|(other, _)| *other == name) else { return Ok(None) };
                let folder = temporary_folder()?;
                let path = folder.path().join(file);
                write(&path, text)?;
                Ok(Some(Provided { path, _folder: Some(folder) }))
            }
        }
    }
}

fn temporary_folder() -> Result<TempDir, Failure> {
    let folder = tempfile::Builder::new().prefix("candling-").tempdir();
    Ok(folder.map_err(Error::io("create a folder in", &std::env::temp_dir()))?)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    Ok(fs::write(path, text).map_err(Error::io("write", path))?)
}

impl Provided {
    /// A file or folder that stays where it is.
    pub(crate) fn at(path: impl Into<PathBuf>) -> Provided {
        Provided { path: path.into(), _folder: None }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_file_exists_until_it_is_dropped() {
        let files = ProvidedFiles::BuiltIn(&[("b", "x = 1"), ("a", "")]);
        assert_eq!(files.names(), ["a", "b"]);
        assert!(files.open("c").unwrap().is_none());
        let folder = files.folder().unwrap();
        assert_eq!(ProvidedFiles::Folder(folder.path().to_owned()).names(), ["a", "b"]);
        let file = files.open("b").unwrap().unwrap();
        assert!(file.path().ends_with("b.toml"));
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "x = 1");
        let path = file.path().to_owned();
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn files_of_a_folder_are_found_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.toml", "a.toml", "c.json"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let files = ProvidedFiles::Folder(folder.path().to_owned());
        assert_eq!(files.names(), ["a", "b"]);
        assert_eq!(files.open("a").unwrap().unwrap().path(), folder.path().join("a.toml"));
        assert!(files.open("c").unwrap().is_none());
    }
}
