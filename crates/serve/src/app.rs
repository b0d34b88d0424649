//! What all requests share, and the way of a file through the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::Request;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::budget::Budget;
use crate::checker::{Checked, PictureFile};
use crate::connections::ConnectionId;
use crate::limits::Limits;
use crate::problem::Problem;
use crate::queue::{Client, Full, Queue};
use crate::upload::{self, Upload};
use crate::worker::{Job, Pace};

/// The header with which a page names itself, so that all its connections are one client.
const CLIENT: &str = "candling-client";
/// The largest length of that name.
const MAX_CLIENT_BYTES: usize = 64;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) limits: Limits,
    /// The description of the model.
    pub(crate) model: Value,
    pub(crate) queue: Arc<Queue<Job>>,
    pub(crate) pace: Arc<Pace>,
    pub(crate) budget: Arc<Budget>,
}

/// What a client wants beside the result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) images: bool,
    pub(crate) stability: bool,
}

impl App {
    /// Receives a file, waits for its turn and returns the result. Dropping the future removes the file from the queue.
    pub(crate) async fn check(&self, request: Request, wanted: Wanted) -> Result<Checked, Problem> {
        let client = client(&request);
        let refusal = self.queue.is_full_for(&client).then(|| self.busy());
        let upload = upload::receive(request, &self.limits, &self.budget, refusal).await?;
        let Upload { name, bytes, reservation } = upload;
        let file = PictureFile { name, bytes, images: wanted.images, stability: wanted.stability };
        let (reply, result) = oneshot::channel();
        let started = Arc::new(AtomicBool::new(false));
        let job = Job { file, reservation, started: Arc::clone(&started), reply };
        let _place = self.queue.push(client, job).map_err(|Full| self.busy())?;
        match tokio::time::timeout(self.limits.check_time(), result).await {
            Ok(Ok(Ok(checked))) => Ok(checked),
            Ok(Ok(Err(failed))) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, failed.0)),
            Ok(Err(_)) => Err(Problem::busy("the server is ending", 5)),
            Err(_) if started.load(Ordering::SeqCst) => {
                let message = format!("the check took longer than {} seconds", self.limits.check_seconds);
                Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, message))
            }
            Err(_) => Err(self.busy()),
        }
    }

    /// The state of the server, for `/api/health`.
    pub(crate) fn health(&self) -> Value {
        json!({
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
            "model": self.model,
            "waiting": self.queue.waiting(),
            "bytes_in_memory": self.budget.used(),
            "limits": {
                "max_file_bytes": self.limits.max_file_bytes(),
                "max_pixels": self.limits.max_pixels(),
                "max_waiting": self.queue.capacity(),
                "check_seconds": self.limits.check_seconds,
            },
        })
    }

    fn busy(&self) -> Problem {
        let waiting = self.queue.waiting();
        Problem::busy(format!("{waiting} pictures are waiting already; try again"), self.pace.seconds(waiting))
    }
}

/// Returns the client of a request: the name that a page has chosen, or else the connection.
fn client(request: &Request) -> Client {
    let chosen = request.headers().get(CLIENT).and_then(|value| value.to_str().ok());
    match chosen.filter(|name| name.len() <= MAX_CLIENT_BYTES) {
        Some(name) => format!("page {name}"),
        None => format!("connection {}", request.extensions().get::<ConnectionId>().map_or(0, |id| id.0)),
    }
}
