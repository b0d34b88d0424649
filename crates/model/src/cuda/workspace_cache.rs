//! An LRU cache of workspaces, one per batch shape.

use kernels::cuda::Engine;

use super::recordings::Recordings;
use super::workspace::{Purpose, Workspace};
use crate::batch::BatchShape;
use crate::error::{Error, Result};

/// Batches that may be on their way to the device: one is computed with while the next is copied.
pub(crate) const SLOTS: usize = 2;
/// Batch shapes that are kept: an epoch has full batches and a last one, its validation another last one.
const CAPACITY: usize = 3;

/// Everything that one batch shape needs.
#[derive(Debug)]
pub(crate) struct BatchSpace<E: Engine> {
    /// Activations, gradients and prepared convolutions.
    pub(crate) workspace: Workspace<E>,
    /// Staging buffers, used by turns.
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
    /// The least recently used first.
    spaces: Vec<BatchSpace<E>>,
}

impl<E: Engine> WorkspaceCache<E> {
    /// An empty cache.
    pub(crate) fn new() -> Self {
        Self { spaces: Vec::new() }
    }

    /// The most recently used batch shape.
    pub(crate) fn current(&mut self) -> Result<&mut BatchSpace<E>> {
        self.spaces.last_mut().ok_or(Error::NoForward)
    }

    /// Makes a workspace for `shape` that serves `purpose` the current one. `allocate` creates it if there is none.
    pub(crate) fn select(
        &mut self,
        engine: &E,
        shape: BatchShape,
        purpose: Purpose,
        allocate: impl Fn() -> Result<BatchSpace<E>>,
    ) -> Result<()> {
        let serves = |space: &Workspace<E>| space.shape == shape && space.purpose >= purpose;
        if let Some(i) = self.spaces.iter().position(|space| serves(&space.workspace)) {
            let space = self.spaces.remove(i);
            self.spaces.push(space);
            return Ok(());
        }
        // A workspace of this shape for a lesser purpose is replaced.
        self.evict(engine, |space| space.workspace.shape == shape)?;
        self.keep_latest(engine, CAPACITY - 1)?;
        let space = self.allocate_with_eviction(engine, 0, allocate)?;
        self.spaces.push(space);
        // New memory is zeroed on the computing stream, and batches are copied on another one.
        Ok(engine.wait()?)
    }

    /// Calls `allocate`. If it fails, most likely for want of memory, evicts all but the `kept` most recently used shapes and
    /// calls it again.
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

    /// Evicts the shapes that `evicts` selects, from the least recently used on.
    fn evict(&mut self, engine: &E, mut evicts: impl FnMut(&BatchSpace<E>) -> bool) -> Result<()> {
        let (evicted, kept) = std::mem::take(&mut self.spaces).into_iter().partition(|space| evicts(space));
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
