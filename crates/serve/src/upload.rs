//! Receiving a file from a multipart form.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderMap, StatusCode, header};

use crate::budget::{Budget, Reservation};
use crate::limits::Limits;
use crate::metered_body::{MeteredBody, discard, too_large};
use crate::problem::Problem;

/// The largest number of characters of a file name.
const MAX_NAME_CHARS: usize = 255;
/// The largest number of parts of a form.
const MAX_PARTS: usize = 16;

/// A file that was received.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) reservation: Reservation,
}

/// Receives the file in the field `file` of a multipart form. With a `refusal`, the body is discarded.
///
/// # Errors
/// The refusal; or the body is no such form, is too large, or takes too long.
pub(crate) async fn receive(
    request: Request,
    limits: &Limits,
    budget: &Arc<Budget>,
    refusal: Option<Problem>,
) -> Result<Upload, Problem> {
    let length = content_length(request.headers());
    let too_long = length.is_some_and(|length| length > limits.max_body_bytes());
    let refusal = refusal.or_else(|| too_long.then(|| too_large(limits.max_file_mb)));
    let refusal = refusal.or_else(|| (!is_form(request.headers())).then(not_a_form));
    // A client that expects `100 Continue` has not sent its body yet, and does not send it after another answer.
    let waits = request.headers().contains_key(header::EXPECT);
    if let Some(refusal) = &refusal
        && waits
    {
        return Err(refusal.clone());
    }
    let (parts, body) = request.into_parts();
    let (body, meter) = MeteredBody::new(body, limits, budget, refusal.clone());
    let receive = async {
        if let Some(refusal) = refusal {
            discard(body).await;
            return Err(refusal);
        }
        let form = Multipart::from_request(Request::from_parts(parts, Body::new(body)), &()).await;
        read_form(form.map_err(|_| not_a_form())?, limits).await
    };
    let received = tokio::time::timeout(limits.upload_time(), receive).await;
    let (name, bytes) = match received {
        Err(_) => return Err(timed_out(limits)),
        // A refusal ends the form early, which then looks incomplete.
        Ok(Err(problem)) => return Err(meter.refusal().unwrap_or(problem)),
        Ok(Ok(file)) => file,
    };
    Ok(Upload { name, bytes, reservation: meter.take_reservation(budget) })
}

async fn read_form(mut form: Multipart, limits: &Limits) -> Result<(String, Vec<u8>), Problem> {
    let bad = |message: &str| Problem::new(StatusCode::BAD_REQUEST, message);
    let incomplete = |_| bad("the form is damaged or cut short");
    let mut file = None;
    for _ in 0..MAX_PARTS {
        let Some(field) = form.next_field().await.map_err(incomplete)? else {
            return file.ok_or_else(|| bad("the form has no file; send one in the field `file`"));
        };
        if field.name() != Some("file") {
            return Err(bad("the form has an unknown field; it must have the field `file` only"));
        }
        if file.is_some() {
            return Err(bad("the form has several files; send each file in a request of its own"));
        }
        file = Some(read_field(field, limits).await?);
    }
    Err(bad("the form has too many parts"))
}

async fn read_field(mut field: Field<'_>, limits: &Limits) -> Result<(String, Vec<u8>), Problem> {
    let bad = |message: &str| Problem::new(StatusCode::BAD_REQUEST, message);
    let name: String = field.file_name().unwrap_or_default().chars().take(MAX_NAME_CHARS).collect();
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|_| bad("the form is damaged or cut short"))? {
        if (bytes.len() + chunk.len()) as u64 > limits.max_file_bytes() {
            return Err(too_large(limits.max_file_mb));
        }
        bytes.extend_from_slice(&chunk);
    }
    if name.is_empty() && bytes.is_empty() {
        return Err(bad("no file was chosen"));
    }
    Ok((if name.is_empty() { "unnamed".to_owned() } else { name }, bytes))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.to_ascii_lowercase().starts_with("multipart/form-data")
}

fn not_a_form() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "the body must be multipart/form-data with the file in the field `file`",
    )
}

fn timed_out(limits: &Limits) -> Problem {
    let message = format!("the file did not arrive within {} seconds", limits.upload_seconds);
    Problem::new(StatusCode::REQUEST_TIMEOUT, message)
}
