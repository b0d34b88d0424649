//! The HTTP client: sends requests, follows redirects and retries.

use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::Body;
use ureq::http::header::{AUTHORIZATION, IF_RANGE, LOCATION, RANGE};
use ureq::http::{HeaderMap, Method};
use ureq::tls::{RootCerts, TlsConfig};

use crate::event::Observer;
use crate::response::{self, Response, ResponseHead};
use crate::{Authorization, Environment, Error, Event, Result, RetryPolicy, Url, certificates};

const USER_AGENT: &str = concat!("candling/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// A connection on which nothing arrives for this long is closed and retried.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_REDIRECTS: u32 = 10;
/// The largest accepted JSON response. Descriptions of data sets contain long texts, but stay far below this.
const MAX_JSON_BYTES: u64 = 32 << 20;

/// A resource to request from a server.
#[derive(Debug, Clone)]
pub struct Request {
    /// The address.
    pub url: Url,
    /// Credentials. They are sent only to the origin of `url`, not to other hosts that it redirects to.
    pub authorization: Option<Authorization>,
}

/// A request without credentials.
impl From<Url> for Request {
    fn from(url: Url) -> Request {
        Request { url, authorization: None }
    }
}

/// An HTTP client that downloads files and fetches JSON. It retries transient failures, and follows redirects without
/// sending credentials to other hosts.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    pub(crate) retry: RetryPolicy,
    observer: Arc<Observer>,
}

/// Which redirects are followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Redirects {
    FollowAll,
    /// Return the response that redirects to another origin.
    SameOriginOnly,
}

/// The part of a resource to request.
#[derive(Clone, Copy)]
pub(crate) enum ByteRange<'a> {
    All,
    FirstByte,
    /// From `offset` to the end, if the resource still has this `validator` (`If-Range`), or otherwise the whole
    /// resource.
    From {
        offset: u64,
        validator: &'a str,
    },
}

impl Default for Client {
    fn default() -> Self {
        Client::new(RetryPolicy::default())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("retry", &self.retry).finish_non_exhaustive()
    }
}

impl Client {
    /// Creates a client that trusts Mozilla's certificate authorities. It uses the proxies in the environment variables
    /// of the process (`HTTPS_PROXY`, `NO_PROXY` …).
    pub fn new(retry: RetryPolicy) -> Client {
        Client::with_roots(RootCerts::WebPki, retry)
    }

    /// Creates a client that trusts the certificate authorities in the file `SSL_CERT_FILE`, if that variable is set.
    /// The variable is needed behind a proxy that decrypts traffic.
    ///
    /// # Errors
    /// The file cannot be read, or holds no certificates.
    pub fn from_environment(environment: &Environment) -> Result<Client> {
        Ok(Client::with_roots(certificates::trusted_roots(environment)?, RetryPolicy::default()))
    }

