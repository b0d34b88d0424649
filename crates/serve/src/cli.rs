//! The command line of `candling serve`.

use std::future::Future;

use artifacts::progress::line;
use artifacts::stage::{Failure, print_text};

pub use crate::args::ServeArgs;
use crate::model_checker::ModelChecker;
use crate::server::Server;

/// Serves until SIGINT or SIGTERM. Prints the address to standard output.
///
/// # Errors
/// The port is not free, the model cannot be opened or failed; or [`Failure::Stopped`] after a signal.
pub fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let opened = args.clone();
    let open = move || Ok(Box::new(ModelChecker::open(&opened)?) as _);
    let server = Server::open(args.port, args.limits.clone(), Box::new(open))?;
    print_text(&format!("http://{}/\n", server.address()))?;
    line("serve: nothing leaves this machine and nothing is stored; Ctrl-C ends the program");
    server.run(signals())?;
    Err(Failure::Stopped)
}

/// Waits for SIGINT or SIGTERM.
#[cfg(unix)]
fn signals() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};

    async {
        let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            line("serve: failed to listen for signals; the program must be killed");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
fn signals() -> impl Future<Output = ()> {
    async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
