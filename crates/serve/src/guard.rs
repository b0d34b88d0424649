//! Refusal of requests from other web sites, and headers that restrict what the page can do.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::Next;
use axum::response::IntoResponse;

use crate::assets;
use crate::problem::Problem;

/// The names under which the server answers.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    hosts: Arc<Vec<String>>,
}

impl Guard {
    /// Allows requests for the loopback interface at this port.
    pub(crate) fn new(port: u16) -> Guard {
        let mut hosts: Vec<String> = NAMES.iter().map(|name| format!("{name}:{port}")).collect();
        // Clients omit the default port.
        if port == 80 {
            hosts.extend(NAMES.map(str::to_owned));
        }
        Guard { hosts: Arc::new(hosts) }
    }

    /// Checks where a request comes from.
    ///
    /// A web site can let its own name resolve to 127.0.0.1 (DNS rebinding). Its requests then have that name as their
    /// host. A page of another origin can send a form to this server without reading the answer, which would cost time.
    fn check(&self, request: &Request) -> Result<(), Problem> {
        let headers = request.headers();
        let forbidden = |message: &str| Err(Problem::new(StatusCode::FORBIDDEN, message));
        let named = request.uri().authority().map(|authority| authority.as_str());
        if !self.is_own_host(only(headers, header::HOST)) || named.is_some_and(|named| !self.is_own_host(Some(named))) {
            return forbidden("the request names another host; open the address that the program printed");
        }
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(());
        }
        let site = only(headers, SEC_FETCH_SITE);
        let same_site = match (headers.contains_key(SEC_FETCH_SITE), site) {
            (false, _) => None,
            (true, Some("same-origin" | "none")) => Some(true),
            (true, _) => Some(false),
        };
        let same_origin = match (headers.contains_key(header::ORIGIN), only(headers, header::ORIGIN)) {
            (false, _) => true,
            // A form of a page without referrer has this origin. Browsers then say themselves whether it is of this page.
            (true, Some("null")) => same_site == Some(true),
            (true, origin) => {
                self.is_own_host(origin.and_then(|origin| origin.strip_prefix("http://")))
                    && origin.and_then(|origin| origin.strip_prefix("http://")) == only(headers, header::HOST)
            }
        };
        if same_site == Some(false) || !same_origin {
            return forbidden("the request comes from another web site");
        }
        Ok(())
    }

    fn is_own_host(&self, host: Option<&str>) -> bool {
        host.is_some_and(|host| self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)))
    }
}

/// The names of the loopback interface.
const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Returns the value of a header that occurs once.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// Refuses foreign requests, and adds the headers to every answer.
pub(crate) async fn apply(State(guard): State<Guard>, request: Request, next: Next) -> Response<Body> {
    let mut response = match guard.check(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, assets::content_security_policy());
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The headers of every answer, beside the content security policy.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(method: Method, uri: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Guard::new(7878).check(&request.body(Body::empty()).unwrap()).is_ok()
    }

    #[test]
    fn answers_only_to_names_of_the_loopback_interface() {
        for host in ["127.0.0.1:7878", "localhost:7878", "LOCALHOST:7878", "[::1]:7878"] {
            assert!(allowed(Method::GET, "/", &[("host", host)]), "{host}");
        }
        for host in ["evil.example:7878", "127.0.0.1", "127.0.0.1:80", "127.0.0.1:7878.evil.example", "localhost", ""] {
            assert!(!allowed(Method::GET, "/", &[("host", host)]), "{host}");
        }
        assert!(!allowed(Method::GET, "/", &[]), "no host");
        assert!(!allowed(Method::GET, "/", &[("host", "localhost:7878"), ("host", "localhost:7878")]), "two hosts");
        assert!(!allowed(Method::GET, "http://evil.example/", &[("host", "localhost:7878")]), "absolute form");
    }

    #[test]
    fn posts_only_from_the_own_page() {
        let post = |headers: &[(&str, &str)]| {
            allowed(Method::POST, "/check", &[&[("host", "127.0.0.1:7878")], headers].concat())
        };
        assert!(post(&[]), "a program");
        assert!(post(&[("origin", "http://127.0.0.1:7878"), ("sec-fetch-site", "same-origin")]));
        assert!(post(&[("origin", "null"), ("sec-fetch-site", "same-origin")]), "the form");
        assert!(!post(&[("origin", "null")]), "a sandboxed frame");
        for origin in ["https://evil.example", "http://localhost:7878", "https://127.0.0.1:7878", "http://127.0.0.1:1"]
        {
            assert!(!post(&[("origin", origin)]), "{origin}");
        }
        for site in ["cross-site", "same-site", "anything"] {
            assert!(!post(&[("sec-fetch-site", site)]), "{site}");
        }
    }
}
