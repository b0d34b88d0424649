//! Starting and ending the server.

use std::fmt;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;

use artifacts::stage::Failure;
use tokio::sync::watch;

use crate::app::App;
use crate::budget::Budget;
use crate::checker::OpenChecker;
use crate::limits::Limits;
use crate::queue::Queue;
use crate::worker::{Pace, Worker};
use crate::{connections, routes};

/// A server whose model is open and that has its port.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
    worker: Worker,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Takes a port of 127.0.0.1 and opens the model. Port 0 takes a free port.
    ///
    /// # Errors
    /// The port is not free, or the model cannot be opened.
    pub fn open(port: u16, limits: Limits, open: OpenChecker) -> Result<Server, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
            Failure::failed(format!(
                "failed to take port {port} ({error}); give another one with --port, 0 takes a free one"
            ))
        })?;
        listener.set_nonblocking(true).map_err(Failure::failed)?;
        let address = listener.local_addr().map_err(Failure::failed)?;
        let queue = Queue::new(limits.max_waiting as usize);
        let pace = Arc::new(Pace::default());
        let worker = Worker::start(open, Arc::clone(&queue), Arc::clone(&pace))?;
        let budget = Budget::new(limits.max_memory_bytes());
        let app = Arc::new(App { limits, model: worker.model.clone(), queue, pace, budget });
        Ok(Server { listener, address, app, worker })
    }

    /// The address of the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready. Running checks have a few seconds to end.
    ///
    /// # Errors
    /// The runtime cannot be started, or the model failed.
    pub fn run(self, stop: impl Future<Output = ()>) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
        let Server { listener, address, app, worker } = self;
        let router = routes::router(Arc::clone(&app), address.port());
        let result = runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(Failure::failed)?;
            let (stopper, stopped) = watch::channel(false);
            let mut ended = worker.ended;
            let serving = connections::serve(listener, router, &app.limits, stopped);
            let mut serving = pin!(serving);
            let failure = tokio::select! {
                () = stop => None,
                failure = &mut ended => failure.ok().flatten(),
                () = serving.as_mut() => return Ok(()),
            };
            // Files that wait are answered with 503, and the running check is finished.
            app.queue.close();
            stopper.send_replace(true);
            serving.await;
            failure.map_or(Ok(()), Err)
        });
        runtime.shutdown_background();
        result
    }
}
