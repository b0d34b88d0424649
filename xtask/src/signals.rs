//! Interruption: the stage program saves and ends, and this one waits for it.

use std::process::{Child, ExitStatus};
#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(unix)]
use std::sync::{Arc, OnceLock};

/// Waits for a child. SIGINT reaches it from the terminal as it reaches this process, so it is only survived here;
/// SIGTERM is handed on.
#[cfg(unix)]
pub(crate) fn wait(mut child: Child) -> std::io::Result<ExitStatus> {
    use std::process::{Command, Stdio};

    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let ends = ends_this_process()?;
    ends.store(false, Ordering::SeqCst);
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let handle = signals.handle();
    let pid = child.id().to_string();
    let forwarder = std::thread::spawn(move || {
        for signal in &mut signals {
            if signal == SIGTERM {
                // A child that is gone already needs no signal.
                let _ = Command::new("kill").args(["-TERM", &pid]).stderr(Stdio::null()).status();
            }
        }
    });
    let status = child.wait();
    handle.close();
    ends.store(true, Ordering::SeqCst);
    // The thread ends with its handle; it cannot panic.
    let _ = forwarder.join();
    status
}

/// Whether a program that saves nothing on its way was ended by the user's interruption.
#[cfg(unix)]
pub(crate) fn is_interruption(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;

    use signal_hook::consts::{SIGINT, SIGTERM};

    status.signal().is_some_and(|signal| [SIGINT, SIGTERM].contains(&signal))
}

/// Whether the signals end this process, as they do where nobody catches them. `signal_hook` catches a signal for good once
/// it was asked to: without this, what is not waited for here, such as a benchmark, could not be stopped any more.
#[cfg(unix)]
fn ends_this_process() -> std::io::Result<&'static AtomicBool> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag::register_conditional_default;

    static ENDS: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    if let Some(ends) = ENDS.get() {
        return Ok(ends);
    }
    let ends = Arc::new(AtomicBool::new(true));
    for signal in [SIGINT, SIGTERM] {
        register_conditional_default(signal, ends.clone())?;
    }
    Ok(ENDS.get_or_init(|| ends))
}

/// Waits for a child.
#[cfg(not(unix))]
pub(crate) fn wait(mut child: Child) -> std::io::Result<ExitStatus> {
    child.wait()
}

/// Whether the user interrupted a program: elsewhere there is no signal to tell it by.
#[cfg(not(unix))]
pub(crate) fn is_interruption(_: ExitStatus) -> bool {
    false
}
