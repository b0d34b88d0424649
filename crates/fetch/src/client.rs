//! Requests, redirects and answers; what is read from them is in `download`.

use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use ureq::http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, IF_RANGE, LOCATION, RANGE, RETRY_AFTER,
};
use ureq::http::{HeaderMap, Method, Response};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::content_range::ContentRange;
use crate::event::Observer;
use crate::{Authorization, Environment, Error, Event, Result, Retry, Url, trust};

const USER_AGENT: &str = concat!("candling/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// A connection that stays silent for so long is taken for dead and tried again.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const MOST_REDIRECTS: u32 = 10;
/// Descriptions of data sets hold long texts, but not longer than this.
const LONGEST_JSON: u64 = 32 << 20;
/// As much of an error page as is searched for a message.
const LONGEST_ERROR_BODY: u64 = 64 << 10;

/// Something to ask a server for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where it is.
    pub url: Url,
    /// Who asks. It is sent to this address's host only, not to where a redirect leads.
    pub authorization: Option<Authorization>,
}

/// An HTTP client that retries, follows redirects without leaking credentials, and downloads.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    pub(crate) retry: Retry,
    observer: Arc<Observer>,
}

/// The headers of an answer.
#[derive(Debug)]
pub struct Head {
    /// Who answered.
    pub url: Url,
    /// The status: a success, or a redirect that was not followed.
    pub status: u16,
    headers: HeaderMap,
}

/// An answer whose body is still to be read.
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: Body,
}

/// How far redirects are followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follow {
    Everywhere,
    /// A redirect elsewhere is the answer.
    SameOrigin,
}

/// The bytes to ask for.
#[derive(Clone, Copy)]
pub(crate) enum Bytes<'a> {
    All,
    First,
    /// Those from an offset on, if the resource still has this validator.
    From {
        offset: u64,
        validator: &'a str,
    },
}

impl Default for Client {
    fn default() -> Self {
        Client::new(Retry::default())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("retry", &self.retry).finish_non_exhaustive()
    }
}

impl Client {
    /// A client with this policy that trusts Mozilla's certificate authorities. It takes proxies from the process's
    /// environment (`HTTPS_PROXY`, `NO_PROXY` …).
    pub fn new(retry: Retry) -> Client {
        Client::trusting(RootCerts::WebPki, retry)
    }

    /// A client that trusts the authorities in the file that `SSL_CERT_FILE` names, if it is set. Behind a proxy that
    /// inspects traffic there is no other way.
    ///
    /// # Errors
    /// The file cannot be read, or holds no certificates.
    pub fn of(environment: &Environment) -> Result<Client> {
        Ok(Client::trusting(trust::roots(environment)?, Retry::default()))
    }

    fn trusting(roots: RootCerts, retry: Retry) -> Client {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Redirects are followed here, not by ureq, because a client of the hub needs the first answer's headers,
            // and because credentials must not follow to another port of the same host either.
            .max_redirects(0)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .user_agent(USER_AGENT)
            // Ranges and checksums are those of the file itself, not of a compressed form of it.
            .accept_encoding("identity")
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(READ_TIMEOUT))
            .timeout_per_read(Some(READ_TIMEOUT))
            .build();
        Client { agent: config.into(), retry, observer: Arc::new(|_| {}) }
    }

    /// The same client, telling `observer` of what happens.
    pub fn observed_by(mut self, observer: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Client {
        self.observer = Arc::new(observer);
        self
    }

    /// Fetches a JSON value.
    pub fn json<T: DeserializeOwned>(&self, request: &Request) -> Result<T> {
        self.retrying(|| {
            let Answer { head, mut body, .. } = self.send(Method::GET, request, Bytes::All, Follow::Everywhere)?;
            let text =
                body.with_config().limit(LONGEST_JSON).read_to_vec().map_err(|e| interrupted(&head.url, 0, &e))?;
            serde_json::from_slice(&text).map_err(|e| bad_response(&head.url, format!("not the JSON expected: {e}")))
        })
    }

    /// Fetches the headers alone. A redirect to another origin is not followed: its headers are the answer.
    pub fn head(&self, request: &Request) -> Result<Head> {
        self.retrying(|| Ok(self.send(Method::HEAD, request, Bytes::All, Follow::SameOrigin)?.head))
    }

    /// The size in bytes of what a download would give, if the server says; it costs one byte.
    pub fn size(&self, request: &Request) -> Result<Option<u64>> {
        self.retrying(|| {
            let answer = self.send(Method::GET, request, Bytes::First, Follow::Everywhere)?;
            Ok(if answer.head.status == 206 {
                answer.head.range().and_then(|range| range.total)
            } else {
                answer.head.length()
            })
        })
    }

    pub(crate) fn notify(&self, event: &Event<'_>) {
        (self.observer)(event);
    }

    /// Asks for a resource, or a part of it, wherever redirects lead.
    pub(crate) fn get(&self, request: &Request, bytes: Bytes<'_>) -> Result<Answer> {
        self.send(Method::GET, request, bytes, Follow::Everywhere)
    }

    fn retrying<T>(&self, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        let mut attempts = self.retry.start();
        loop {
            match attempt() {
                Ok(value) => return Ok(value),
                Err(error) => {
                    attempts.wait_after(error, |error, wait| self.notify(&Event::Retrying { error, wait }))?
                }
            }
        }
    }

    fn send(&self, method: Method, request: &Request, bytes: Bytes<'_>, follow: Follow) -> Result<Answer> {
        let mut url = request.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            // Once the origin is left, credentials stay behind; if a redirect leads back, they are sent again, to the
            // very host they are for.
            let authorization = request.authorization.as_ref().filter(|_| url.same_origin(&request.url));
            let response = self.call(&method, &url, authorization, bytes)?;
            let status = response.status();
            if !status.is_redirection() {
                return accept(url, response);
            }
            let target = location(&url, response.headers())?;
            if follow == Follow::SameOrigin && !target.same_origin(&url) {
                let (parts, body) = response.into_parts();
                return Ok(Answer { head: Head { url, status: status.as_u16(), headers: parts.headers }, body });
            }
            url = target;
        }
        Err(bad_response(&request.url, format!("more than {MOST_REDIRECTS} redirects")))
    }

    fn call(
        &self,
        method: &Method,
        url: &Url,
        authorization: Option<&Authorization>,
        bytes: Bytes<'_>,
    ) -> Result<Response<Body>> {
        let mut request = ureq::http::Request::builder().method(method).uri(url.whole());
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization.header());
        }
        request = match bytes {
            Bytes::All => request,
            Bytes::First => request.header(RANGE, "bytes=0-0"),
            Bytes::From { offset, validator } => {
                request.header(RANGE, format!("bytes={offset}-")).header(IF_RANGE, validator)
            }
        };
        let request = request.body(()).map_err(|_| {
            // The reason is left out: it may quote the header at fault, and that may be the credentials.
            Error::BadUrl {
                text: url.to_string(),
                reason: "the address or the credentials hold characters that HTTP forbids".into(),
            }
        })?;
        self.agent.run(request).map_err(|e| transport(url, &e))
    }
}

