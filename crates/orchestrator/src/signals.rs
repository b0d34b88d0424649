//! Handles interruptions while a child process runs: the stage program saves its progress and exits, and this
//! program waits for it.

use std::io;
use std::process::{Child, ChildStdout, Command, ExitStatus};
#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(unix)]
use std::sync::{Arc, OnceLock};

/// A running child process. SIGTERM is forwarded to it. SIGINT is forwarded if this program runs in the background; in the
/// foreground, the terminal sends it to the child too.
pub(crate) struct Running {
    child: Child,
    #[cfg(unix)]
    handlers: Handlers,
}

/// How signals to this program reach its child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forwarding {
    /// Each signal as it is.
    Unchanged,
    /// The first signal as SIGUSR1, which `mpirun` sends to all its processes so that they save their progress. A second
    /// signal ends `mpirun`, which kills them.
    ToMpirun,
}

/// Starts a program. Signals that arrive from now on end the program, and not this one.
///
/// # Errors
/// The program or the signal handlers cannot be started.
pub(crate) fn spawn(command: &mut Command, forwarding: Forwarding) -> io::Result<Running> {
    #[cfg(not(unix))]
    let _ = forwarding;
    #[cfg(unix)]
    let handlers = Handlers::install(command, forwarding)?;
    let child = command.spawn()?;
    Ok(Running {
        child,
        #[cfg(unix)]
        handlers,
    })
}

impl Running {
    /// Returns the child's standard output if it is piped.
    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits for the child to end.
    #[cfg(unix)]
    pub(crate) fn wait(mut self) -> io::Result<ExitStatus> {
        use rustix::process::{Pid, Signal, kill_process};
        use signal_hook::consts::{SIGINT, SIGTERM};

        let pid = Pid::from_child(&self.child);
        let forwards_interrupts = self.handlers.forwards_interrupts;
        let mut to_mpirun = self.handlers.forwarding == Forwarding::ToMpirun;
        let handle = self.handlers.signals.handle();
        let signals = &mut self.handlers.signals;
        let child = &mut self.child;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for signal in signals {
                    // Fails if the child has exited already.
                    let _ = match signal {
                        _ if std::mem::take(&mut to_mpirun) => kill_process(pid, Signal::USR1),
                        SIGTERM => kill_process(pid, Signal::TERM),
                        SIGINT if forwards_interrupts => kill_process(pid, Signal::INT),
                        _ => Ok(()),
                    };
                }
            });
            let status = child.wait();
            handle.close();
            status
        })
    }

    /// Waits for the child to end.
    #[cfg(not(unix))]
    pub(crate) fn wait(mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }
}

/// Signal handlers that are active until they are dropped.
#[cfg(unix)]
struct Handlers {
    signals: signal_hook::iterator::Signals,
    default_action: &'static AtomicBool,
    forwards_interrupts: bool,
    forwarding: Forwarding,
}

#[cfg(unix)]
impl Handlers {
    /// Installs the handlers. In the background, puts the child into a process group of its own, so that it does not get
    /// a signal twice that is sent to the group: a second SIGINT ends a training before it has saved its progress.
    /// `mpirun` always has a group of its own, because SIGINT from a terminal would make it kill its processes.
    fn install(command: &mut Command, forwarding: Forwarding) -> io::Result<Handlers> {
        use std::os::unix::process::CommandExt;

        use signal_hook::consts::{SIGINT, SIGTERM};
        use signal_hook::iterator::Signals;

        let default_action = default_action_flag()?;
        let signals = Signals::new([SIGINT, SIGTERM])?;
        default_action.store(false, Ordering::SeqCst);
        let forwards_interrupts = forwarding == Forwarding::ToMpirun || !is_foreground();
        if forwards_interrupts {
            command.process_group(0);
        }
        Ok(Handlers { signals, default_action, forwards_interrupts, forwarding })
    }
}

#[cfg(unix)]
impl Drop for Handlers {
    fn drop(&mut self) {
        self.default_action.store(true, Ordering::SeqCst);
    }
}

/// Whether a terminal sends its signals to the process group of this process.
#[cfg(unix)]
fn is_foreground() -> bool {
    let own = rustix::process::getpgrp();
    std::fs::File::open("/dev/tty").is_ok_and(|tty| rustix::termios::tcgetpgrp(tty).is_ok_and(|group| group == own))
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
fn default_action_flag() -> io::Result<&'static AtomicBool> {
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

/// Always false: other systems do not report signals.
#[cfg(not(unix))]
pub(crate) fn is_interruption(_: ExitStatus) -> bool {
    false
}
