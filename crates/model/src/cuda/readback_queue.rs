//! Asynchronous copies of results from the device to the host.

use std::collections::VecDeque;

use kernels::cuda::{Address, Engine, Result};

/// The maximum number of results in flight in one queue. A full queue waits for its oldest result.
pub(crate) const MAX_PENDING: usize = 64;

/// A queue of readbacks, in the order in which they were started.
#[derive(Debug)]
pub(crate) struct ReadbackQueue<E: Engine> {
    pending: VecDeque<E::Readback>,
    /// Results that have arrived but were not yet returned.
    finished: Vec<Vec<f32>>,
}

impl<E: Engine> ReadbackQueue<E> {
    /// Creates an empty queue.
    pub(crate) fn new() -> Self {
        Self { pending: VecDeque::new(), finished: Vec::new() }
    }

    /// Waits for the oldest result if the queue is full.
    pub(crate) fn make_room(&mut self, engine: &E) -> Result<()> {
        if self.pending.len() == MAX_PENDING { self.finish_oldest(engine) } else { Ok(()) }
    }

    /// Starts a copy of the `f32` values in the `bytes` bytes at `from`.
    pub(crate) fn push(&mut self, engine: &E, from: Address, bytes: usize) -> Result<()> {
        self.pending.push_back(engine.start_readback(from, bytes)?);
        Ok(())
    }

    /// Waits for all results and returns them in order.
    pub(crate) fn take(&mut self, engine: &E) -> Result<Vec<Vec<f32>>> {
        while !self.pending.is_empty() {
            self.finish_oldest(engine)?;
        }
        Ok(std::mem::take(&mut self.finished))
    }

    fn finish_oldest(&mut self, engine: &E) -> Result<()> {
        if let Some(readback) = self.pending.pop_front() {
            let bytes = engine.finish_readback(readback)?;
            self.finished.push(bytes.as_chunks().0.iter().map(|&value| f32::from_ne_bytes(value)).collect());
        }
        Ok(())
    }
}
