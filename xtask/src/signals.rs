//! Interruption: the stage program saves and ends, and this one waits for it.

use std::process::{Child, ExitStatus};

/// Waits for a child. SIGINT reaches it from the terminal as it reaches this process, so it is only survived here;
/// SIGTERM is handed on.
#[cfg(unix)]
pub(crate) fn wait(mut child: Child) -> std::io::Result<ExitStatus> {
    use std::process::Command;

    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let handle = signals.handle();
    let pid = child.id().to_string();
    let forwarder = std::thread::spawn(move || {
        for signal in &mut signals {
            if signal == SIGTERM {
                // A child that is gone already needs no signal.
                let _ = Command::new("kill").args(["-TERM", &pid]).status();
            }
        }
    });
    let status = child.wait();
    handle.close();
    // The thread ends with its handle; it cannot panic.
    let _ = forwarder.join();
    status
}

/// Waits for a child.
#[cfg(not(unix))]
pub(crate) fn wait(mut child: Child) -> std::io::Result<ExitStatus> {
    child.wait()
}
