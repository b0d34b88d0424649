//! Answers to requests that are refused.

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse;
use serde_json::json;

/// The reason why a request is refused.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// A fragment in lower case.
    pub(crate) message: String,
    /// The seconds after which the client may try again.
    pub(crate) retry_after: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Problem {
        Problem { status, message: message.into(), retry_after: None }
    }

    /// A refusal because there is too much work.
    pub(crate) fn busy(message: impl Into<String>, retry_after: u64) -> Problem {
        Problem { retry_after: Some(retry_after), ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, message) }
    }

    /// Makes the answer with this body.
    pub(crate) fn with_body(&self, content_type: &'static str, body: String) -> Response<Body> {
        let mut response = (self.status, [(header::CONTENT_TYPE, content_type)], body).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        self.with_body("application/json", json!({ "error": self.message }).to_string())
    }
}
