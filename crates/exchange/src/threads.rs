//! Threads in place of processes, for tests of code that trains with several processes.

use std::fmt;
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;

use crate::Exchange;

/// One of several threads that act as processes.
pub struct Threads {
    rank: usize,
    shared: Arc<Shared>,
}

/// What the threads share.
struct Shared {
    barrier: Barrier,
    /// The values that each thread adds, and the message of the first one.
    values: Mutex<Vec<Vec<f64>>>,
    message: Mutex<Vec<u8>>,
}

impl Threads {
    /// Runs `work` on `world` threads, each with its exchange, and returns their results in order.
    ///
    /// # Panics
    /// A thread panics. The others then wait forever if they expect it, so that a test fails by its time limit.
    pub fn run<T: Send>(world: usize, work: impl Fn(Threads) -> T + Sync) -> Vec<T> {
        let shared = Arc::new(Shared {
            barrier: Barrier::new(world),
            values: Mutex::new(vec![Vec::new(); world]),
            message: Mutex::default(),
        });
        thread::scope(|scope| {
            let start = |rank| {
                let (work, shared) = (&work, Arc::clone(&shared));
                scope.spawn(move || work(Threads { rank, shared }))
            };
            let threads: Vec<_> = (0..world).map(start).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, T>| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            threads.into_iter().map(join).collect()
        })
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread {} of {}", self.rank, self.world())
    }
}

impl Exchange for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world(&self) -> usize {
        self.shared.values.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn sum(&self, values: &mut [f64]) {
        let all = || self.shared.values.lock().unwrap_or_else(PoisonError::into_inner);
        all()[self.rank] = values.to_vec();
        self.shared.barrier.wait();
        let shared = all();
        for (i, value) in values.iter_mut().enumerate() {
            *value = shared.iter().map(|of_thread| of_thread[i]).sum();
        }
        drop(shared);
        // The next call replaces the values.
        self.shared.barrier.wait();
    }

    fn sum_f32(&self, values: &mut [f32]) {
        let mut wide: Vec<f64> = values.iter().map(|&value| value.into()).collect();
        self.sum(&mut wide);
        for (value, wide) in values.iter_mut().zip(wide) {
            *value = wide as f32;
        }
    }

    fn broadcast(&self, message: Vec<u8>) -> Vec<u8> {
        let shared = || self.shared.message.lock().unwrap_or_else(PoisonError::into_inner);
        if self.rank == 0 {
            *shared() = message;
        }
        self.shared.barrier.wait();
        let message = shared().clone();
        self.shared.barrier.wait();
        message
    }

    fn abort(&self, code: u8) -> ! {
        panic!("a thread ends with exit code {code}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_exchange_sums_messages_and_decisions() {
        let results = Threads::run(3, |exchange| {
            let rank = exchange.rank();
            let mut sums = [rank as f64, 1.0];
            exchange.sum(&mut sums);
            let mut flags = [rank == 2, false];
            exchange.agree(&mut flags);
            let message = exchange.broadcast(vec![rank as u8 + 7]);
            (sums, flags, message, exchange.is_equal(b"same"), exchange.is_equal(&[rank as u8]))
        });
        assert_eq!(results, vec![([3.0, 3.0], [true, false], vec![7], true, false); 3]);
    }
}
