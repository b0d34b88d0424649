//! Where the files of one run are while it is trained.
//!
//! A run without a complete artifact is trained in its own folder, `run-0`, which has no manifest until it is complete. Where
//! there is a complete one, it stays until its successor, trained in `.run-0.next`, is complete and takes its place. What
//! the successor does not contain is set aside as `.run-0.aside`, because it may be days of work.

use std::fs;
use std::path::{Path, PathBuf};

use artifacts::atomic::{self, DirWriter};
use artifacts::{Error as ArtifactError, Manifest, names, progress};

use crate::aside;
use crate::checkpoint::{Identity, Saved};
use crate::error::Error;

/// Why a training that is found is not resumed.
const OTHER: &str = "had other settings, was another build's, or was to be made again";

/// The folder that one run is trained in.
#[derive(Clone, Debug)]
pub(crate) struct RunFolder {
    target: PathBuf,
    work: PathBuf,
    /// Whether the run contains the complete one that is in `target`, so that nothing is lost when it takes its place.
    contains_former: bool,
}

/// What may be resumed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// What is to be trained.
    pub(crate) identity: &'a Identity,
    /// For how many epochs.
    pub(crate) epochs: usize,
    /// Whether a complete run must be made again from its start.
    pub(crate) force: bool,
}

/// What there is under the run's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Former {
    /// Nothing that was ever complete.
    Incomplete,
    /// A run whose manifest cannot be read.
    Damaged,
    /// A complete run: `epochs` of what is wanted, or something else.
    Complete { epochs: Option<usize> },
}

impl Former {
    fn of(target: &Path, wanted: Wanted<'_>) -> Result<Former, Error> {
        match Manifest::read(target) {
            Err(damage @ ArtifactError::Malformed { .. }) => {
                progress::line(&format!("train: warning: {damage}; the run counts as not complete"));
                Ok(Former::Damaged)
            }
            read => Ok(match read? {
                None => Former::Incomplete,
                Some(_) => Former::Complete { epochs: epochs_of(target, wanted) },
            }),
        }
    }
}

impl RunFolder {
    /// Chooses the folder for the run whose artifact is `target`, and finds the checkpoint that the training resumes from,
    /// if there is one: an interrupted training of the same settings, or a complete one of fewer epochs.
    pub(crate) fn open(target: &Path, wanted: Wanted<'_>) -> Result<(RunFolder, Option<Saved>), Error> {
        let former = Former::of(target, wanted)?;
        let contains_former = matches!(former, Former::Complete { epochs: Some(_) });
        let folder = |work| RunFolder { target: target.to_owned(), work, contains_former };
        let successor = folder(atomic::hidden_sibling(target, "next"));
        successor.check_complete(wanted)?;

        if let Former::Complete { epochs } = former {
            if let Some(saved) = successor.interrupted(wanted)? {
                return Ok((successor, Some(saved)));
            }
            successor.clear(OTHER)?;
            let extends = !wanted.force && epochs.is_some_and(|epochs| epochs < wanted.epochs);
            let saved = if extends { successor.copy_former()? } else { None };
            return Ok((successor, saved));
        }
        let own = folder(target.to_owned());
        // A run that was complete once is made again where that is asked for, and not resumed.
        if !(former == Former::Damaged && wanted.force)
            && let Some(saved) = own.interrupted(wanted)?
        {
            return Ok((own, Some(saved)));
        }
        // A successor whose predecessor has gone since.
        if let Some(saved) = successor.interrupted(wanted)? {
            return Ok((successor, Some(saved)));
        }
        own.clear(OTHER)?;
        Ok((own, None))
    }

    /// The folder to work in.
    pub(crate) fn path(&self) -> &Path {
        &self.work
    }

    /// Completes the run: writes its manifest and gives it its name.
    pub(crate) fn complete(&self, describe: impl FnOnce(&Path) -> Result<Manifest, Error>) -> Result<(), Error> {
        remove_leftovers(&self.work)?;
        describe(&self.work)?.write(&self.work)?;
        if self.work == self.target {
            let next = RunFolder { work: atomic::hidden_sibling(&self.target, "next"), ..self.clone() };
            return next.remove("is not part of the run that is complete now");
        }
        if self.contains_former || training_in(&self.target).is_none() {
            return Ok(atomic::replace_dir(&self.work, &self.target)?);
        }
        let aside = aside::free_place(&self.target);
        atomic::replace_dir_keeping_old(&self.work, &self.target, &aside)?;
        progress::line(&format!(
            "train: the former run in `{}` had other settings or data, or was another build's; {}",
            self.target.display(),
            aside::kept(&self.target, &aside)
        ));
        Ok(())
    }

    /// Empties the folder of a training that cannot be resumed, because it is damaged.
    pub(crate) fn start_afresh(&self, damage: &str) -> Result<(), Error> {
        self.clear(&format!("cannot be resumed ({damage})"))
    }

    /// Sets a complete run in this folder of a successor aside, unless it is what is wanted. It is either that, killed before
    /// it took the place of the former run, or the former run, killed after.
    fn check_complete(&self, wanted: Wanted<'_>) -> Result<(), Error> {
        let is_wanted = || !wanted.force && epochs_of(&self.work, wanted) == Some(wanted.epochs);
        if self.work.join(names::MANIFEST).exists() && !is_wanted() {
            self.remove("is complete, and is not the one that is wanted")?;
        }
        Ok(())
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

    /// Starts from the complete run: copies it, without its manifest, so that a killed copy leaves nothing under this name.
    fn copy_former(&self) -> Result<Option<Saved>, Error> {
        let writer = DirWriter::create(&self.work)?;
        copy(&self.target, writer.path())?;
        writer.publish()?;
        Saved::find(&self.work)
    }

    /// Empties the folder. A training in it, which may be days of work, is kept beside it.
    fn clear(&self, why: &str) -> Result<(), Error> {
        self.remove(why)?;
        fs::create_dir_all(&self.work).map_err(ArtifactError::io("create", &self.work))?;
        Ok(())
    }

    /// Removes the folder. A training in it, which may be days of work, is kept beside it.
    fn remove(&self, why: &str) -> Result<(), Error> {
        if let Some(training) = training_in(&self.work) {
            let aside = aside::set_aside(&self.target, &self.work)?;
            let kept = aside::kept(&self.target, &aside);
            progress::line(&format!("train: the training in `{}`{training} {why}; {kept}", self.work.display()));
        }
        // What a killed copy left goes with it.
        for left in [&self.work, &atomic::hidden_sibling(&self.work, "partial")] {
            atomic::remove_dir(left)?;
        }
        Ok(())
    }
}

/// Whether there is a training in a folder, be it complete; if so, how far it had come, in words.
fn training_in(folder: &Path) -> Option<String> {
    match Saved::find(folder) {
        Ok(Some(saved)) => Some(format!(" (complete epochs: {})", saved.position.complete_epochs())),
        Ok(None) if !folder.join(names::MANIFEST).exists() => None,
        // It cannot be resumed from, but may be worth something all the same.
        _ => Some(String::new()),
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
        // Nothing would be left to train: another build's result would be published as this one's.
        if saved.position.complete_epochs() == wanted.epochs {
            return Ok(None);
        }
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
        } else if entry.file_name() != names::MANIFEST {
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
            atomic::remove_file(&entry.path())?;
        }
    }
    Ok(())
}
