//! Locks that keep two processes from doing the same work in one run.

use std::fs::{self, File};
use std::io::Write;

use crate::failure::Failure;
use crate::{RunDir, atomic};

/// Locks a stage (by its name) or the whole pipeline ("pipeline") of a run. A second process then cannot do the same
/// work in this run. The system releases the lock when the process ends or is killed. The lock file holds the number of
/// the process.
///
/// # Errors
/// Another process holds the lock, or the run cannot be written to.
pub fn lock(run: &RunDir, work: &str) -> Result<File, Failure> {
    let path = run.path().join(format!(".{work}.lock"));
    if let Some(mut file) = atomic::try_lock(&path)? {
        // The number is only for the message of another process.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        return Ok(file);
    }
    let process = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<u32>().ok());
    let process = process.map(|id| format!(" as process {id}")).unwrap_or_default();
    Err(Failure::failed(format!(
        "another process is running {work} in `{}`{process}; wait for it, end it, or use another --run-dir",
        run.path().display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_one_stage_of_a_run() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::new(root.path());
        let held = lock(&run, "train").unwrap();
        let message = lock(&run, "train").unwrap_err().to_string();
        assert!(message.contains("another process is running train"), "{message}");
        #[cfg(unix)]
        assert!(message.contains(&format!("as process {};", std::process::id())), "{message}");
        lock(&run, "report").unwrap();
        drop(held);
        lock(&run, "train").unwrap();
    }

    #[test]
    fn names_the_process_of_the_last_lock() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::new(root.path());
        fs::write(root.path().join(".train.lock"), "4294967295").unwrap();
        let _held = lock(&run, "train").unwrap();
        assert_eq!(fs::read_to_string(root.path().join(".train.lock")).unwrap(), std::process::id().to_string());
    }
}
