//! When to try again, and how long to wait before.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::{Error, Result};

/// How often to try, and how long to wait between.
///
/// The wait doubles from `first_wait` to `longest_wait`; its second half is drawn at random, so that many clients cut
/// off at one moment do not come back at one moment. A server's `Retry-After` takes its place.
#[derive(Clone)]
pub struct Retry {
    /// Attempts in a row that may fail, the first one included.
    pub attempts: u32,
    /// The wait after the first failure.
    pub first_wait: Duration,
    /// The longest wait that the doubling reaches.
    pub longest_wait: Duration,
    /// The longest `Retry-After` that is waited for; a longer one is an error that says so.
    pub patience: Duration,
    sleep: Arc<dyn Fn(Duration) + Send + Sync>,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            attempts: 5,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
            patience: Duration::from_secs(300),
            sleep: Arc::new(thread::sleep),
        }
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Retry { attempts, first_wait, longest_wait, patience, .. } = self;
        write!(f, "Retry {{ {attempts} attempts, {first_wait:?} to {longest_wait:?}, patience {patience:?} }}")
    }
}

impl Retry {
    /// The same policy, with another way to pass the time: tests record the waits instead.
    pub fn sleeping_with(mut self, sleep: impl Fn(Duration) + Send + Sync + 'static) -> Retry {
        self.sleep = Arc::new(sleep);
        self
    }

    pub(crate) fn start(&self) -> Attempts<'_> {
        Attempts { policy: self, failed: 0 }
    }

    /// The wait after the `failed`-th failure in a row (from 1) for a random `draw`.
    fn backoff(&self, failed: u32, draw: u64) -> Duration {
        let doubled = self.first_wait.saturating_mul(1 << (failed - 1).min(20)).min(self.longest_wait);
        let half = doubled / 2;
        half + half.mul_f64(draw as f64 / u64::MAX as f64)
    }
}

/// One piece of work's count of failures in a row.
pub(crate) struct Attempts<'a> {
    policy: &'a Retry,
    failed: u32,
}

impl Attempts<'_> {
    /// Forgets the failures so far: the work got further.
    pub(crate) fn progressed(&mut self) {
        self.failed = 0;
    }

    /// Waits if the fault may pass and attempts are left; otherwise gives the error back. `announce` hears of the wait.
    pub(crate) fn wait_after(&mut self, error: Error, announce: impl FnOnce(&Error, Duration)) -> Result<()> {
        if !error.is_transient() {
            return Err(error);
        }
        self.failed += 1;
        if self.failed >= self.policy.attempts {
            return Err(Error::GaveUp { attempts: self.failed, source: Box::new(error) });
        }
        let wait = match error.retry_after() {
            Some(asked) if asked > self.policy.patience => return Err(error),
            Some(asked) => asked,
            None => self.policy.backoff(self.failed, random()),
        };
        announce(&error, wait);
        (self.policy.sleep)(wait);
        Ok(())
    }
}

/// A number that differs between processes and calls: the standard library seeds its hashers so. Nothing that is
/// computed depends on it, only the moment of a retry.
fn random() -> u64 {
    RandomState::new().hash_one(0_u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_are_half_random() {
        let policy =
            Retry { first_wait: Duration::from_secs(1), longest_wait: Duration::from_secs(10), ..Retry::default() };
        let seconds = |failed, draw| policy.backoff(failed, draw).as_secs_f64();
        let least: Vec<f64> = (1..=6).map(|failed| seconds(failed, 0)).collect();
        let most: Vec<f64> = (1..=6).map(|failed| seconds(failed, u64::MAX)).collect();
        assert_eq!(least, [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]);
        assert_eq!(most, [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]);
        assert_eq!(seconds(u32::MAX, u64::MAX), 10.0);
    }
}
