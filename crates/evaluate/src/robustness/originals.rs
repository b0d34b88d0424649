//! The files that ingest read, where they are still there.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use zip::ZipArchive;

/// The most bytes that are read of an entry of a zip, whatever it says of itself.
const MOST: u64 = 1 << 30;

/// Where the files are.
pub(super) enum Originals {
    /// In a folder.
    Folder(PathBuf),
    /// In a zip. Reading takes turns; decoding, which takes longer, does not.
    Zip(Mutex<ZipArchive<File>>),
    /// They were never in files, or they are gone.
    None,
}

impl Originals {
    /// `files` is the folder or the zip that ingest read.
    pub(super) fn open(files: Option<&Path>) -> Originals {
        let Some(files) = files else { return Originals::None };
        if files.is_dir() {
            return Originals::Folder(files.to_owned());
        }
        let zip = File::open(files).ok().and_then(|file| ZipArchive::new(file).ok());
        zip.map_or(Originals::None, |zip| Originals::Zip(Mutex::new(zip)))
    }

    /// The bytes of a file by its path in the source, if it can be read.
    pub(super) fn read(&self, path: &str) -> Option<Vec<u8>> {
        match self {
            Originals::Folder(folder) => fs::read(folder.join(path)).ok(),
            Originals::Zip(zip) => {
                let mut zip = zip.lock().unwrap_or_else(PoisonError::into_inner);
                let mut bytes = Vec::new();
                zip.by_name(path).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
                Some(bytes)
            }
            Originals::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn files_are_read_from_folders_and_zips() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("real")).unwrap();
        fs::write(dir.path().join("real/1.jpg"), "bytes").unwrap();
        let archive = dir.path().join("set.zip");
        let mut zip = zip::ZipWriter::new(File::create(&archive).unwrap());
        zip.start_file("real/1.jpg", zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(b"bytes").unwrap();
        zip.finish().unwrap();
        for place in [dir.path(), &archive] {
            let originals = Originals::open(Some(place));
            assert_eq!(originals.read("real/1.jpg").as_deref(), Some(&b"bytes"[..]), "{}", place.display());
            assert_eq!(originals.read("real/2.jpg"), None);
        }
        assert_eq!(Originals::open(Some(&dir.path().join("gone.zip"))).read("real/1.jpg"), None);
        assert_eq!(Originals::open(None).read("real/1.jpg"), None);
    }
}
