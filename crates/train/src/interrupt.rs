//! Handlers of SIGINT, SIGTERM and SIGUSR1. After a signal, the training finishes the current step, saves its state and
//! ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use artifacts::stage::exit;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// A flag that SIGINT, SIGTERM and SIGUSR1 set.
#[derive(Clone, Debug, Default)]
pub(crate) struct InterruptFlag(Arc<AtomicBool>);

impl InterruptFlag {
    /// Installs the signal handlers. A second signal ends the process at once. The checkpoint `last` then keeps its
    /// previous content.
    pub(crate) fn install() -> io::Result<InterruptFlag> {
        let interrupt = InterruptFlag::default();
        for signal in [SIGINT, SIGTERM] {
            // Handlers run in this order. The first one ends the process if the flag is set, so it must run before the
            // flag is set by the same signal.
            flag::register_conditional_shutdown(signal, i32::from(exit::INTERRUPTED), Arc::clone(&interrupt.0))?;
            flag::register(signal, Arc::clone(&interrupt.0))?;
        }
        // mpirun sends this signal on to all its processes. After SIGINT or SIGTERM, it kills them within two seconds.
        #[cfg(unix)]
        flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&interrupt.0))?;
        artifacts::interrupt::hand_over();
        Ok(interrupt)
    }

    /// Whether a signal has arrived.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
