//! SIGINT and SIGTERM: the training saves its state after the current step and ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use artifacts::stage::exit;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// A flag that SIGINT and SIGTERM set.
#[derive(Clone, Debug, Default)]
pub(crate) struct InterruptFlag(Arc<AtomicBool>);

impl InterruptFlag {
    /// Installs the signal handlers. A second signal ends the process at once; `last` then stays as it was saved
    /// before.
    pub(crate) fn install() -> io::Result<InterruptFlag> {
        let interrupt = InterruptFlag::default();
        for signal in [SIGINT, SIGTERM] {
            // Handlers run in this order: the first signal must not see the flag that it is about to set.
            flag::register_conditional_shutdown(signal, i32::from(exit::INTERRUPTED), Arc::clone(&interrupt.0))?;
            flag::register(signal, Arc::clone(&interrupt.0))?;
        }
        Ok(interrupt)
    }

    /// Whether a signal has arrived.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
