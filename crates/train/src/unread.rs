//! Steps that were begun and whose results nobody has looked at yet.
//!
//! Looking at a step's loss waits for the step, and a card that is waited for after each has nothing to do until the next
//! is asked for. So results are read together, now and then; when that is changes nothing of what they are.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use model::{Network, StepOutput};

/// Results are read when the last reading is so long ago: often enough for people.
const INTERVAL: Duration = Duration::from_millis(500);
/// Or when there are so many.
const MOST: usize = 32;

/// Steps in the order in which they were begun.
pub(crate) struct Unread {
    /// Their class indices.
    labels: VecDeque<Vec<u8>>,
    last: Instant,
}

impl Unread {
    /// None so far.
    pub(crate) fn none() -> Unread {
        Unread { labels: VecDeque::new(), last: Instant::now() }
    }

    /// Counts a step on images with `labels`, `[n]`, that has begun.
    pub(crate) fn push(&mut self, labels: &[u8]) {
        self.labels.push_back(labels.to_vec());
    }

    /// Whether it is time to read.
    pub(crate) fn is_due(&self) -> bool {
        self.labels.len() >= MOST || self.last.elapsed() >= INTERVAL
    }

    /// The results of all steps, with their labels; waits for them.
    pub(crate) fn read(&mut self, network: &mut Network) -> model::Result<Vec<(StepOutput, Vec<u8>)>> {
        let outputs = network.finished_steps()?;
        debug_assert_eq!(outputs.len(), self.labels.len());
        self.last = Instant::now();
        Ok(outputs.into_iter().zip(self.labels.drain(..)).collect())
    }
}
