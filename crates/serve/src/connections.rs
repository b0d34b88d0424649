//! Accepting connections and reading requests from them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::limits::Limits;
use crate::patient_stream::PatientStream;

/// The largest header of a request in bytes.
const MAX_HEADER_BYTES: usize = 64 << 10;
/// The answer to a connection beyond the limit.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\ncontent-type: application/json\r\n\
    connection: close\r\ncontent-length: 43\r\n\r\n{\"error\":\"too many connections; try again\"}";
/// The time before connections are accepted again after an error, such as too many open files.
const ERROR_PAUSE: Duration = Duration::from_millis(100);
/// The time for open requests at the end.
const GRACE: Duration = Duration::from_secs(5);

/// The connection of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// Serves connections until `stop` is true. Open requests then have a few seconds to end.
pub(crate) async fn serve(listener: TcpListener, router: Router, limits: &Limits, mut stop: watch::Receiver<bool>) {
    let permits = limits.max_connections as usize;
    let connections = Arc::new(Semaphore::new(permits));
    let mut id = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ERROR_PAUSE).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else {
            // A new connection has room for a short answer.
            let _ = stream.try_write(TOO_MANY);
            continue;
        };
        id += 1;
        let (router, stop, header_time) = (router.clone(), stop.clone(), limits.header_time());
        tokio::spawn(async move {
            serve_connection(stream, router, ConnectionId(id), header_time, stop).await;
            drop(permit);
        });
    }
    drop(listener);
    let all_ended = connections.acquire_many(u32::try_from(permits).unwrap_or(u32::MAX));
    let _ = tokio::time::timeout(GRACE, all_ended).await;
}

async fn serve_connection(
    stream: TcpStream,
    router: Router,
    id: ConnectionId,
    header_time: Duration,
    mut stop: watch::Receiver<bool>,
) {
    // Answers are small and complete.
    let _ = stream.set_nodelay(true);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(id);
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_time)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(PatientStream::new(stream)), service);
    let mut connection = pin!(connection);
    // Errors are those of the client.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_to_a_connection_beyond_the_limit_has_its_length() {
        let text = String::from_utf8(TOO_MANY.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }
}
