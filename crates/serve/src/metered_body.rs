//! A request body that counts its bytes.
//!
//! A body that is refused is read to its end and discarded, within limits. If the connection were closed while a browser
//! still sends, the browser would show a network error in place of the answer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::StatusCode;
use hyper::body::{Body as HttpBody, Bytes, Frame};

use crate::budget::{Budget, Reservation};
use crate::limits::Limits;
use crate::problem::Problem;

/// A refused body is discarded up to this multiple of the limit.
const DISCARDED_MULTIPLE: u64 = 4;
/// The number of frames that are discarded before other tasks run.
const FRAMES_AT_ONCE: usize = 16;

/// The state of a body that its reader shares.
#[derive(Debug)]
struct Meter {
    reservation: Reservation,
    refusal: Option<Problem>,
}

/// Gives access to the state of a [`MeteredBody`].
#[derive(Clone, Debug)]
pub(crate) struct MeterHandle(Arc<Mutex<Meter>>);

impl MeterHandle {
    /// The reason why the body was refused.
    pub(crate) fn refusal(&self) -> Option<Problem> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).refusal.clone()
    }

    /// Takes the reservation of the bytes.
    pub(crate) fn take_reservation(&self, budget: &Arc<Budget>) -> Reservation {
        let mut meter = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut meter.reservation, Reservation::empty(budget))
    }
}

/// A body that reserves memory for its bytes, and refuses to be larger than the limit.
pub(crate) struct MeteredBody {
    inner: Body,
    meter: MeterHandle,
    received: u64,
    max_bytes: u64,
    max_file_mb: u64,
}

impl MeteredBody {
    /// Wraps a body. With a `refusal`, all of it is discarded.
    pub(crate) fn new(
        inner: Body,
        limits: &Limits,
        budget: &Arc<Budget>,
        refusal: Option<Problem>,
    ) -> (MeteredBody, MeterHandle) {
        let meter = Meter { reservation: Reservation::empty(budget), refusal };
        let meter = MeterHandle(Arc::new(Mutex::new(meter)));
        let (max_bytes, max_file_mb) = (limits.max_body_bytes(), limits.max_file_mb);
        (MeteredBody { inner, meter: meter.clone(), received: 0, max_bytes, max_file_mb }, meter)
    }

    /// Counts bytes. Returns whether the body is accepted so far.
    fn count(&mut self, bytes: u64) -> bool {
        self.received = self.received.saturating_add(bytes);
        let mut meter = self.meter.0.lock().unwrap_or_else(PoisonError::into_inner);
        if meter.refusal.is_some() {
            return false;
        }
        if self.received > self.max_bytes {
            meter.refusal = Some(too_large(self.max_file_mb));
        } else if !meter.reservation.grow(bytes) {
            meter.refusal = Some(Problem::busy("too many files are being received; try again", 2));
        } else {
            return true;
        }
        meter.reservation.release();
        false
    }
}

/// The refusal of a file that is too large.
pub(crate) fn too_large(max_file_mb: u64) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the file is larger than {max_file_mb} MB"))
}

impl HttpBody for MeteredBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let refused = || Poll::Ready(Some(Err(axum::Error::new("the body is refused"))));
        for _ in 0..FRAMES_AT_ONCE {
            match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => {
                    let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                    if self.count(bytes) {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    if self.received > self.max_bytes.saturating_mul(DISCARDED_MULTIPLE) {
                        return refused();
                    }
                }
                None if self.meter.refusal().is_some() => return refused(),
                other => return Poll::Ready(other),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Reads a body to its end and discards it, within limits.
pub(crate) async fn discard(mut body: MeteredBody) {
    while let Some(Ok(_)) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {}
}
