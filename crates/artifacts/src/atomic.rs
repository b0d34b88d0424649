//! Writing that a kill cannot halve: under a temporary name, synced, renamed.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Writes a file as a whole: readers see the old content or the new.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// Writes a file as a whole from a function that streams into it.
pub fn write_with(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<()> {
    let partial = sibling(path, "partial");
    let file = create_new(&partial)?;
    let mut writer = BufWriter::new(file);
    let written = fill(&mut writer)
        .and_then(|()| writer.into_inner().map_err(std::io::IntoInnerError::into_error))
        .and_then(|file| file.sync_all());
    if let Err(source) = written {
        // Best effort: the error that matters is the one already at hand.
        let _ = fs::remove_file(&partial);
        return Err(Error::Io { action: "write", path: path.to_owned(), source });
    }
    rename(&partial, path)
}

/// Writes a value as indented JSON with a final newline, as a whole.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|e| Error::malformed(path, "JSON value", e))?;
    text.push(b'\n');
    write_file(path, &text)
}

/// Reads a JSON file; `format` is its kind in an error.
pub fn read_json<T: DeserializeOwned>(path: &Path, format: &'static str) -> Result<T> {
    parse(&fs::read(path).map_err(Error::io("read", path))?, path, format)
}

fn parse<T: DeserializeOwned>(text: &[u8], path: &Path, format: &'static str) -> Result<T> {
    serde_json::from_slice(text).map_err(|e| Error::malformed(path, format, e))
}

/// Reads a JSON file that says its version under `schema_version`. One that is newer than `supported` is refused before
/// anything else of it is looked at: a key may mean something else there.
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

/// Writes values as JSON, one a line, as a whole.
pub fn write_lines<T: Serialize>(path: &Path, rows: &[T]) -> Result<()> {
    write_with(path, |file| {
        rows.iter().try_for_each(|row| {
            serde_json::to_writer(&mut *file, row)?;
            file.write_all(b"\n")
        })
    })
}

/// Reads a file of JSON values, one a line; `format` is its kind in an error, which names the line.
pub fn read_lines<T: DeserializeOwned>(path: &Path, format: &'static str) -> Result<Vec<T>> {
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let row = |(i, line)| {
        serde_json::from_str(line).map_err(|e| Error::malformed(path, format, format!("line {}: {e}", i + 1)))
    };
    lines.map(row).collect()
}

/// A folder that appears under its name only when it is complete.
///
/// It is filled as `.NAME.partial`; [`DirWriter::publish`] syncs it and puts it in place of a former folder of that name
/// ([`replace_dir`]). Dropped without being published, it removes what it wrote.
#[derive(Debug)]
pub struct DirWriter {
    target: PathBuf,
    partial: PathBuf,
    published: bool,
}

impl DirWriter {
    /// Starts an empty folder; what a killed predecessor left is removed.
    pub fn create(target: &Path) -> Result<DirWriter> {
        recover(target)?;
        let partial = hidden_sibling(target, "partial");
        remove_dir(&partial)?;
        fs::create_dir_all(&partial).map_err(Error::io("create", &partial))?;
        Ok(DirWriter { target: target.to_owned(), partial, published: false })
    }

