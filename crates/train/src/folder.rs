//! The folder in which one run is trained.
//!
//! A run without a complete artifact is trained in its own folder, `run-0`. When the training is complete, the manifest
//! is written there. If there is a complete artifact, it stays in place, and its successor is trained in `.run-0.next`.
//! When the successor is complete, it takes the place of the former run. If the successor does not continue the former
//! run, the former run is renamed to `.run-0.aside`, see [`crate::backup`].

use std::fs;
use std::path::{Path, PathBuf};

use artifacts::atomic::{self, DirWriter};
use artifacts::{Error as ArtifactError, Manifest, names, progress};

use crate::backup;
use crate::checkpoint::{SavedTraining, TrainingPosition};
use crate::error::Error;
use crate::identity::Identity;

/// The reason, for messages, why a training on disk is not resumed.
const NOT_REQUESTED: &str =
    "has another configuration, other data or another stage version, or is made again because of --force";

/// The folder that one run is trained in.
#[derive(Clone, Debug)]
pub(crate) struct RunFolder {
    target: PathBuf,
    work: PathBuf,
    /// Whether the new training continues the complete run in `target`, so that replacing that run loses nothing.
    contains_former: bool,
}

/// The requested training of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunRequest<'a> {
    /// Settings, data and device.
    pub(crate) identity: &'a Identity,
    /// The number of epochs.
    pub(crate) epochs: usize,
    /// Train from the start even if there is a complete run.
    pub(crate) force: bool,
}

/// The state of the artifact in the run's folder before the training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Former {
    /// No complete artifact.
    Incomplete,
    /// An artifact whose manifest cannot be read.
    Damaged,
    /// A complete artifact. `epochs` is its number of epochs if it is the requested training or the beginning of it,
    /// and `None` if it is another training.
    Complete { epochs: Option<usize> },
}

impl Former {
    fn of(target: &Path, request: RunRequest<'_>) -> Result<Former, Error> {
        match Manifest::read(target) {
            Err(damage @ ArtifactError::Malformed { .. }) => {
                progress::line(&format!("train: warning: {damage}; the run counts as incomplete"));
                Ok(Former::Damaged)
            }
            read => Ok(match read? {
                None => Former::Incomplete,
                Some(_) => Former::Complete { epochs: matching_epochs(target, request) },
            }),
        }
    }
}

impl RunFolder {
    /// Chooses the folder to train the run `target` in. Also returns the checkpoint that the training resumes from, if
    /// there is one: it belongs to an interrupted training with the same settings, or to a complete training with fewer
    /// epochs.
    pub(crate) fn open(target: &Path, request: RunRequest<'_>) -> Result<(RunFolder, Option<SavedTraining>), Error> {
        let former = Former::of(target, request)?;
        let contains_former = matches!(former, Former::Complete { epochs: Some(_) });
        let folder = |work| RunFolder { target: target.to_owned(), work, contains_former };
        let successor = folder(atomic::hidden_sibling(target, "next"));
        successor.remove_other_complete_run(request)?;

        if let Former::Complete { epochs } = former {
            if let Some(saved) = successor.resumable(request)? {
                return Ok((successor, Some(saved)));
            }
            successor.clear(NOT_REQUESTED)?;
            let extends = !request.force && epochs.is_some_and(|epochs| epochs < request.epochs);
            let saved = if extends { successor.copy_former()? } else { None };
            return Ok((successor, saved));
        }
        let own = folder(target.to_owned());
        // A run whose manifest is damaged was complete. With --force, train it from the start.
        if !(former == Former::Damaged && request.force)
            && let Some(saved) = own.resumable(request)?
        {
            return Ok((own, Some(saved)));
        }
        // The former run may have been deleted while its successor was interrupted.
        if let Some(saved) = successor.resumable(request)? {
            return Ok((successor, Some(saved)));
        }
        own.clear(NOT_REQUESTED)?;
        Ok((own, None))
    }

    /// The folder to train in.
    pub(crate) fn path(&self) -> &Path {
        &self.work
    }

    /// Completes the run: writes its manifest and renames its folder to the target.
    pub(crate) fn complete(&self, describe: impl FnOnce(&Path) -> Result<Manifest, Error>) -> Result<(), Error> {
        remove_leftovers(&self.work)?;
        describe(&self.work)?.write(&self.work)?;
        if self.work == self.target {
            let next = RunFolder { work: atomic::hidden_sibling(&self.target, "next"), ..self.clone() };
            return next.remove("is not part of the run that is complete now");
        }
        if self.contains_former || describe_training(&self.target).is_none() {
            return Ok(atomic::replace_dir(&self.work, &self.target)?);
        }
        let backup = backup::free_name(&self.target);
        atomic::replace_dir_keeping_old(&self.work, &self.target, &backup)?;
        progress::line(&format!(
            "train: the former run in `{}` had another configuration, other data or another stage version; {}",
            self.target.display(),
            backup::describe(&self.target, &backup)
        ));
        Ok(())
    }

    /// Empties the folder of a damaged training that cannot be resumed.
    pub(crate) fn start_afresh(&self, damage: &str) -> Result<(), Error> {
        self.clear(&format!("cannot be resumed ({damage})"))
    }

    /// Sets aside a complete run in the folder of the successor, unless it is the requested run. A process that was
    /// killed while the successor replaced the former run leaves such a run. It is the successor if the process was
    /// killed before the folders were exchanged, and the former run if it was killed after.
    fn remove_other_complete_run(&self, request: RunRequest<'_>) -> Result<(), Error> {
        if is_other_complete_run(&self.work, request) {
            self.remove("is complete, and is not the requested one")?;
        }
        Ok(())
    }

