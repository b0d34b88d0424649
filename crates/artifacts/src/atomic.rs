//! Atomic writing of files and folders.
//!
//! Everything is written under a temporary name, synced and renamed. A reader, or a process that starts after a crash,
//! sees either the old content or the new content.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Suffix of a folder that [`replace_dir`] is replacing.
const REPLACED: &str = "former";

/// Writes a file atomically.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// Writes a file atomically, with the content that `fill` writes into the stream.
pub fn write_with(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<()> {
    let partial = sibling(path, "partial");
    let file = create_new(&partial)?;
    let mut writer = BufWriter::new(file);
    let written = fill(&mut writer)
        .and_then(|()| writer.into_inner().map_err(std::io::IntoInnerError::into_error))
        .and_then(|file| file.sync_all());
    if let Err(source) = written {
        // If this fails too, report the first error.
        let _ = fs::remove_file(&partial);
        return Err(Error::Io { action: "write", path: path.to_owned(), source });
    }
    rename(&partial, path)
}

/// Writes a value as indented JSON with a final newline, atomically.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|e| Error::malformed(path, "JSON value", e))?;
    text.push(b'\n');
    write_file(path, &text)
}

/// Reads a JSON file. Errors name `format` as the kind of file: "manifest" …
pub fn read_json<T: DeserializeOwned>(path: &Path, format: &'static str) -> Result<T> {
    parse(&fs::read(path).map_err(Error::io("read", path))?, path, format)
}

fn parse<T: DeserializeOwned>(text: &[u8], path: &Path, format: &'static str) -> Result<T> {
    serde_json::from_slice(text).map_err(|e| Error::malformed(path, format, e))
}

/// Reads a JSON file that has the key `schema_version`.
///
/// # Errors
/// The version is newer than `supported`. It is checked before anything else is parsed, because other keys may have
/// changed their meaning.
pub fn read_versioned<T: DeserializeOwned>(path: &Path, format: &'static str, supported: u32) -> Result<T> {
    #[derive(Deserialize)]
    struct Version {
        schema_version: u32,
    }
    let text = fs::read(path).map_err(Error::io("read", path))?;
    let Version { schema_version: found } = parse(&text, path, format)?;
    if found > supported {
        return Err(Error::SchemaVersion { path: path.to_owned(), found, supported });
    }
    parse(&text, path, format)
}

/// Writes values as JSON Lines, atomically.
pub fn write_lines<T: Serialize>(path: &Path, rows: &[T]) -> Result<()> {
    write_with(path, |file| {
        rows.iter().try_for_each(|row| {
            serde_json::to_writer(&mut *file, row)?;
            file.write_all(b"\n")
        })
    })
}

/// Reads a JSON Lines file and skips empty lines. Errors name the line, and `format` as the kind of file.
pub fn read_lines<T: DeserializeOwned>(path: &Path, format: &'static str) -> Result<Vec<T>> {
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let row = |(i, line)| {
        serde_json::from_str(line).map_err(|e| Error::malformed(path, format, format!("line {}: {e}", i + 1)))
    };
    lines.map(row).collect()
}

/// Writes a folder atomically.
///
/// The folder is filled as `.NAME.partial`. [`DirWriter::publish`] syncs it and renames it to `NAME`, in place of an
/// existing folder ([`replace_dir`]). A writer that is dropped without publishing removes its files.
#[derive(Debug)]
pub struct DirWriter {
    target: PathBuf,
    partial: PathBuf,
    published: bool,
}

impl DirWriter {
    /// Creates an empty temporary folder for `target`. Removes a temporary folder that a killed process left.
    pub fn create(target: &Path) -> Result<DirWriter> {
        recover(target)?;
        let partial = hidden_sibling(target, "partial");
        remove_dir(&partial)?;
        fs::create_dir_all(&partial).map_err(Error::io("create", &partial))?;
        Ok(DirWriter { target: target.to_owned(), partial, published: false })
    }

