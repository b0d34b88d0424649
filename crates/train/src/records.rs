//! What a training writes: checkpoints, the history, and TensorBoard events. Of several processes, the first one writes.

use std::path::PathBuf;

use artifacts::Checkpoint;
use artifacts::atomic::{self, DirWriter};
use artifacts::schema::Epoch;

use crate::checkpoint::{self, Best, Description, EpochTotals, TrainingState};
use crate::error::Error;
use crate::folder::RunFolder;
use crate::history::History;
use crate::tensorboard::EventFile;

/// The files of a run in the course of its training. Those of a process that does not write change nothing on disk.
pub(crate) struct Records<'a>(Option<Files<'a>>);

struct Files<'a> {
    /// The folder that checkpoints and metrics are written to.
    folder: &'a RunFolder,
    /// Content of the checkpoints' `config.json` and `preprocessor_config.json`.
    description: &'a Description,
    history: History,
    events: EventFile,
}

impl<'a> Records<'a> {
    /// Opens the files, and drops from them what follows the position of `training`.
    pub(crate) fn open(
        folder: &'a RunFolder,
        description: &'a Description,
        training: &TrainingState,
    ) -> Result<Records<'a>, Error> {
        let history = History::open(folder.path(), training.position.complete_epochs())?;
        let events = EventFile::open(folder.path(), training.position.events_len)?;
        Ok(Records(Some(Files { folder, description, history, events })))
    }

    /// The records of a process that does not write.
    pub(crate) fn of_other_process() -> Records<'static> {
        Records(None)
    }

    /// Adds a point to the loss curve in TensorBoard.
    pub(crate) fn add_loss(&mut self, step: u64, loss: f64) -> Result<(), Error> {
        match &mut self.0 {
            Some(files) => Ok(files.events.add_scalar("train/loss", step, loss)?),
            None => Ok(()),
        }
    }

    /// Moves the position to the start of the next epoch, and saves `last` and, if the epoch is the best so far,
    /// `best`.
    ///
    /// `last` is published after `best` and the history. A training that is killed before that resumes from the
    /// previous `last` and writes the same files again.
    pub(crate) fn save_epoch(&mut self, training: &mut TrainingState, row: Epoch) -> Result<(), Error> {
        let position = &mut training.position;
        if row.best {
            let Epoch { epoch, val_accuracy: accuracy, val_loss: loss, val_roc_auc: roc_auc, .. } = row;
            position.best = Some(Best { epoch, accuracy, loss, roc_auc });
        }
        position.epoch += 1;
        position.batches = 0;
        position.sums = EpochTotals::default();
        let Some(files) = &mut self.0 else { return Ok(()) };
        files.events.add_epoch(&row)?;
        let last = files.write_last(training)?;
        if row.best {
            checkpoint::publish_as_best(files.folder.path(), &last)?;
        }
        files.history.append(row)?;
        Ok(last.publish()?)
    }

    /// Saves `last` in the middle of an epoch.
    pub(crate) fn save_within_epoch(&mut self, training: &mut TrainingState) -> Result<(), Error> {
        match &mut self.0 {
            Some(files) => Ok(files.write_last(training)?.publish()?),
            None => Ok(()),
        }
    }

    /// The newest checkpoint, if there is one.
    pub(crate) fn last_checkpoint(&self) -> Result<Option<PathBuf>, Error> {
        let Some(files) = &self.0 else { return Ok(None) };
        let last = Checkpoint::last(files.folder.path());
        atomic::recover(last.path())?;
        Ok(last.path().exists().then(|| last.path().to_owned()))
    }

    /// The metrics of the epochs so far.
    pub(crate) fn rows(&self) -> &[Epoch] {
        self.0.as_ref().map_or(&[], |files| files.history.rows())
    }
}

impl Files<'_> {
    /// Writes `last` under a temporary name, after the events that belong to it.
    fn write_last(&mut self, training: &mut TrainingState) -> Result<DirWriter, Error> {
        training.position.events_len = self.events.sync()?;
        self.description.write_last(self.folder.path(), training)
    }
}
