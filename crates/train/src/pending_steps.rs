//! Training steps that were launched and whose results have not been read back from the device.
//!
//! Reading a step's loss waits for the step to end. If the loss were read after every step, a GPU would be idle until
//! the next step is launched. The results of several steps are therefore read together, which does not change their
//! values.

use std::time::{Duration, Instant};

use model::StepOutput;

use crate::error::Error;
use crate::learner::Learner;

/// The longest time between two reads, so that the displayed progress is recent.
const READ_INTERVAL: Duration = Duration::from_millis(500);
/// The number of pending steps after which results are read.
const MAX_PENDING: usize = 32;

/// A queue of launched steps, oldest first.
pub(crate) struct PendingSteps {
    /// The class indices of each step, `[n]`. The device holds the rest.
    labels: Vec<Vec<u8>>,
    last_read: Instant,
}

impl PendingSteps {
    /// An empty queue.
    pub(crate) fn new() -> PendingSteps {
        PendingSteps { labels: Vec::new(), last_read: Instant::now() }
    }

    /// Appends a step that was launched on images with the class indices `labels`, `[n]`.
    pub(crate) fn push(&mut self, labels: &[u8]) {
        self.labels.push(labels.to_vec());
    }

    /// Whether enough steps are pending, or enough time has passed, to read the results.
    pub(crate) fn should_read(&self) -> bool {
        self.labels.len() >= MAX_PENDING || self.last_read.elapsed() >= READ_INTERVAL
    }

    /// Waits for all pending steps, empties the queue, and returns the output and the class indices of each step.
    pub(crate) fn read(&mut self, learner: &mut dyn Learner) -> Result<Vec<(StepOutput, Vec<u8>)>, Error> {
        let outputs = learner.finished_steps()?;
        debug_assert_eq!(outputs.len(), self.labels.len());
        self.last_read = Instant::now();
        Ok(outputs.into_iter().zip(self.labels.drain(..)).collect())
    }
}
