//! Sizes of folders, and the trainings of a run that were set aside.

use std::fs;
use std::path::{Path, PathBuf};

use artifacts::RunDir;
use artifacts::stage::Failure;

/// What the names of trainings that were set aside contain, as in `.run-0.aside-1`.
const ASIDE: &str = ".aside";

/// Returns the total length of the files in a folder. Links are not followed.
pub(super) fn of(folder: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).map_err(artifacts::Error::io("list", folder))? {
        let entry = entry.map_err(artifacts::Error::io("list", folder))?;
        let metadata = entry.metadata().map_err(artifacts::Error::io("read", &entry.path()))?;
        bytes += if metadata.is_dir() { of(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

/// Lists the trainings of a run that were set aside, sorted by name.
pub(super) fn set_aside(run: &RunDir) -> Result<Vec<PathBuf>, Failure> {
    let folder = run.train();
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).map_err(artifacts::Error::io("list", &folder))? {
        let entry = entry.map_err(artifacts::Error::io("list", &folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') && name.contains(ASIDE) && entry.path().is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_set_aside_and_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::new(folder.path());
        assert!(set_aside(&run).unwrap().is_empty());
        for name in ["run-0", ".run-0.aside", ".run-0.aside-1", ".run-0.next"] {
            fs::create_dir_all(run.train().join(name).join("best")).unwrap();
            fs::write(run.train().join(name).join("best/x"), [0; 10]).unwrap();
        }
        let names: Vec<_> = set_aside(&run).unwrap().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, [".run-0.aside", ".run-0.aside-1"]);
        assert_eq!(of(folder.path()).unwrap(), 40);
    }
}
