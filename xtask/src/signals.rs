//! Handles interruptions while a child process runs: the stage program saves its progress and exits, and xtask waits
//! for it.

use std::process::{Child, ExitStatus};
#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(unix)]
use std::sync::{Arc, OnceLock};

/// Waits for a child. Ignores SIGINT meanwhile, because the terminal also sends it to the child. Forwards SIGTERM to
/// the child.
#[cfg(unix)]
pub(crate) fn wait(mut child: Child) -> std::io::Result<ExitStatus> {
    use std::process::{Command, Stdio};

    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let default_action = default_action_flag()?;
    default_action.store(false, Ordering::SeqCst);
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let handle = signals.handle();
    let pid = child.id().to_string();
    let forwarder = std::thread::spawn(move || {
        for signal in &mut signals {
            if signal == SIGTERM {
                // Fails if the child has exited already.
                let _ = Command::new("kill").args(["-TERM", &pid]).stderr(Stdio::null()).status();
            }
        }
    });
    let status = child.wait();
    handle.close();
    default_action.store(true, Ordering::SeqCst);
    // The thread ends when its handle is closed, and cannot panic.
    let _ = forwarder.join();
    status
}

/// Returns whether SIGINT or SIGTERM ended a program that does not handle them.
#[cfg(unix)]
pub(crate) fn is_interruption(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;

    use signal_hook::consts::{SIGINT, SIGTERM};

    status.signal().is_some_and(|signal| [SIGINT, SIGTERM].contains(&signal))
}

/// Returns the flag that enables the default action of the signals, which ends this process. `signal_hook` never
/// restores the default action itself. Without the flag, a benchmark that runs after the first child could not be
/// interrupted.
#[cfg(unix)]
fn default_action_flag() -> std::io::Result<&'static AtomicBool> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag::register_conditional_default;

    static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    if let Some(flag) = FLAG.get() {
        return Ok(flag);
    }
    let flag = Arc::new(AtomicBool::new(true));
    for signal in [SIGINT, SIGTERM] {
        register_conditional_default(signal, flag.clone())?;
    }
    Ok(FLAG.get_or_init(|| flag))
}

/// Waits for a child.
#[cfg(not(unix))]
pub(crate) fn wait(mut child: Child) -> std::io::Result<ExitStatus> {
    child.wait()
}

/// Always false: other systems do not report signals.
#[cfg(not(unix))]
pub(crate) fn is_interruption(_: ExitStatus) -> bool {
    false
}
