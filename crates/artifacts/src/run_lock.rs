//! Locks that keep two processes from doing the same work in one run.

use std::fs::File;

use crate::failure::Failure;
use crate::{RunDir, atomic};

/// Locks a stage (by its name) or the whole pipeline ("pipeline") of a run. A second process then cannot do the same
/// work in this run. The system releases the lock when the process ends or is killed.
///
/// # Errors
/// Another process holds the lock.
pub fn lock(run: &RunDir, work: &str) -> Result<File, Failure> {
    atomic::try_lock(&run.path().join(format!(".{work}.lock")))?.ok_or_else(|| {
        Failure::failed(format!(
            "another process is running {work} in `{}`; wait for it, or use another --run-dir",
            run.path().display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_one_stage_of_a_run() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::new(root.path());
        let held = lock(&run, "train").unwrap();
        assert!(lock(&run, "train").unwrap_err().to_string().contains("another process is running train"));
        lock(&run, "report").unwrap();
        drop(held);
        lock(&run, "train").unwrap();
    }
}
