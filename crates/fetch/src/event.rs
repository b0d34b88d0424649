//! What a client tells whoever watches it.

use std::sync::Mutex;
use std::time::Duration;

use artifacts::progress::{self, Progress};

use crate::Error;

/// Bytes in the unit that bars count in.
const MEGABYTE: u64 = 1_000_000;

/// Something that happened on the way to a file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Another process is downloading the same file; this one waits for it.
    WaitingForAnother,
    /// Bytes begin to arrive.
    Started {
        /// The bytes that an earlier attempt left.
        already: u64,
        /// The size of the whole, if the server says.
        total: Option<u64>,
    },
    /// More bytes arrived.
    Received {
        /// How many more.
        bytes: u64,
    },
    /// An attempt failed and another will follow.
    Retrying {
        /// What failed.
        error: &'a Error,
        /// How long to wait before.
        wait: Duration,
    },
    /// What was there of the file cannot be continued and was dropped.
    StartingOver {
        /// Why.
        reason: &'a str,
    },
    /// The bytes are all there and are held against the checksum.
    Verifying,
    /// The file is complete.
    Finished,
}

/// Something to call with each event.
pub(crate) type Observer = dyn Fn(&Event<'_>) + Send + Sync;

/// An observer that shows `what` is being downloaded on standard error, with rate and remaining time.
pub fn narrator(what: impl Into<String>) -> impl Fn(&Event<'_>) + Send + Sync {
    let what = what.into();
    let shown: Mutex<Option<Shown>> = Mutex::new(None);
    move |event| {
        // A poisoned lock means that another thread panicked while printing; that is no reason to stop printing.
        let mut shown = shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::WaitingForAnother => progress::line(&format!("{what}: another process is downloading it, waiting")),
            Event::Started { already, total } => {
                if *already > 0 {
                    progress::line(&format!("{what}: resuming after {}", progress::bytes(*already)));
                }
                *shown = Some(Shown::new(&what, total.map(|total| total.saturating_sub(*already))));
            }
            Event::Received { bytes } => {
                if let Some(shown) = shown.as_mut() {
                    shown.received(*bytes);
                }
            }
            Event::Retrying { error, wait } => {
                *shown = None;
                progress::line(&format!("{what}: {error}; trying again in {:.1} s", wait.as_secs_f64()));
            }
            Event::StartingOver { reason } => progress::line(&format!("{what}: starting over: {reason}")),
            Event::Verifying => {}
            Event::Finished => {
                if let Some(shown) = shown.take() {
                    shown.progress.finish();
                }
            }
        }
    }
}

/// A bar that counts whole megabytes.
struct Shown {
    progress: Progress,
    bytes: u64,
}

impl Shown {
    fn new(what: &str, total: Option<u64>) -> Shown {
        Shown { progress: Progress::new(what, "MB", total.map(|bytes| bytes.div_ceil(MEGABYTE))), bytes: 0 }
    }

    fn received(&mut self, bytes: u64) {
        let before = self.bytes / MEGABYTE;
        self.bytes += bytes;
        self.progress.add(self.bytes / MEGABYTE - before);
    }
}
