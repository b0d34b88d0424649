//! `metrics.jsonl`: one row per epoch. The file is replaced as a whole after each epoch.

use std::path::{Path, PathBuf};

use artifacts::schema::Epoch;
use artifacts::{Error, atomic, names};

use crate::config::Criterion;

/// The kind of file, for error messages.
const FORMAT: &str = "training history";

/// The metrics of a run's epochs so far.
#[derive(Debug)]
pub(crate) struct History {
    path: PathBuf,
    rows: Vec<Epoch>,
}

impl History {
    /// Reads the first `epochs` rows of the history in the folder `run`. Drops further rows. A training that was killed
    /// between its last checkpoint and the next may have written them; it trains those epochs again.
    pub(crate) fn open(run: &Path, epochs: usize) -> Result<History, Error> {
        let path = run.join(names::HISTORY);
        let mut rows = if epochs == 0 { Vec::new() } else { atomic::read_lines(&path, FORMAT)? };
        if rows.len() < epochs {
            let detail = format!("it has {} rows, but the checkpoint was saved after {epochs} epochs", rows.len());
            return Err(Error::malformed(&path, FORMAT, detail));
        }
        rows.truncate(epochs);
        Ok(History { path, rows })
    }

    /// The rows, first epoch first.
    pub(crate) fn rows(&self) -> &[Epoch] {
        &self.rows
    }

    /// Appends an epoch and replaces the file.
    pub(crate) fn append(&mut self, row: Epoch) -> Result<(), Error> {
        self.rows.push(row);
        atomic::write_lines(&self.path, &self.rows)
    }
}

/// Describes an epoch in one line, for the log: `epoch 2/60: loss …`.
pub(crate) fn describe(row: &Epoch, epochs: usize, criterion: Criterion) -> String {
    let roc_auc = row.val_roc_auc.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.4}"));
    let best = if row.best { format!(" (best {} so far)", criterion.describe()) } else { String::new() };
    format!(
        "epoch {}/{epochs}: loss {:.4}, accuracy {:.4}; validation loss {:.4}, accuracy {:.4}, ROC-AUC {roc_auc}{best}; \
         {:.1} images/s",
        row.epoch, row.train_loss, row.train_accuracy, row.val_loss, row.val_accuracy, row.images_per_second
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn row(epoch: usize) -> Epoch {
        Epoch {
            epoch,
            step: epoch as u64 * 7,
            learning_rate: 1e-4,
            train_loss: 0.1 + 0.2,
            train_accuracy: 1.0 / 3.0,
            val_loss: 0.7,
            val_accuracy: 0.5,
            val_roc_auc: None,
            best: epoch == 1,
            train_seconds: 1.5,
            val_seconds: 0.5,
            images_per_second: 10.0,
        }
    }

    #[test]
    fn drops_rows_after_the_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let mut history = History::open(dir.path(), 0).unwrap();
        for epoch in 1..=3 {
            history.append(row(epoch)).unwrap();
        }
        assert_eq!(fs::read_to_string(dir.path().join(names::HISTORY)).unwrap().lines().count(), 3);
        let mut resumed = History::open(dir.path(), 2).unwrap();
        assert_eq!(resumed.rows(), [row(1), row(2)]);
        resumed.append(row(3)).unwrap();
        assert_eq!(History::open(dir.path(), 3).unwrap().rows(), history.rows());
        assert!(History::open(dir.path(), 4).unwrap_err().to_string().contains("4 epochs"));
    }
}
