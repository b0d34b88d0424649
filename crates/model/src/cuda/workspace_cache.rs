//! An LRU cache of workspaces, one per batch shape.

use kernels::cuda::Engine;

use super::recordings::Recordings;
use super::workspace::{Purpose, Workspace};
use crate::batch::BatchShape;
use crate::error::{Error, Result};

/// The number of staging buffers: the device reads one batch while the next is copied.
pub(crate) const SLOTS: usize = 2;
/// The number of batch shapes kept: full batches, the last batch of a training epoch, and the last batch of its
/// validation.
const CAPACITY: usize = 3;

/// The workspace, staging buffers and recordings of one batch shape.
#[derive(Debug)]
pub(crate) struct BatchSpace<E: Engine> {
    /// Activations, gradients and prepared convolutions.
    pub(crate) workspace: Workspace<E>,
    /// Staging buffers, used alternately.
    pub(crate) slots: [Slot<E>; SLOTS],
    /// The recorded passes over the workspace.
    pub(crate) recordings: Recordings<E>,
}

/// A staging buffer: the device memory that the bytes of a batch are copied to.
#[derive(Debug)]
pub(crate) struct Slot<E: Engine> {
    /// RGB bytes.
    pub(crate) pixels: E::Memory,
    /// Labels, or the classes of Grad-CAM.
    pub(crate) labels: E::Memory,
}

/// The most recently used batch shapes.
#[derive(Debug)]
pub(crate) struct WorkspaceCache<E: Engine> {
    /// In order of use, the least recently used first.
    spaces: Vec<BatchSpace<E>>,
}

impl<E: Engine> WorkspaceCache<E> {
    /// Creates an empty cache.
    pub(crate) fn new() -> Self {
        Self { spaces: Vec::new() }
    }

    /// Returns the most recently used workspace.
    pub(crate) fn current(&mut self) -> Result<&mut BatchSpace<E>> {
        self.spaces.last_mut().ok_or(Error::NoForward)
    }

    /// Makes a workspace for `shape` and `purpose` the current one. Calls `allocate` if there is none.
    pub(crate) fn select(
        &mut self,
        engine: &E,
        shape: BatchShape,
        purpose: Purpose,
        allocate: impl Fn() -> Result<BatchSpace<E>>,
    ) -> Result<()> {
        let suffices = |space: &Workspace<E>| space.shape == shape && space.purpose >= purpose;
        if let Some(i) = self.spaces.iter().position(|space| suffices(&space.workspace)) {
            let space = self.spaces.remove(i);
            self.spaces.push(space);
            return Ok(());
        }
        // Replace a workspace of this shape that does not suffice for the purpose.
        self.evict(engine, |space| space.workspace.shape == shape)?;
        self.keep_latest(engine, CAPACITY - 1)?;
        let space = self.allocate_with_eviction(engine, 0, allocate)?;
        self.spaces.push(space);
        // New memory is zeroed on the compute stream, but batches are copied on another stream.
        Ok(engine.wait()?)
    }

    /// Calls `allocate`. If it fails, most likely because memory is full, should_evict all but the `kept` most recently
    /// used shapes and calls it again.
    pub(crate) fn allocate_with_eviction<T>(
        &mut self,
        engine: &E,
        kept: usize,
        allocate: impl Fn() -> Result<T>,
    ) -> Result<T> {
        match allocate() {
            Err(_) if self.spaces.len() > kept => {
                self.keep_latest(engine, kept)?;
                allocate()
            }
            done => done,
        }
    }

    /// Drops all workspaces and recordings.
    pub(crate) fn clear(&mut self) {
        self.spaces.clear();
    }

    /// Evicts all but the `kept` most recently used shapes.
    fn keep_latest(&mut self, engine: &E, kept: usize) -> Result<()> {
        let mut left = self.spaces.len();
        self.evict(engine, |_| {
            left -= 1;
            left >= kept
        })
    }

    /// Evicts the shapes for which `should_evict` returns true. Calls it in order of use, the least recently used
    /// first.
    fn evict(&mut self, engine: &E, mut should_evict: impl FnMut(&BatchSpace<E>) -> bool) -> Result<()> {
        let (evicted, kept) = std::mem::take(&mut self.spaces).into_iter().partition(|space| should_evict(space));
        self.spaces = kept;
        if Vec::is_empty(&evicted) {
            return Ok(());
        }
        // Work that uses the memory may still be queued, and freed memory is available only after the next wait.
        engine.wait()?;
        drop(evicted);
        Ok(engine.wait()?)
    }
}
