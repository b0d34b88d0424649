//! The thread that owns the model.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use artifacts::progress;
use artifacts::stage::Failure;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::budget::Reservation;
use crate::checker::{Checked, Checker, OpenChecker, PictureFile};
use crate::queue::Queue;

/// A file that waits for its check.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) file: PictureFile,
    /// The bytes of the file in the common limit.
    pub(crate) reservation: Reservation,
    /// Set when the check begins.
    pub(crate) started: Arc<AtomicBool>,
    /// Takes the result. The client has gone if the receiver was dropped.
    pub(crate) reply: oneshot::Sender<Result<Checked, CheckFailed>>,
}

/// The model failed on a file, with the message for the client.
#[derive(Debug)]
pub(crate) struct CheckFailed(pub(crate) String);

/// The mean duration of recent checks.
#[derive(Debug, Default)]
pub(crate) struct Pace(AtomicU64);

impl Pace {
    /// Adds the duration of a check. Each one has a weight of a quarter.
    fn add(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 4);
        let mean = self.0.load(Ordering::SeqCst);
        self.0.store(if mean == 0 { micros } else { (3 * mean + micros) / 4 }, Ordering::SeqCst);
    }

    /// The seconds that `checks` take, rounded up; at least 1 and at most 60.
    pub(crate) fn seconds(&self, checks: usize) -> u64 {
        let micros = self.0.load(Ordering::SeqCst).saturating_mul(checks as u64);
        micros.div_ceil(1_000_000).clamp(1, 60)
    }
}

/// The thread that owns the model.
pub(crate) struct Worker {
    /// The description of the model.
    pub(crate) model: Value,
    /// Receives the failure that ended the thread, or nothing when the queue was closed.
    pub(crate) ended: oneshot::Receiver<Option<Failure>>,
}

impl Worker {
    /// Starts the thread, and waits until the model is open.
    ///
    /// # Errors
    /// The model cannot be opened.
    pub(crate) fn start(mut open: OpenChecker, queue: Arc<Queue<Job>>, pace: Arc<Pace>) -> Result<Worker, Failure> {
        let (opened, result) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let run = move || {
            let checker = match open() {
                Ok(checker) => checker,
                Err(failure) => {
                    // The receiver waits for this message.
                    let _ = opened.send(Err(failure));
                    return;
                }
            };
            let _ = opened.send(Ok(checker.model()));
            let failure = check_all(checker, &mut open, &queue, &pace).err();
            queue.close();
            let _ = end.send(failure);
        };
        std::thread::Builder::new().name("checker".to_owned()).spawn(run).map_err(Failure::failed)?;
        let model = result.recv().map_err(|_| Failure::failed("the program failed while it opened the model"))??;
        Ok(Worker { model, ended })
    }
}

/// Checks files until the queue is closed.
///
/// # Errors
/// The model cannot be opened again after a panic.
fn check_all(
    mut checker: Box<dyn Checker>,
    open: &mut OpenChecker,
    queue: &Queue<Job>,
    pace: &Pace,
) -> Result<(), Failure> {
    while let Some(job) = queue.pop() {
        let Job { file, reservation, started, reply } = job;
        if reply.is_closed() {
            continue;
        }
        started.store(true, Ordering::SeqCst);
        let start = Instant::now();
        // The checker is replaced after a panic.
        let checked = catch_unwind(AssertUnwindSafe(|| checker.check(&file, &|| reply.is_closed())));
        pace.add(start.elapsed());
        let panicked = checked.is_err();
        let result = match checked {
            Ok(Ok(checked)) => Ok(checked),
            // Cancelled, because the client has gone: nobody waits for an answer.
            Ok(Err(_)) if reply.is_closed() => continue,
            Ok(Err(failure)) => {
                progress::line(&format!("serve: a check failed: {}", artifacts::text::visible(&failure.chain())));
                Err(CheckFailed("the model failed on this file; the terminal of the server shows why".to_owned()))
            }
            Err(_) => Err(CheckFailed("the program failed on this file; please report it".to_owned())),
        };
        drop((file, reservation));
        // The client may have gone.
        let _ = reply.send(result);
        if panicked {
            progress::line("serve: a check ended with a panic; the model is opened again");
            checker = open()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_predicts_waiting_time() {
        let pace = Pace::default();
        assert_eq!(pace.seconds(10), 1);
        for _ in 0..40 {
            pace.add(Duration::from_millis(500));
        }
        assert_eq!((pace.seconds(1), pace.seconds(10), pace.seconds(10_000)), (1, 5, 60));
    }
}