    fn with_roots(roots: RootCerts, retry: RetryPolicy) -> Client {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // `send` follows redirects instead of ureq: `head` needs the headers of a redirect to another origin, and
            // credentials must not be sent to another port of the same host.
            .max_redirects(0)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .user_agent(USER_AGENT)
            // Ranges and checksums refer to the file itself, not to a compressed form of it.
            .accept_encoding("identity")
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(READ_TIMEOUT))
            .timeout_per_read(Some(READ_TIMEOUT))
            .build();
        Client { agent: config.into(), retry, observer: Arc::new(|_| {}) }
    }

    /// Returns the same client with an observer that is called for each [`Event`] of a download.
    pub fn with_observer(mut self, observer: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Client {
        self.observer = Arc::new(observer);
        self
    }

    /// Returns the same client, which tries each request only once.
    pub fn without_retries(mut self) -> Client {
        self.retry.attempts = 1;
        self
    }

    /// Fetches and parses a JSON value.
    pub fn json<T: DeserializeOwned>(&self, request: &Request) -> Result<T> {
        self.with_retries(|| {
            let Response { head, mut body } = self.send(Method::GET, request, ByteRange::All, Redirects::FollowAll)?;
            let text = body.with_config().limit(MAX_JSON_BYTES).read_to_vec().map_err(|error| match error {
                ureq::Error::BodyExceedsLimit(_) => {
                    Error::bad_response(&head.url, format!("it has more than {} MiB of JSON", MAX_JSON_BYTES >> 20))
                }
                error => Error::interrupted(&head.url, 0, &error),
            })?;
            serde_json::from_slice(&text)
                .map_err(|e| Error::bad_response(&head.url, format!("it is not the expected JSON: {e}")))
        })
    }

    /// Fetches the headers only. A redirect to another origin is not followed; its headers are returned.
    pub fn head(&self, request: &Request) -> Result<ResponseHead> {
        self.with_retries(|| Ok(self.send(Method::HEAD, request, ByteRange::All, Redirects::SameOriginOnly)?.head))
    }

    /// Requests the first byte of a file, and returns the size of the file in bytes if the server reports it.
    pub fn size(&self, request: &Request) -> Result<Option<u64>> {
        self.with_retries(|| {
            match self.send(Method::GET, request, ByteRange::FirstByte, Redirects::FollowAll) {
                Ok(Response { head, .. }) => Ok(head.total_bytes()),
                // An empty file has no first byte.
                Err(Error::RefusedRange { total: Some(total), .. }) => Ok(Some(total)),
                Err(error) => Err(error),
            }
        })
    }

    pub(crate) fn notify(&self, event: &Event<'_>) {
        (self.observer)(event);
    }

    /// Requests a resource, or a part of it, once. Follows all redirects.
    pub(crate) fn get(&self, request: &Request, range: ByteRange<'_>) -> Result<Response> {
        self.send(Method::GET, request, range, Redirects::FollowAll)
    }

    fn with_retries<T>(&self, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        let mut attempts = self.retry.start();
        loop {
            match attempt() {
                Ok(value) => return Ok(value),
                Err(error) => self.wait_or_give_up(&mut attempts, error)?,
            }
        }
    }

    /// Waits before the next attempt and notifies the observer, or returns `error` if there should be no further
    /// attempt.
    pub(crate) fn wait_or_give_up(&self, attempts: &mut crate::retry::Attempts<'_>, error: Error) -> Result<()> {
        attempts.wait_or_give_up(error, |error, wait| self.notify(&Event::Retrying { error, wait }))
    }

    /// Sends a request and follows redirects. The response has a success status, or is a redirect to another origin
    /// that `redirects` forbids following.
    fn send(&self, method: Method, request: &Request, range: ByteRange<'_>, redirects: Redirects) -> Result<Response> {
        let mut url = request.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            // Send credentials only to the origin of the request, even after redirects to another origin and back.
            let authorization = request.authorization.as_ref().filter(|_| url.same_origin(&request.url));
            let (head, body) = self.send_once(&method, &url, authorization, range)?;
            if !head.is_redirect() {
                return response::check(Response { head, body });
            }
            let target = redirect_target(&url, head.headers())?;
            if redirects == Redirects::SameOriginOnly && !target.same_origin(&url) {
                return Ok(Response { head, body });
            }
            url = target;
        }
        Err(Error::bad_response(&request.url, format!("more than {MAX_REDIRECTS} redirects")))
    }

    fn send_once(
        &self,
        method: &Method,
        url: &Url,
        authorization: Option<&Authorization>,
        range: ByteRange<'_>,
    ) -> Result<(ResponseHead, Body)> {
        let mut request = ureq::http::Request::builder().method(method).uri(url.to_string_with_query());
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization.header());
        }
        request = match range {
            ByteRange::All => request,
            ByteRange::FirstByte => request.header(RANGE, "bytes=0-0"),
            ByteRange::From { offset, validator } => {
                request.header(RANGE, format!("bytes={offset}-")).header(IF_RANGE, validator)
            }
        };
        let request = request.body(()).map_err(|_| {
            // Omit the reason, because it may quote the invalid header, which may contain the credentials.
            Error::InvalidUrl {
                text: url.to_string(),
                reason: "the URL or the credentials contain characters that HTTP forbids".into(),
            }
        })?;
        let (parts, body) = self.agent.run(request).map_err(|e| request_error(url, &e))?.into_parts();
        Ok((ResponseHead::new(url.clone(), parts.status, parts.headers), body))
    }
}

/// Resolves the `Location` of a redirect from `url`.
fn redirect_target(url: &Url, headers: &HeaderMap) -> Result<Url> {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| Error::bad_response(url, "a redirect without a location".into()))?;
    let target = url.resolve(location)?;
    if url.is_secure() && !target.is_secure() {
        return Err(Error::bad_response(url, format!("a redirect from https to http://{}", target.host())));
    }
    Ok(target)
}

fn request_error(url: &Url, error: &ureq::Error) -> Error {
    let reason = error.to_string();
    match error {
        // Not transient: a certificate that is not trusted now will not be trusted at the next attempt.
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => certificate_error(url, &reason),
        // The TLS layer reports certificate errors as I/O errors of this kind. Nothing else produces this kind here.
        ureq::Error::Io(error) if error.kind() == ErrorKind::InvalidData => certificate_error(url, &reason),
        ureq::Error::InvalidProxyUrl => Error::bad_response(url, reason),
        ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => {
            Error::BadResponse { url: url.to_string(), reason, transient: true }
        }
        _ => Error::Unreachable { host: url.host().to_owned(), reason },
    }
}

fn certificate_error(url: &Url, reason: &str) -> Error {
    let advice = format!(
        "behind a proxy that decrypts traffic, set {} to the file with its certificate",
        certificates::VARIABLE
    );
    Error::bad_response(url, format!("{reason}; {advice}"))
}