    /// The temporary folder to write into.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// The path of the folder after publishing.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Syncs the folder and renames it to its target, in place of an existing folder.
    pub fn publish(mut self) -> Result<()> {
        replace_dir(&self.partial, &self.target)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for DirWriter {
    fn drop(&mut self) {
        if !self.published {
            // If this fails, the next writer for this target removes the folder.
            let _ = remove_dir(&self.partial);
        }
    }
}

/// Syncs the folder `from` and renames it to `target`. Removes an existing folder `target`. Both must be on the same
/// file system.
///
/// On Linux, on local file systems, the two names are exchanged atomically, so that readers find either the old folder
/// or the new one. Elsewhere the old folder is renamed first, and for a moment `target` does not exist. If the process
/// is killed in that moment, [`recover`] restores the old folder.
pub fn replace_dir(from: &Path, target: &Path) -> Result<()> {
    let old = hidden_sibling(target, REPLACED);
    remove_dir(&old)?;
    replace_dir_keeping_old(from, target, &old)?;
    remove_dir(&old)
}

/// Like [`replace_dir`], but renames an existing folder `target` to `old` instead of removing it. `old` must not exist.
pub fn replace_dir_keeping_old(from: &Path, target: &Path, old: &Path) -> Result<()> {
    sync_tree(from)?;
    if target.exists() {
        if exchange(from, target).map_err(Error::io("exchange with", target))? {
            return rename(from, old);
        }
        rename(target, old)?;
    }
    rename(from, target)
}

/// Exchanges the names of two folders atomically. Returns `false` if the system or the file system does not support it.
#[cfg(target_os = "linux")]
fn exchange(a: &Path, b: &Path) -> std::io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        // Kernels and file systems without this flag return these errors, and so do containers that forbid the call.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> std::io::Result<bool> {
    Ok(false)
}

/// Cleans up after a [`replace_dir`] that was killed. Restores the old folder if there is no new one, and removes it
/// otherwise.
pub fn recover(target: &Path) -> Result<()> {
    let old = hidden_sibling(target, REPLACED);
    if !old.exists() {
        return Ok(());
    }
    if target.exists() { remove_dir(&old) } else { rename(&old, target) }
}

/// Renames a file or folder and syncs the parent folder, which makes the new name durable.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(Error::io("rename to", to))?;
    match to.parent() {
        Some(parent) => sync_dir(parent),
        None => Ok(()),
    }
}

/// Returns whether locking a file failed because its file system has no locks, such as some network file systems. Work
/// goes on without a lock there.
pub fn has_no_locks(error: &std::io::Error) -> bool {
    /// `ENOLCK`, which Rust has no kind for.
    const NO_LOCKS: i32 = if cfg!(any(target_os = "linux", target_os = "android")) { 37 } else { 77 };
    error.kind() == std::io::ErrorKind::Unsupported || cfg!(unix) && error.raw_os_error() == Some(NO_LOCKS)
}

/// Locks the file `path`, and creates it and its folder if they do not exist. Returns `None` if another process holds
/// the lock. The system releases the lock when the returned file is closed or the process ends.
pub fn try_lock(path: &Path) -> Result<Option<File>> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    }
    let file = File::options().create(true).append(true).open(path).map_err(Error::io("create", path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) if has_no_locks(&source) => Ok(Some(file)),
        Err(TryLockError::Error(source)) => Err(Error::io("lock", path)(source)),
    }
}

/// Removes a folder with its content. Succeeds if there is no such folder.
pub fn remove_dir(path: &Path) -> Result<()> {
    ignore_not_found(path, fs::remove_dir_all(path))
}

/// Removes a file. Succeeds if there is no such file.
pub fn remove_file(path: &Path) -> Result<()> {
    ignore_not_found(path, fs::remove_file(path))
}

