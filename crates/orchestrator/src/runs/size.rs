//! Sizes of folders, and the trainings of a run that were set aside.

use std::fs;
use std::path::{Path, PathBuf};

use artifacts::stage::Failure;
use artifacts::{RunDir, atomic, names};

/// Returns the total length of the files in a folder.
pub(super) fn of(folder: &Path) -> Result<u64, Failure> {
    Ok(atomic::folder_bytes(folder).map_err(artifacts::Error::io("list", folder))?)
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
        if name.starts_with('.') && name.contains(&format!(".{}", names::ASIDE)) && entry.path().is_dir() {
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
