//! Where the files of one run are while it is trained.
//!
//! A run without a complete artifact is trained in its own folder, `run-0`, which has no manifest until it is complete. Where
//! there is a complete one, it stays until its successor, trained in `.run-0.next`, is complete and takes its place.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use artifacts::{Error as ArtifactError, Manifest, atomic, progress};

use crate::checkpoint::{Identity, Saved};
use crate::error::Error;

/// The folder that one run is trained in.
#[derive(Debug)]
pub(crate) struct RunFolder {
    target: PathBuf,
    work: PathBuf,
}

/// What may be gone on from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// What is to be trained.
    pub(crate) identity: &'a Identity,
    /// For how many epochs.
    pub(crate) epochs: usize,
    /// Whether a complete run must be made again from its start.
    pub(crate) force: bool,
}

impl RunFolder {
    /// Chooses the folder for the run whose artifact is `target`, and finds the checkpoint that the training goes on from,
    /// if there is one: an interrupted training of the same settings, or a complete one of fewer epochs.
    pub(crate) fn open(target: &Path, wanted: Wanted<'_>) -> Result<(RunFolder, Option<Saved>), Error> {
        let complete = Manifest::read(target)?.is_some();
        let next = hidden_sibling(target, "next");
        let work = if complete { next.clone() } else { target.to_owned() };
        let folder = RunFolder { target: target.to_owned(), work };

        if let Some(saved) = interrupted(&folder.work, wanted)? {
            return Ok((folder, Some(saved)));
        }
        if !complete && let Some(saved) = interrupted(&next, wanted)? {
            // Its predecessor has gone since; there is nothing to protect any more.
            return Ok((RunFolder { work: next, ..folder }, Some(saved)));
        }
        folder.clear()?;
        if complete && !wanted.force && can_extend(target, wanted)? {
            copy(target, &folder.work)?;
            let saved = Saved::find(&folder.work)?;
            return Ok((folder, saved));
        }
        Ok((folder, None))
    }

    /// The folder to work in.
    pub(crate) fn path(&self) -> &Path {
        &self.work
    }

    /// Completes the run: writes its manifest and gives it its name.
    pub(crate) fn complete(&self, describe: impl FnOnce(&Path) -> Result<Manifest, Error>) -> Result<(), Error> {
        remove_leftovers(&self.work)?;
        describe(&self.work)?.write(&self.work)?;
        if self.work != self.target {
            atomic::replace_dir(&self.work, &self.target)?;
        }
        Ok(atomic::remove_dir(&hidden_sibling(&self.target, "next"))?)
    }

    /// Empties the folder. An interrupted training, which may be days of work, is kept beside it.
    fn clear(&self) -> Result<(), Error> {
        if let Ok(Some(saved)) = Saved::find(&self.work) {
            let aside = set_aside(&self.work)?;
            progress::line(&format!(
                "train: the interrupted training in `{}` had other settings, or was to be forced; starts afresh. It was in \
                 epoch {}, and is kept as `{}`",
                self.work.display(),
                saved.position.epoch,
                aside.display()
            ));
        }
        atomic::remove_dir(&self.work)?;
        fs::create_dir_all(&self.work).map_err(ArtifactError::io("create", &self.work))?;
        Ok(())
    }
}

/// A checkpoint in `work` that leads to what is wanted.
fn interrupted(work: &Path, wanted: Wanted<'_>) -> Result<Option<Saved>, Error> {
    let Some(saved) = Saved::find(work)? else {
        return Ok(None);
    };
    let found = &saved.position.identity;
    if found.settings != wanted.identity.settings || !saved.position.is_within(wanted.epochs) {
        return Ok(None);
    }
    if found != wanted.identity {
        progress::line(&format!(
            "train: warning: `{}` was begun by another build or on another device; the result may differ in its last \
             bits from an uninterrupted training",
            work.display()
        ));
    }
    Ok(Some(saved))
}

/// Whether the complete run `target` is the first part of what is wanted.
fn can_extend(target: &Path, wanted: Wanted<'_>) -> Result<bool, Error> {
    let saved = Saved::find(target)?;
    Ok(saved.is_some_and(|saved| {
        saved.position.identity == *wanted.identity && saved.position.complete_epochs() < wanted.epochs
    }))
}

/// Copies a complete run without its manifest.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir_all(to).map_err(ArtifactError::io("create", to))?;
    for entry in fs::read_dir(from).map_err(ArtifactError::io("list", from))? {
        let entry = entry.map_err(ArtifactError::io("list", from))?;
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &copied)?;
        } else if entry.file_name() != artifacts::names::MANIFEST {
            fs::copy(&path, &copied).map_err(ArtifactError::io("write", &copied))?;
        }
    }
    Ok(())
}

/// Removes what a killed predecessor left half written; no name of an artifact begins with a dot.
fn remove_leftovers(work: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(work).map_err(ArtifactError::io("list", work))? {
        let entry = entry.map_err(ArtifactError::io("list", work))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Files that others left, such as `.DS_Store`, are not ours to remove.
        if name.starts_with('.') && entry.path().is_dir() {
            atomic::remove_dir(&entry.path())?;
        } else if name.ends_with(".partial") {
            fs::remove_file(entry.path()).map_err(ArtifactError::io("remove", &entry.path()))?;
        }
    }
    Ok(())
}

/// Takes a run out of the way without losing it or another, and returns where it is now.
pub(crate) fn set_aside(run: &Path) -> Result<PathBuf, ArtifactError> {
    let places = (0..).map(|n| hidden_sibling(run, &if n == 0 { "aside".to_owned() } else { format!("aside-{n}") }));
    let aside = places.into_iter().find(|place| !place.exists()).unwrap_or_default();
    atomic::rename(run, &aside)?;
    Ok(aside)
}

fn hidden_sibling(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{suffix}"))
}

/// Keeps other processes out of the folder of all runs as long as the result lives.
pub(crate) fn lock(runs: &Path) -> Result<File, Error> {
    fs::create_dir_all(runs).map_err(ArtifactError::io("create", runs))?;
    let path = runs.join(".lock");
    let file = File::create(&path).map_err(ArtifactError::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Busy { path: runs.to_owned() }),
        Err(TryLockError::Error(source)) => Err(ArtifactError::io("lock", &path)(source).into()),
    }
}
