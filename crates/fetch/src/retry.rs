//! Retries with exponential backoff.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::{Error, Result};

/// The number of attempts, and the waits between them.
///
/// The wait doubles from `first_wait` to `max_wait`. Half of it is random, so that clients that failed at the same time
/// do not retry at the same time. A `Retry-After` header of the server replaces the wait.
#[derive(Clone)]
pub struct RetryPolicy {
    /// The number of consecutive failed attempts after which the client gives up.
    pub attempts: u32,
    /// The wait after the first failure.
    pub first_wait: Duration,
    /// The longest wait without `Retry-After`.
    pub max_wait: Duration,
    /// The longest `Retry-After` that is obeyed. If the server requests a longer wait, the error is returned at once.
    pub max_retry_after: Duration,
    sleep: Arc<dyn Fn(Duration) + Send + Sync>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            attempts: 5,
            first_wait: Duration::from_millis(500),
            max_wait: Duration::from_secs(30),
            max_retry_after: Duration::from_secs(300),
            sleep: Arc::new(thread::sleep),
        }
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RetryPolicy { attempts, first_wait, max_wait, max_retry_after, .. } = self;
        write!(
            f,
            "RetryPolicy {{ {attempts} attempts, {first_wait:?} to {max_wait:?}, Retry-After up to {max_retry_after:?} }}"
        )
    }
}

impl RetryPolicy {
    /// Returns the same policy with `sleep` in place of [`thread::sleep`], for tests.
    pub fn with_sleep(mut self, sleep: impl Fn(Duration) + Send + Sync + 'static) -> RetryPolicy {
        self.sleep = Arc::new(sleep);
        self
    }

    /// Starts counting the attempts of one request or download.
    pub(crate) fn start(&self) -> Attempts<'_> {
        Attempts { policy: self, failed: 0 }
    }

    /// Returns the wait after `failed` consecutive failures, at least 1. `draw` is a random number from the whole
    /// range.
    fn backoff(&self, failed: u32, draw: u64) -> Duration {
        let doubled = self.first_wait.saturating_mul(1 << (failed - 1).min(20)).min(self.max_wait);
        let half = doubled / 2;
        half + half.mul_f64(draw as f64 / u64::MAX as f64)
    }
}

/// The number of consecutive failures of one request or download.
pub(crate) struct Attempts<'a> {
    policy: &'a RetryPolicy,
    failed: u32,
}

impl Attempts<'_> {
    /// Resets the count, after progress was made.
    pub(crate) fn reset(&mut self) {
        self.failed = 0;
    }

    /// Calls `on_retry` and waits, if the error is transient and attempts remain. Otherwise returns the error.
    pub(crate) fn wait_or_give_up(&mut self, error: Error, on_retry: impl FnOnce(&Error, Duration)) -> Result<()> {
        if !error.is_transient() {
            return Err(error);
        }
        self.failed += 1;
        if self.failed >= self.policy.attempts {
            return Err(Error::GaveUp { attempts: self.failed, source: Box::new(error) });
        }
        let wait = match error.retry_after() {
            Some(requested) if requested > self.policy.max_retry_after => return Err(error),
            Some(requested) => requested,
            None => self.policy.backoff(self.failed, random()),
        };
        on_retry(&error, wait);
        (self.policy.sleep)(wait);
        Ok(())
    }
}

/// Returns a random number from the random seed of the standard library's hashers. It need not be reproducible, because
/// only the length of a wait depends on it.
fn random() -> u64 {
    RandomState::new().hash_one(0_u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_are_half_random() {
        let policy = RetryPolicy {
            first_wait: Duration::from_secs(1),
            max_wait: Duration::from_secs(10),
            ..RetryPolicy::default()
        };
        let seconds = |failed, draw| policy.backoff(failed, draw).as_secs_f64();
        let least: Vec<f64> = (1..=6).map(|failed| seconds(failed, 0)).collect();
        let most: Vec<f64> = (1..=6).map(|failed| seconds(failed, u64::MAX)).collect();
        assert_eq!(least, [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]);
        assert_eq!(most, [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]);
        assert_eq!(seconds(u32::MAX, u64::MAX), 10.0);
    }
}
