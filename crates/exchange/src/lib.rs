//! What the processes of one training exchange: sums, messages of the first process, and decisions.
//!
//! [`connect`] finds the other processes, if `mpirun` or a scheduler started this one together with others. The code
//! that trains sees only [`Exchange`], which has three implementations: [`Alone`] for a single process, `Mpi` with the
//! feature `mpi`, and [`Threads`] for tests.
//!
//! Every process must call the same methods in the same order. A process that ends without doing so must call
//! [`Exchange::abort`], because the others would wait for it forever.

mod alone;
mod connection;
mod launcher;
#[cfg(feature = "mpi")]
mod mpi;
mod threads;

use std::fmt::Debug;

pub use alone::Alone;
pub use connection::{Connection, Error, connect, current};
pub use threads::Threads;

/// The processes of one training, as one of them sees them.
pub trait Exchange: Debug {
    /// The number of this process, from 0.
    fn rank(&self) -> usize;

    /// The number of processes.
    fn world(&self) -> usize;

    /// Replaces each value by its sum over all processes. All processes receive the same bits, and the same number of
    /// processes gives the same bits again.
    fn sum(&self, values: &mut [f64]);

    /// Like [`Exchange::sum`] for values of single precision, which are also added in single precision.
    fn sum_f32(&self, values: &mut [f32]);

    /// Returns the message of process 0. The messages of other processes are ignored.
    fn broadcast(&self, message: Vec<u8>) -> Vec<u8>;

    /// Ends all processes at once with this exit code. A single process only ends itself.
    fn abort(&self, code: u8) -> !;

    /// Whether this process writes files and messages: process 0.
    fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Sets each flag that at least one process has set.
    fn agree(&self, flags: &mut [bool]) {
        if self.world() == 1 {
            return;
        }
        let mut counts: Vec<f64> = flags.iter().map(|&flag| f64::from(u8::from(flag))).collect();
        self.sum(&mut counts);
        for (flag, count) in flags.iter_mut().zip(counts) {
            *flag = count > 0.0;
        }
    }

    /// Returns whether all processes have the same value.
    fn is_equal(&self, value: &[u8]) -> bool {
        let of_first = self.broadcast(value.to_vec());
        let mut differs = [of_first != value];
        self.agree(&mut differs);
        !differs[0]
    }
}
