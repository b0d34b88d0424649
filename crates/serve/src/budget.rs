//! The common limit on the bytes of all files in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number of bytes that requests share.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: u64,
    free: AtomicU64,
}

impl Budget {
    pub(crate) fn new(bytes: u64) -> Arc<Budget> {
        Arc::new(Budget { bytes, free: AtomicU64::new(bytes) })
    }

    /// The number of bytes that are reserved.
    pub(crate) fn used(&self) -> u64 {
        self.bytes - self.free.load(Ordering::SeqCst)
    }
}

/// Bytes that a request has reserved. Dropping it returns them.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Reservation {
    /// Makes a reservation of no bytes.
    pub(crate) fn empty(budget: &Arc<Budget>) -> Reservation {
        Reservation { budget: Arc::clone(budget), bytes: 0 }
    }

    /// Reserves more bytes. Returns false, and reserves nothing, if not as many are free.
    #[must_use]
    pub(crate) fn grow(&mut self, bytes: u64) -> bool {
        let take = |free: u64| free.checked_sub(bytes);
        let taken = self.budget.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok();
        if taken {
            self.bytes += bytes;
        }
        taken
    }

    /// Returns all bytes.
    pub(crate) fn release(&mut self) {
        self.budget.free.fetch_add(std::mem::take(&mut self.bytes), Ordering::SeqCst);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_more_than_is_free_and_returns_bytes_when_dropped() {
        let budget = Budget::new(10);
        let mut first = Reservation::empty(&budget);
        let mut second = Reservation::empty(&budget);
        assert!(first.grow(6) && second.grow(4));
        assert!(!second.grow(1));
        drop(first);
        assert!(second.grow(6));
        assert_eq!(budget.used(), 10);
        drop(second);
        assert_eq!(budget.used(), 0);
    }
}
