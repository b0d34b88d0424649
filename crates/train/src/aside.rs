//! Trainings that are set aside: kept beside the run, because they may be days of work, for people to delete.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use artifacts::{Error, atomic, progress};

/// Takes a folder of the run `target` out of the way without losing it or another, and returns where it is now.
pub(crate) fn set_aside(target: &Path, folder: &Path) -> Result<PathBuf, Error> {
    let aside = free_place(target);
    atomic::rename(folder, &aside)?;
    Ok(aside)
}

/// A free name for what is set aside of the run `target`.
pub(crate) fn free_place(target: &Path) -> PathBuf {
    let first = first_place(target);
    let others = (1..).map(|n| atomic::hidden_sibling(target, &format!("aside-{n}")));
    std::iter::once(first).chain(others).find(|place| !place.exists()).unwrap_or_default()
}

/// Says where a training is kept, how large it is, and how much is kept of the run `target` by now: each change of the code
/// may leave one.
pub(crate) fn kept(target: &Path, aside: &Path) -> String {
    let bytes = |folder: &Path| size(folder).unwrap_or_default();
    let said = format!("it is kept as `{}` ({}), for you to delete", aside.display(), progress::bytes(bytes(aside)));
    let all = all(target).unwrap_or_default();
    if all.len() < 2 {
        return said;
    }
    let sum = all.iter().map(|folder| bytes(folder)).sum();
    format!("{said}; {} former trainings of this run are kept now, {} in all", all.len(), progress::bytes(sum))
}

fn first_place(target: &Path) -> PathBuf {
    atomic::hidden_sibling(target, "aside")
}

/// Everything that is set aside of the run `target`.
fn all(target: &Path) -> io::Result<Vec<PathBuf>> {
    let first = first_place(target);
    let name = first.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in fs::read_dir(target.parent().unwrap_or(Path::new(".")))? {
        let entry = entry?;
        let rest = entry.file_name().to_string_lossy().strip_prefix(&name).map(str::to_owned);
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The bytes of all files in a folder.
fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_counted_and_measured() {
        let dir = tempfile::tempdir().unwrap();
        let (target, other) = (dir.path().join("run-1"), dir.path().join(".run-1.next"));
        let set_aside = |bytes: usize| {
            fs::create_dir_all(other.join("last")).unwrap();
            fs::write(other.join("last").join("weights"), vec![0; bytes]).unwrap();
            kept(&target, &set_aside(&target, &other).unwrap())
        };
        // Another run's.
        fs::create_dir(dir.path().join(".run-10.aside")).unwrap();
        let one = set_aside(1_500);
        assert!(one.contains(".run-1.aside` (1.5 kB)") && !one.contains("in all"), "{one}");
        let two = set_aside(12_000);
        assert!(two.contains(".run-1.aside-1` (12 kB)"), "{two}");
        assert!(two.ends_with("2 former trainings of this run are kept now, 14 kB in all"), "{two}");
    }
}
