//! SIGINT and SIGTERM in stage programs.
//!
//! A stage ends with exit code 130 and a message, also if it runs in the background of a script, where shells make
//! programs ignore SIGINT. Nothing is half written at any time, so that it may end at once. A stage that saves its
//! progress calls [`hand_over`] and handles the signals itself.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the stage handles signals itself.
static HANDED_OVER: AtomicBool = AtomicBool::new(false);

/// Leaves SIGINT and SIGTERM to the handlers that the stage has installed.
pub fn hand_over() {
    HANDED_OVER.store(true, Ordering::SeqCst);
}

/// Ends the program after a signal, unless the stage handles signals itself.
///
/// # Errors
/// The handlers cannot be installed.
#[cfg(unix)]
pub fn exit_on_signals(program: &'static str) -> std::io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    use crate::failure::{Failure, exit};
    use crate::progress;

    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let wait = move || {
        if signals.forever().next().is_some() && !HANDED_OVER.load(Ordering::SeqCst) {
            progress::line(&format!("{program}: {}", Failure::Stopped));
            std::process::exit(i32::from(exit::INTERRUPTED));
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// Does nothing: other systems have no such signals.
#[cfg(not(unix))]
pub fn exit_on_signals(_: &'static str) -> std::io::Result<()> {
    Ok(())
}
