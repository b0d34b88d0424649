//! Where the files of one run are while it is trained.
//!
//! A run without a complete artifact is trained in its own folder, `run-0`, which has no manifest until it is complete. Where
//! there is a complete one, it stays until its successor, trained in `.run-0.next`, is complete and takes its place. What
//! the successor does not contain is set aside as `.run-0.aside`, because it may be days of work.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use artifacts::{Error as ArtifactError, Manifest, atomic, progress};

use crate::checkpoint::{Identity, Saved};
use crate::error::Error;

/// The folder that one run is trained in.
#[derive(Clone, Debug)]
pub(crate) struct RunFolder {
    target: PathBuf,
    work: PathBuf,
    /// Whether the complete run in `target` is kept beside its successor.
    keeps_former: bool,
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
        let (complete, damaged) = match Manifest::read(target) {
            Err(damage @ ArtifactError::Malformed { .. }) => {
                progress::line(&format!("train: warning: {damage}; the run counts as not complete"));
                (false, true)
            }
            read => (read?.is_some(), false),
        };
        let next = hidden_sibling(target, "next");
        let work = if complete { next.clone() } else { target.to_owned() };
        let former = if complete { epochs_of(target, wanted) } else { None };
        let keeps_former = complete && former.is_none();
        let folder = RunFolder { target: target.to_owned(), work, keeps_former };

        // A run that was complete once is made again where that is asked for, and not gone on with.
        if !(damaged && wanted.force)
            && let Some(saved) = folder.interrupted(wanted)?
        {
            return Ok((folder, Some(saved)));
        }
        if !complete {
            let next = RunFolder { work: next, ..folder.clone() };
            if let Some(saved) = next.interrupted(wanted)? {
                // Its predecessor has gone since; there is nothing to protect any more.
                return Ok((next, Some(saved)));
            }
        }
        folder.clear("had other settings, or was to be made again")?;
        if !wanted.force && former.is_some_and(|epochs| epochs < wanted.epochs) {
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
        if self.keeps_former {
            let aside = place_aside(&self.target);
            atomic::succeed_dir(&self.work, &self.target, &aside)?;
            progress::line(&format!(
                "train: the complete run that was in `{}` had other settings or data, or was another build's; it is kept \
                 as `{}`, for you to delete",
                self.target.display(),
                aside.display()
            ));
        } else if self.work != self.target {
            atomic::replace_dir(&self.work, &self.target)?;
        }
        Ok(atomic::remove_dir(&hidden_sibling(&self.target, "next"))?)
    }

    /// Empties the folder of a training that cannot be gone on with, for it is damaged.
    pub(crate) fn start_afresh(&self, damage: &str) -> Result<(), Error> {
        self.clear(&format!("cannot be gone on with ({damage})"))
    }

    /// The checkpoint of an interrupted training in the folder that leads to what is wanted.
    fn interrupted(&self, wanted: Wanted<'_>) -> Result<Option<Saved>, Error> {
        match interrupted(&self.work, wanted) {
            Err(Error::State { detail, .. }) if wanted.force => {
                self.start_afresh(&detail)?;
                Ok(None)
            }
            found => found,
        }
    }

    /// Empties the folder. A training in it, which may be days of work, is kept beside it.
    fn clear(&self, why: &str) -> Result<(), Error> {
        let position = match Saved::find(&self.work) {
            Ok(None) => None,
            Ok(Some(saved)) => Some(format!(" It was in epoch {}.", saved.position.epoch)),
            Err(_) => Some(String::new()),
        };
        if let Some(position) = position {
            let aside = set_aside(&self.work)?;
            progress::line(&format!(
                "train: the training in `{}` {why}; it is kept as `{}`, and this one starts afresh.{position}",
                self.work.display(),
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

/// The epochs of the complete run `target`, where it is what is wanted or its first part: then nothing is lost when what is
/// wanted takes its place. A damaged one is no part of anything.
fn epochs_of(target: &Path, wanted: Wanted<'_>) -> Option<usize> {
    let position = Saved::find(target).ok().flatten()?.position;
    let epochs = position.complete_epochs();
    (position.identity == *wanted.identity && epochs <= wanted.epochs).then_some(epochs)
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
    let aside = place_aside(run);
    atomic::rename(run, &aside)?;
    Ok(aside)
}

/// A free name for a run that is set aside.
fn place_aside(run: &Path) -> PathBuf {
    let mut places =
        (0..).map(|n| hidden_sibling(run, &if n == 0 { "aside".to_owned() } else { format!("aside-{n}") }));
    places.find(|place| !place.exists()).unwrap_or_default()
}

fn hidden_sibling(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{suffix}"))
}

/// Keeps other processes out of the folder of all runs as long as the result lives.
pub(crate) fn lock(runs: &Path) -> Result<File, Error> {
    atomic::try_lock(&runs.join(".lock"))?.ok_or_else(|| Error::Busy { path: runs.to_owned() })
}
