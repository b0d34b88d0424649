//! HTTP responses: status, headers and the message of a failed request.

use std::time::{Duration, SystemTime};

use ureq::Body;
use ureq::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, RETRY_AFTER};
use ureq::http::{HeaderMap, StatusCode};

use crate::content_range::ContentRange;
use crate::{Error, Result, Url};

/// The number of bytes of an error response that are searched for a message.
const MAX_ERROR_BYTES: u64 = 64 << 10;
/// The maximum length of a displayed server message, in characters.
const MAX_MESSAGE_CHARS: usize = 300;

/// Status and headers of a response.
#[derive(Debug)]
pub struct ResponseHead {
    /// The address that responded, after redirects.
    pub url: Url,
    status: StatusCode,
    headers: HeaderMap,
}

/// A response whose body has not been read.
pub(crate) struct Response {
    pub(crate) head: ResponseHead,
    pub(crate) body: Body,
}

impl ResponseHead {
    pub(crate) fn new(url: Url, status: StatusCode, headers: HeaderMap) -> ResponseHead {
        ResponseHead { url, status, headers }
    }

    /// The status code. It is a success, or a redirect that was not followed.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    pub(crate) fn is_redirect(&self) -> bool {
        self.status.is_redirection()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The value of a header, if the response has it and it is text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All values of a header that may be repeated.
    pub(crate) fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
    }

    /// The length of the body in bytes.
    pub fn length(&self) -> Option<u64> {
        self.get(CONTENT_LENGTH.as_str())?.trim().parse().ok()
    }

    /// The range of the resource that the body holds.
    pub(crate) fn range(&self) -> Option<ContentRange> {
        ContentRange::parse(self.get(CONTENT_RANGE.as_str())?)
    }

    /// The size of the whole resource in bytes, of which the body may be a part.
    pub(crate) fn total_bytes(&self) -> Option<u64> {
        if self.status == StatusCode::PARTIAL_CONTENT { self.range()?.total } else { self.length() }
    }
}

/// Returns the response if its status is a success and its body is not compressed.
pub(crate) fn check(mut response: Response) -> Result<Response> {
    let head = &response.head;
    if head.status == StatusCode::RANGE_NOT_SATISFIABLE {
        let total = head.get(CONTENT_RANGE.as_str()).and_then(ContentRange::parse_unsatisfied);
        return Err(Error::RefusedRange { url: head.url.to_string(), total });
    }
    if !head.status.is_success() {
        let detail = server_message(head, &mut response.body);
        let retry_after = head.get(RETRY_AFTER.as_str()).and_then(parse_retry_after);
        return Err(Error::Status { url: head.url.to_string(), status: head.status(), detail, retry_after });
    }
    match head.get(CONTENT_ENCODING.as_str()) {
        Some(encoding) if encoding != "identity" => Err(Error::bad_response(
            &head.url,
            format!("the body is {encoding}-encoded, although the request accepts no encoding"),
        )),
        _ => Ok(response),
    }
}

/// Extracts the error message of the server. The hub sends it in a header, Kaggle in a field of a JSON body. HTML pages
/// are ignored.
fn server_message(head: &ResponseHead, body: &mut Body) -> Option<String> {
    let from_header = head.get("x-error-message").map(str::to_owned);
    let text = from_header.or_else(|| {
        let text = body.with_config().limit(MAX_ERROR_BYTES).read_to_vec().ok()?;
        let value: serde_json::Value = serde_json::from_slice(&text).ok()?;
        ["message", "error"].iter().find_map(|key| value.get(key)?.as_str()).map(str::to_owned)
    })?;
    let text: String = text.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE_CHARS).collect();
    (!text.trim().is_empty()).then(|| text.trim().to_owned())
}

/// Parses a `Retry-After` header: a number of seconds, or a date (RFC 9110, 10.2.3). A date in the past is no wait.
pub fn parse_retry_after(text: &str) -> Option<Duration> {
    let text = text.trim();
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| {
        let date = httpdate::parse_http_date(text).ok()?;
        Some(date.duration_since(SystemTime::now()).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_retry_after_in_seconds_or_as_date() {
        assert_eq!(parse_retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let wait = parse_retry_after(&soon).unwrap().as_secs();
        assert!((90..=100).contains(&wait), "{wait}");
        assert_eq!(parse_retry_after("soon"), None);
        assert_eq!(parse_retry_after("-1"), None);
    }
}
