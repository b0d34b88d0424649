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

/// A file on disk. A file that was built in is deleted when this is dropped.
#[derive(Debug)]
pub struct ProvidedFile {
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

    /// Returns the file with this name, if there is one. Writes a file that is built in to a temporary folder.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn open(&self, name: &str) -> Result<Option<ProvidedFile>, Failure> {
        let file = format!("{name}.toml");
        match self {
            ProvidedFiles::Folder(folder) => {
                Ok(Some(folder.join(file)).filter(|path| path.exists()).map(ProvidedFile::at))
            }
            ProvidedFiles::BuiltIn(files) => {
                let Some((_, text)) = files.iter().find(|(other, _)| *other == name) else { return Ok(None) };
                let folder = tempfile::Builder::new().prefix("candling-").tempdir();
                let folder = folder.map_err(Error::io("create a folder in", &std::env::temp_dir()))?;
                let path = folder.path().join(file);
                fs::write(&path, text).map_err(Error::io("write", &path))?;
                Ok(Some(ProvidedFile { path, _folder: Some(folder) }))
            }
        }
    }
}

impl ProvidedFile {
    /// A file that stays where it is.
    pub(crate) fn at(path: impl Into<PathBuf>) -> ProvidedFile {
        ProvidedFile { path: path.into(), _folder: None }
    }

    /// The path of the file.
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
