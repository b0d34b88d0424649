//! Processes that MPI connects, on one machine or several.

use std::cell::RefCell;
use std::fmt;
use std::thread;

use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Equivalence, Root};

use crate::Exchange;

/// The number of values that are added in one call. The buffer that MPI writes to has this size. The number fixes how
/// MPI divides the work, and so the order of the sums.
const CHUNK: usize = 1 << 18;
/// The exit code of all processes if one of them panics.
const PANICKED: u8 = 1;

/// This process and the others of `MPI_COMM_WORLD`. A failure of MPI ends all processes, which is MPI's default.
pub(crate) struct Mpi {
    // Dropped last, because it shuts MPI down.
    world: SimpleCommunicator,
    _universe: Universe,
    singles: RefCell<Vec<f32>>,
    doubles: RefCell<Vec<f64>>,
}

impl Mpi {
    /// Starts MPI. Only the thread that calls this may use the exchange. Returns `None` if MPI does not start, or was
    /// started before.
    pub(crate) fn start() -> Option<Mpi> {
        let (universe, _) = mpi::initialize_with_threading(Threading::Funneled)?;
        let world = universe.world();
        Some(Mpi { world, _universe: universe, singles: RefCell::default(), doubles: RefCell::default() })
    }

    /// Adds values over all processes in chunks, because MPI needs a second buffer for the sums.
    fn add<T: Equivalence + Copy + Default>(&self, values: &mut [T], buffer: &RefCell<Vec<T>>)
    where
        [T]: mpi::traits::Buffer + mpi::traits::BufferMut,
    {
        let mut buffer = buffer.borrow_mut();
        buffer.resize(values.len().min(CHUNK), T::default());
        for chunk in values.chunks_mut(CHUNK) {
            let sums = &mut buffer[..chunk.len()];
            self.world.all_reduce_into(&*chunk, sums, SystemOperation::sum());
            chunk.copy_from_slice(sums);
        }
    }
}

impl fmt::Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} of {}", self.rank(), self.world())
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        // Shutting MPI down waits for the other processes, which wait for this one.
        if thread::panicking() {
            self.abort(PANICKED);
        }
    }
}

impl Exchange for Mpi {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn world(&self) -> usize {
        self.world.size() as usize
    }

    fn sum(&self, values: &mut [f64]) {
        self.add(values, &self.doubles);
    }

    fn sum_f32(&self, values: &mut [f32]) {
        self.add(values, &self.singles);
    }

    fn broadcast(&self, mut message: Vec<u8>) -> Vec<u8> {
        let root = self.world.process_at_rank(0);
        let mut length = message.len() as u64;
        root.broadcast_into(&mut length);
        message.resize(length as usize, 0);
        root.broadcast_into(&mut message[..]);
        message
    }

    fn abort(&self, code: u8) -> ! {
        self.world.abort(code.into())
    }
}
