//! `metrics.jsonl`: one row an epoch, rewritten as a whole after each.

use std::path::{Path, PathBuf};

use artifacts::schema::Epoch;
use artifacts::{Error, atomic, names};

/// What the file is, in an error.
const FORMAT: &str = "training history";

/// The epochs of a run so far.
#[derive(Debug)]
pub(crate) struct History {
    path: PathBuf,
    rows: Vec<Epoch>,
}

impl History {
    /// The first `epochs` rows of a run's history; what a killed training wrote beyond them is trained again.
    pub(crate) fn open(run: &Path, epochs: usize) -> Result<History, Error> {
        let path = run.join(names::HISTORY);
        let mut rows = if epochs == 0 { Vec::new() } else { atomic::read_lines(&path, FORMAT)? };
        if rows.len() < epochs {
            let detail = format!("it has {} rows, but the checkpoint has seen {epochs} epochs", rows.len());
            return Err(Error::malformed(&path, FORMAT, detail));
        }
        rows.truncate(epochs);
        Ok(History { path, rows })
    }

    /// The epochs so far.
    pub(crate) fn rows(&self) -> &[Epoch] {
        &self.rows
    }

    /// Appends an epoch.
    pub(crate) fn push(&mut self, row: Epoch) -> Result<(), Error> {
        self.rows.push(row);
        atomic::write_lines(&self.path, &self.rows)
    }
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
    fn rows_survive_and_those_beyond_the_checkpoint_are_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let mut history = History::open(dir.path(), 0).unwrap();
        for epoch in 1..=3 {
            history.push(row(epoch)).unwrap();
        }
        assert_eq!(fs::read_to_string(dir.path().join(names::HISTORY)).unwrap().lines().count(), 3);
        let mut resumed = History::open(dir.path(), 2).unwrap();
        assert_eq!(resumed.rows(), [row(1), row(2)]);
        resumed.push(row(3)).unwrap();
        assert_eq!(History::open(dir.path(), 3).unwrap().rows(), history.rows());
        assert!(History::open(dir.path(), 4).unwrap_err().to_string().contains("4 epochs"));
    }
}
