//! Training batches that were launched and whose results have not been read back from the device.
//!
//! Reading a batch's loss waits for the batch to end. If the loss were read after every batch, a GPU would be idle until
//! the next batch is launched. The results of several batches are therefore read together, which does not change their
//! values.

use std::time::{Duration, Instant};

use model::StepOutput;

use crate::error::Error;
use crate::learner::Learner;

/// The longest time between two reads, so that the displayed progress is recent.
const READ_INTERVAL: Duration = Duration::from_millis(500);
/// The number of pending batches after which results are read.
const MAX_PENDING: usize = 32;

/// What the host knows of a launched batch.
#[derive(Clone, Debug)]
pub(crate) struct LaunchedBatch {
    /// The number of the optimiser's step that the batch belongs to, from 1.
    pub(crate) step: u64,
    /// Whether it is the last batch of that step.
    pub(crate) ends_step: bool,
    /// The class indices of the images, `[n]`.
    pub(crate) labels: Vec<u8>,
    /// The number of images of the batch over all processes.
    pub(crate) images_of_all: usize,
    /// The share of them that this process counts.
    pub(crate) share: f64,
}

/// A queue of launched batches, oldest first.
pub(crate) struct PendingBatches {
    batches: Vec<LaunchedBatch>,
    last_read: Instant,
}

impl PendingBatches {
    /// An empty queue.
    pub(crate) fn new() -> PendingBatches {
        PendingBatches { batches: Vec::new(), last_read: Instant::now() }
    }

    /// Appends a batch that was launched.
    pub(crate) fn push(&mut self, batch: LaunchedBatch) {
        self.batches.push(batch);
    }

    /// Whether enough batches are pending, or enough time has passed, to read the results.
    pub(crate) fn should_read(&self) -> bool {
        self.batches.len() >= MAX_PENDING || self.last_read.elapsed() >= READ_INTERVAL
    }

    /// Waits for all pending batches, empties the queue, and returns each batch with its output.
    pub(crate) fn read(&mut self, learner: &mut dyn Learner) -> Result<Vec<(StepOutput, LaunchedBatch)>, Error> {
        let outputs = learner.finished_batches()?;
        debug_assert_eq!(outputs.len(), self.batches.len());
        self.last_read = Instant::now();
        Ok(outputs.into_iter().zip(self.batches.drain(..)).collect())
    }
}