    /// Returns the checkpoint in the folder, if continuing it gives the requested training.
    fn resumable(&self, request: RunRequest<'_>) -> Result<Option<SavedTraining>, Error> {
        match find_resumable(&self.work, request) {
            Err(Error::DamagedCheckpoint { detail, .. }) if request.force => {
                self.start_afresh(&detail)?;
                Ok(None)
            }
            found => found,
        }
    }

    /// Copies the complete run without its manifest into the folder. A killed copy leaves the folder as it was.
    fn copy_former(&self) -> Result<Option<SavedTraining>, Error> {
        let writer = DirWriter::create(&self.work)?;
        copy(&self.target, writer.path())?;
        writer.publish()?;
        SavedTraining::find(&self.work)
    }

    /// Empties the folder. A training in it becomes a backup.
    fn clear(&self, why: &str) -> Result<(), Error> {
        self.remove(why)?;
        fs::create_dir_all(&self.work).map_err(ArtifactError::io("create", &self.work))?;
        Ok(())
    }

    /// Removes the folder. A training in it becomes a backup.
    fn remove(&self, why: &str) -> Result<(), Error> {
        if let Some(training) = describe_training(&self.work) {
            let backup = backup::set_aside(&self.target, &self.work)?;
            let kept = backup::describe(&self.target, &backup);
            progress::line(&format!("train: the training in `{}`{training} {why}; {kept}", self.work.display()));
        }
        // A killed copy leaves a folder with a temporary name.
        for left in [&self.work, &atomic::hidden_sibling(&self.work, "partial")] {
            atomic::remove_dir(left)?;
        }
        Ok(())
    }
}

/// Lists the folders that [`RunFolder::open`] and [`RunFolder::complete`] will set aside for this request, in that
/// order. Changes nothing on disk.
pub(crate) fn folders_to_set_aside(target: &Path, request: RunRequest<'_>) -> Vec<PathBuf> {
    let next = atomic::hidden_sibling(target, "next");
    let resumes = |folder: &Path| {
        let leads = SavedTraining::peek(folder).is_some_and(|position| leads_to(&position, request));
        leads && !is_other_complete_run(folder, request)
    };
    let [own_training, next_training] = [target, &next].map(|folder| has_training(folder).then(|| folder.to_owned()));
    let set_aside = match Manifest::read(target) {
        Ok(Some(_)) => {
            let replaced = own_training.filter(|own| matching_epochs(own, request).is_none());
            [next_training.filter(|next| !resumes(next)), replaced]
        }
        manifest => {
            let restarts = manifest.is_err() && request.force;
            if resumes(target) && !restarts {
                [None, next_training]
            } else {
                [own_training, next_training.filter(|next| !resumes(next))]
            }
        }
    };
    set_aside.into_iter().flatten().collect()
}

/// Returns whether a folder holds a training, complete or not, that is worth a backup.
pub(crate) fn has_training(folder: &Path) -> bool {
    folder.join(names::MANIFEST).exists() || artifacts::Checkpoint::last(folder).training_state().exists()
}

/// Describes the progress of the training in a folder, for messages. Returns `None` if there is no training.
fn describe_training(folder: &Path) -> Option<String> {
    match SavedTraining::find(folder) {
        Ok(Some(saved)) => Some(format!(" (complete epochs: {})", saved.position.complete_epochs())),
        Ok(None) if !folder.join(names::MANIFEST).exists() => None,
        // The training cannot be resumed, but its other files may be useful.
        _ => Some(String::new()),
    }
}

/// Returns whether a folder holds a complete run that is not the requested one.
fn is_other_complete_run(folder: &Path, request: RunRequest<'_>) -> bool {
    let is_requested = || !request.force && matching_epochs(folder, request) == Some(request.epochs);
    folder.join(names::MANIFEST).exists() && !is_requested()
}

/// Returns the checkpoint in `work`, if continuing it gives the requested training.
fn find_resumable(work: &Path, request: RunRequest<'_>) -> Result<Option<SavedTraining>, Error> {
    let Some(saved) = SavedTraining::find(work)? else { return Ok(None) };
    if !leads_to(&saved.position, request) {
        return Ok(None);
    }
    if let Some(difference) = saved.position.identity.difference(request.identity) {
        progress::line(&format!(
            "train: warning: the interrupted training `{}` is resumed although {difference}; the result may differ from the \
             result of an uninterrupted training",
            work.display()
        ));
    }
    Ok(Some(saved))
}

/// Returns whether continuing from a position gives the requested training. An unfinished training of another stage
/// version or device is continued too, because it may have taken days.
fn leads_to(position: &TrainingPosition, request: RunRequest<'_>) -> bool {
    let is_complete = position.complete_epochs() == request.epochs;
    position.identity.has_settings_of(request.identity)
        && position.is_within(request.epochs)
        && (!is_complete || position.identity.matches(request.identity))
}

/// Returns the number of epochs of the complete run `target`, if it is the requested training or the beginning of it.
/// Replacing such a run loses nothing.
fn matching_epochs(target: &Path, request: RunRequest<'_>) -> Option<usize> {
    let position = SavedTraining::peek(target)?;
    let epochs = position.complete_epochs();
    (position.identity.matches(request.identity) && epochs <= request.epochs).then_some(epochs)
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

/// Removes partial files and folders that a killed process left. No artifact has a name that begins with a dot.
fn remove_leftovers(work: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(work).map_err(ArtifactError::io("list", work))? {
        let entry = entry.map_err(ArtifactError::io("list", work))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Keep files of other programs, such as `.DS_Store`.
        if name.starts_with('.') && entry.path().is_dir() {
            atomic::remove_dir(&entry.path())?;
        } else if name.ends_with(".partial") {
            atomic::remove_file(&entry.path())?;
        }
    }
    Ok(())
}