fn ignore_not_found(path: &Path, removed: std::io::Result<()>) -> Result<()> {
    match removed {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
}

/// Creates a new file. Removes an existing file with this name first, which a killed process may have left. Removes a
/// symbolic link with this name and does not follow it.
fn create_new(path: &Path) -> Result<File> {
    remove_file(path)?;
    File::create_new(path).map_err(Error::io("create", path))
}

/// Syncs all files and folders in `dir`.
fn sync_tree(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let path = entry.map_err(Error::io("list", dir))?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            File::open(&path).and_then(|file| file.sync_all()).map_err(Error::io("sync", &path))?;
        }
    }
    sync_dir(dir)
}

/// Syncs a folder, which makes renames in it durable. Does nothing on Windows, where folders cannot be opened as files
/// and the file system orders renames itself.
fn sync_dir(dir: &Path) -> Result<()> {
    if cfg!(unix) {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(dir).and_then(|file| file.sync_all()).map_err(Error::io("sync", dir))?;
    }
    Ok(())
}

/// Returns the path `NAME.suffix` in the folder of `NAME`.
pub fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    path.with_file_name(name)
}

/// Returns the path `.NAME.suffix` in the folder of `NAME`.
pub fn hidden_sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    sibling(&path.with_file_name(name), suffix)
}

/// Returns the total length of the files in a folder and its subfolders, in bytes. Links are not followed.
///
/// # Errors
/// A folder cannot be listed.
pub fn folder_bytes(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { folder_bytes(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_write_keeps_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write_file(&path, b"old").unwrap();
        let failed = write_with(&path, |file| {
            file.write_all(b"half")?;
            Err(std::io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn json_lines_round_trip_and_errors_name_the_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.jsonl");
        write_lines(&path, &[1, 2]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n2\n");
        assert_eq!(read_lines::<u8>(&path, "list").unwrap(), [1, 2]);
        fs::write(&path, "1\n\n{\n").unwrap();
        let error = read_lines::<u8>(&path, "list").unwrap_err().to_string();
        assert!(error.contains("not a valid list: line 3: "), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn does_not_follow_link_at_temporary_name() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::write(&outside, b"precious").unwrap();
        let path = dir.path().join("a.txt");
        std::os::unix::fs::symlink(&outside, sibling(&path, "partial")).unwrap();
        write_file(&path, b"new").unwrap();
        assert_eq!(fs::read(&outside).unwrap(), b"precious");
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn publish_creates_or_replaces_folder() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("stage");
        for content in ["first", "second"] {
            let writer = DirWriter::create(&target).unwrap();
            fs::write(writer.path().join("f"), content).unwrap();
            assert_ne!(fs::read_to_string(target.join("f")).ok().as_deref(), Some(content));
            writer.publish().unwrap();
            assert_eq!(fs::read_to_string(target.join("f")).unwrap(), content);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn folder_exists_while_it_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
        for folder in [&a, &b] {
            fs::create_dir(folder).unwrap();
        }
        if !exchange(&a, &b).unwrap() {
            return testing::skip(
                testing::Need::Exchange,
                "the file system of temporary folders cannot exchange names",
            );
        }
        let target = dir.path().join("stage");
        let publish = |content: u32| {
            let writer = DirWriter::create(&target).unwrap();
            fs::write(writer.path().join("f"), content.to_string()).unwrap();
            writer.publish().unwrap();
        };
        publish(0);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| (1..200).for_each(publish));
            let mut checks = 0;
            while !writer.is_finished() || checks == 0 {
                assert!(target.exists(), "missing at check {checks}");
                checks += 1;
            }
        });
        assert_eq!(fs::read_to_string(target.join("f")).unwrap(), "199");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn dropped_writer_keeps_existing_folder() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("stage");
        fs::create_dir(&target).unwrap();
        drop(DirWriter::create(&target).unwrap());
        assert!(target.exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn recovers_from_kill_between_two_renames() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("stage");
        fs::create_dir(hidden_sibling(&target, REPLACED)).unwrap();
        recover(&target).unwrap();
        assert!(target.exists() && !hidden_sibling(&target, REPLACED).exists());
    }
}