    /// The folder to write into.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Where the folder will be once it is published.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Makes the folder appear under its name, in place of a former one.
    pub fn publish(mut self) -> Result<()> {
        replace_dir(&self.partial, &self.target)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for DirWriter {
    fn drop(&mut self) {
        if !self.published {
            // Nobody reads a partial folder; the next writer removes it if this fails.
            let _ = remove_dir(&self.partial);
        }
    }
}

/// Syncs the folder `from` and renames it to `target`, in place of a former folder of that name. Both must be on one file
/// system. Readers see the former folder or the new one, but where the system cannot exchange two names (it can on Linux,
/// on local file systems) the former one is moved aside first, and [`recover`] puts it back if that is as far as it got.
pub fn replace_dir(from: &Path, target: &Path) -> Result<()> {
    let former = hidden_sibling(target, "former");
    remove_dir(&former)?;
    succeed_dir(from, target, &former)?;
    remove_dir(&former)
}

/// [`replace_dir`] that keeps the former folder, under a name that is free.
pub fn succeed_dir(from: &Path, target: &Path, former: &Path) -> Result<()> {
    sync_tree(from)?;
    if target.exists() {
        if exchange(from, target).map_err(Error::io("exchange with", target))? {
            return rename(from, former);
        }
        rename(target, former)?;
    }
    rename(from, target)
}

/// Exchanges the names of two folders at once, or says that this system cannot.
#[cfg(target_os = "linux")]
fn exchange(a: &Path, b: &Path) -> std::io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        // What kernels and file systems say that do not know the flag; some containers forbid it.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> std::io::Result<bool> {
    Ok(false)
}

/// Removes what a killed [`replace_dir`] left behind; a folder that it had moved aside is put back.
pub fn recover(target: &Path) -> Result<()> {
    let former = hidden_sibling(target, "former");
    if !former.exists() {
        return Ok(());
    }
    if target.exists() { remove_dir(&former) } else { rename(&former, target) }
}

/// Renames and makes the renaming durable.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(Error::io("rename to", to))?;
    match to.parent() {
        Some(parent) => sync_dir(parent),
        None => Ok(()),
    }
}

/// Takes the lock of a file, which is made with its folder where it is not there; nothing while another process has it. The
/// system lifts the lock when the process ends, however it ends.
pub fn try_lock(path: &Path) -> Result<Option<File>> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    }
    let file = File::options().create(true).append(true).open(path).map_err(Error::io("create", path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(Error::io("lock", path)(source)),
    }
}

/// Removes a folder and what is in it; a folder that is not there is removed already.
pub fn remove_dir(path: &Path) -> Result<()> {
    unless_gone(path, fs::remove_dir_all(path))
}

/// Removes a file; one that is not there is removed already.
pub fn remove_file(path: &Path) -> Result<()> {
    unless_gone(path, fs::remove_file(path))
}

fn unless_gone(path: &Path, removed: std::io::Result<()>) -> Result<()> {
    match removed {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
}

/// Creates a file that was not there: what a killed predecessor left is removed, and a link that somebody planted under
/// the temporary name is not followed.
fn create_new(path: &Path) -> Result<File> {
    remove_file(path)?;
    File::create_new(path).map_err(Error::io("create", path))
}

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

/// A rename is durable only once its folder is synced; where folders cannot be opened as files (Windows), the
/// system orders renames itself.
fn sync_dir(dir: &Path) -> Result<()> {
    if cfg!(unix) {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(dir).and_then(|file| file.sync_all()).map_err(Error::io("sync", dir))?;
    }
    Ok(())
}

/// `NAME.suffix` beside `NAME`.
pub fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    path.with_file_name(name)
}

/// `.NAME.suffix` beside `NAME`.
pub fn hidden_sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    sibling(&path.with_file_name(name), suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_keeps_the_old_file() {
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
    fn lines_survive_and_a_bad_one_is_named() {
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
    fn a_planted_link_is_not_written_through() {
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
    fn a_folder_appears_only_when_published() {
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

    /// A reader that looks all the time finds a whole folder each time.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_is_never_gone_while_it_is_replaced() {
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
            let mut looks = 0;
            while !writer.is_finished() || looks == 0 {
                assert!(target.exists(), "gone after {looks} looks");
                looks += 1;
            }
        });
        assert_eq!(fs::read_to_string(target.join("f")).unwrap(), "199");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn an_abandoned_folder_leaves_the_former_one() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("stage");
        fs::create_dir(&target).unwrap();
        drop(DirWriter::create(&target).unwrap());
        assert!(target.exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_publication_killed_between_its_renames_is_undone() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("stage");
        fs::create_dir(hidden_sibling(&target, "former")).unwrap();
        recover(&target).unwrap();
        assert!(target.exists() && !hidden_sibling(&target, "former").exists());
    }
}
