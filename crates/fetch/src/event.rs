//! Events of a download, and an observer that shows them as progress.

use std::sync::Mutex;
use std::time::Duration;

use artifacts::progress::{self, Progress};

use crate::Error;

/// Progress is counted in megabytes.
const MEGABYTE: u64 = 1_000_000;

/// A step of a download.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Another process is downloading the same file, and this process waits for it.
    WaitingForOtherProcess,
    /// A response arrived, and its body will be received.
    Started {
        /// The number of bytes in the partial file that the response continues.
        already: u64,
        /// The size of the file, if it is known.
        total: Option<u64>,
    },
    /// Some bytes arrived.
    Received {
        /// The number of new bytes.
        bytes: u64,
    },
    /// An attempt failed, and another follows.
    Retrying {
        /// The failure.
        error: &'a Error,
        /// The wait before the next attempt.
        wait: Duration,
    },
    /// The partial file cannot be continued and was emptied.
    Restarting {
        /// The reason.
        reason: &'a str,
    },
    /// All bytes arrived, and their checksum is being computed.
    Verifying,
    /// The file is complete.
    Finished,
}

/// A function that is called with each event.
pub(crate) type Observer = dyn Fn(&Event<'_>) + Send + Sync;

/// Returns an observer that shows the progress of a download on standard error. `what` is the name of the download.
pub fn progress_observer(what: impl Into<String>) -> impl Fn(&Event<'_>) + Send + Sync {
    let what = what.into();
    let bar: Mutex<Option<MegabyteProgress>> = Mutex::new(None);
    move |event| {
        // The lock is poisoned if a thread panicked while printing. The progress is still valid.
        let mut bar = bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::WaitingForOtherProcess => {
                progress::line(&format!("{what}: waiting for another process that is downloading it"));
            }
            Event::Started { already, total } => {
                if *already > 0 {
                    progress::line(&format!("{what}: resuming after {}", progress::bytes(*already)));
                }
                *bar = Some(MegabyteProgress::new(&what, total.map(|total| total.saturating_sub(*already))));
            }
            Event::Received { bytes } => {
                if let Some(bar) = bar.as_mut() {
                    bar.add_bytes(*bytes);
                }
            }
            Event::Retrying { error, wait } => {
                *bar = None;
                progress::line(&format!("{what}: {error}; trying again in {:.1} s", wait.as_secs_f64()));
            }
            Event::Restarting { reason } => {
                progress::line(&format!("{what}: downloading from the beginning, because {reason}"));
            }
            Event::Verifying => {}
            Event::Finished => {
                if let Some(bar) = bar.take() {
                    bar.progress.finish();
                }
            }
        }
    }
}

/// A progress bar that counts whole megabytes.
struct MegabyteProgress {
    progress: Progress,
    bytes: u64,
}

impl MegabyteProgress {
    fn new(what: &str, total: Option<u64>) -> MegabyteProgress {
        MegabyteProgress { progress: Progress::new(what, "MB", total.map(|bytes| bytes.div_ceil(MEGABYTE))), bytes: 0 }
    }

    fn add_bytes(&mut self, bytes: u64) {
        let before = self.bytes / MEGABYTE;
        self.bytes += bytes;
        self.progress.add(self.bytes / MEGABYTE - before);
    }
}