impl Head {
    /// A header's value, if it is there and is text.
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

    pub(crate) fn range(&self) -> Option<ContentRange> {
        ContentRange::parse(self.get(CONTENT_RANGE.as_str())?)
    }
}

/// An answer that is a success, in the form that was asked for.
fn accept(url: Url, response: Response<Body>) -> Result<Answer> {
    let status = response.status();
    let (parts, mut body) = response.into_parts();
    let head = Head { url, status: status.as_u16(), headers: parts.headers };
    if !status.is_success() {
        let detail = message(&head, &mut body);
        let retry_after = head.get(RETRY_AFTER.as_str()).and_then(wait_asked_for);
        return Err(Error::Status { url: head.url.to_string(), status: head.status, detail, retry_after });
    }
    match head.get(CONTENT_ENCODING.as_str()) {
        Some(encoding) if encoding != "identity" => {
            Err(bad_response(&head.url, format!("the body is {encoding}-encoded, which was not asked for")))
        }
        _ => Ok(Answer { head, body }),
    }
}

fn location(url: &Url, headers: &HeaderMap) -> Result<Url> {
    let text = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let target = url.follow(text.ok_or_else(|| bad_response(url, "a redirect to nowhere".into()))?)?;
    if url.is_secure() && !target.is_secure() {
        return Err(bad_response(url, format!("a redirect from https to http://{}", target.host())));
    }
    Ok(target)
}

/// The server's own words: the hub has a header for them, Kaggle a field of its JSON. A page of HTML says nothing.
fn message(head: &Head, body: &mut Body) -> Option<String> {
    let from_header = head.get("x-error-message").map(str::to_owned);
    let text = from_header.or_else(|| {
        let text = body.with_config().limit(LONGEST_ERROR_BODY).read_to_vec().ok()?;
        let value: serde_json::Value = serde_json::from_slice(&text).ok()?;
        ["message", "error"].iter().find_map(|key| value.get(key)?.as_str()).map(str::to_owned)
    })?;
    let text: String = text.chars().filter(|c| !c.is_control()).take(300).collect();
    (!text.trim().is_empty()).then(|| text.trim().to_owned())
}

/// A `Retry-After` header: seconds, or a date.
fn wait_asked_for(text: &str) -> Option<Duration> {
    let text = text.trim();
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| {
        let date = httpdate::parse_http_date(text).ok()?;
        Some(date.duration_since(SystemTime::now()).unwrap_or_default())
    })
}

fn transport(url: &Url, error: &ureq::Error) -> Error {
    let reason = error.to_string();
    match error {
        // A certificate that is not trusted now will not be in a second.
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => untrusted(url, &reason),
        // The TLS layer reports through input and output, where it alone uses this kind.
        ureq::Error::Io(error) if error.kind() == ErrorKind::InvalidData => untrusted(url, &reason),
        ureq::Error::InvalidProxyUrl => bad_response(url, reason),
        ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => {
            Error::BadResponse { url: url.to_string(), reason, transient: true }
        }
        _ => Error::Unreachable { host: url.host().to_owned(), reason },
    }
}

fn untrusted(url: &Url, reason: &str) -> Error {
    let advice = format!("where a proxy inspects traffic, set {} to the file of its certificate", trust::VARIABLE);
    bad_response(url, format!("{reason}; {advice}"))
}

pub(crate) fn bad_response(url: &Url, reason: String) -> Error {
    Error::BadResponse { url: url.to_string(), reason, transient: false }
}

pub(crate) fn interrupted(url: &Url, received: u64, reason: &dyn fmt::Display) -> Error {
    Error::Interrupted { url: url.to_string(), received, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(wait_asked_for(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(wait_asked_for("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let wait = wait_asked_for(&soon).unwrap().as_secs();
        assert!((90..=100).contains(&wait), "{wait}");
        assert_eq!(wait_asked_for("soon"), None);
        assert_eq!(wait_asked_for("-1"), None);
    }
}
