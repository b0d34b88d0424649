//! HTTP URLs whose displayed form omits secrets.

use std::fmt;
use std::str::FromStr;

use ureq::http::Uri;

use crate::{Error, Result};

/// An absolute `http` or `https` URL.
///
/// The `Display` and `Debug` forms omit the query: storage services redirect to URLs whose query is a signature that
/// lets anyone read the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    secure: bool,
    host: String,
    port: u16,
    path: String,
    query: Option<String>,
}

impl Url {
    /// Parses an absolute URL. Drops its user name and password.
    pub fn parse(text: &str) -> Result<Url> {
        let bad = |reason: &str| Error::InvalidUrl { text: redact(text), reason: reason.to_owned() };
        let uri = Uri::from_str(text.trim()).map_err(|e| bad(&e.to_string()))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(other) => return Err(bad(&format!("`{other}` is neither http nor https"))),
            None => return Err(bad("it does not begin with http:// or https://")),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| bad("it has no host"))?;
        // `Uri` reports a port out of range, such as `host:99999`, as an absent port. Reject it.
        let written = uri.authority().and_then(|authority| authority.as_str().rsplit_once(':')).map(|(_, port)| port);
        let port = match (uri.port_u16(), written) {
            (Some(port), _) => port,
            (None, Some(text)) if !text.is_empty() && !text.contains([']', '@']) => {
                return Err(bad(&format!("`{text}` is not a port")));
            }
            _ if secure => 443,
            _ => 80,
        };
        Ok(Url {
            secure,
            host: host.to_ascii_lowercase(),
            port,
            path: uri.path().to_owned(),
            query: uri.query().map(str::to_owned),
        })
    }

    /// Returns the URL with `segments` appended to its path, each percent-encoded. Drops the query.
    pub fn join_segments<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut path = self.path.trim_end_matches('/').to_owned();
        for segment in segments {
            path.push('/');
            push_encoded(&mut path, segment);
        }
        Url { path, query: None, ..self.clone() }
    }

    /// Returns the URL with a parameter appended to its query.
    pub fn with_parameter(mut self, name: &str, value: &str) -> Url {
        let mut query = self.query.take().map(|query| query + "&").unwrap_or_default();
        push_encoded(&mut query, name);
        query.push('=');
        push_encoded(&mut query, value);
        self.query = Some(query);
        self
    }

    /// Resolves a `Location` header against this URL (RFC 3986, section 5.2). Dot segments are not removed.
    pub(crate) fn resolve(&self, location: &str) -> Result<Url> {
        let scheme = if self.secure { "https" } else { "http" };
        let location = location.split('#').next().unwrap_or_default();
        if location.split_once("://").is_some_and(|(scheme, _)| !scheme.contains(['/', '?'])) {
            Url::parse(location)
        } else if location.starts_with("//") {
            Url::parse(&format!("{scheme}:{location}"))
        } else {
            let base = format!("{scheme}://{}:{}", self.host, self.port);
            let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            match location.chars().next() {
                Some('/') => Url::parse(&format!("{base}{location}")),
                Some('?') => Url::parse(&format!("{base}{}{location}", self.path)),
                _ => Url::parse(&format!("{base}{folder}/{location}")),
            }
        }
    }

    /// Returns whether `other` has the same scheme, host and port. Credentials are sent only to the same origin.
    pub(crate) fn same_origin(&self, other: &Url) -> bool {
        (self.secure, &self.host, self.port) == (other.secure, &other.host, other.port)
    }

    /// Whether the connection is encrypted.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// The name of the host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The URL with its query, for sending the request. Do not display it.
    pub(crate) fn to_string_with_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{self}?{query}"),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Url { secure, host, port, path, .. } = self;
        match (secure, port) {
            (true, 443) => write!(f, "https://{host}{path}"),
            (false, 80) => write!(f, "http://{host}{path}"),
            (true, _) => write!(f, "https://{host}:{port}{path}"),
            (false, _) => write!(f, "http://{host}:{port}{path}"),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Appends `text` to `to`, with all but the unreserved characters percent-encoded (RFC 3986, section 2.3).
fn push_encoded(to: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => to.push(char::from(byte)),
            _ => to.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// Removes query, fragment, user name and password from a URL that may be invalid.
fn redact(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (&text[..scheme.len() + 3], rest));
    let authority = rest.split('/').next().unwrap_or_default();
    let user = authority.rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}{}", &rest[user..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn encodes_segments_and_parameters() {
        let made = url("https://host.test/base/").join_segments(["a b", "../c", "é"]).with_parameter("v", "1&2");
        assert_eq!(made.to_string_with_query(), "https://host.test/base/a%20b/..%2Fc/%C3%A9?v=1%262");
    }

    #[test]
    fn display_omits_query_and_user() {
        let signed = url("https://user:secret@host.test/file?Signature=secret");
        assert_eq!(format!("{signed} {signed:?}"), "https://host.test/file https://host.test/file");
        let bad = Url::parse("ftp://host.test/file?Signature=secret").unwrap_err();
        assert!(!format!("{bad} {bad:?}").contains("secret"), "{bad:?}");
    }

    #[test]
    fn rejects_port_out_of_range() {
        assert_eq!(url("http://host.test:8080/a").to_string(), "http://host.test:8080/a");
        assert_eq!(url("http://[::1]/a").to_string(), "http://[::1]/a");
        for text in ["http://host.test:99999/a", "http://user:secret@host.test:99999/a"] {
            let error = Url::parse(text).unwrap_err().to_string();
            assert!(error.contains("99999") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn resolves_redirect_locations() {
        let base = url("https://host.test/a/b?x=1");
        for (location, expected) in [
            ("https://other.test/c?y=2", "https://other.test/c?y=2"),
            ("//other.test/c", "https://other.test/c"),
            ("/c?next=https://z", "https://host.test/c?next=https://z"),
            ("c", "https://host.test/a/c"),
            ("c?next=https://z", "https://host.test/a/c?next=https://z"),
            ("?y=2", "https://host.test/a/b?y=2"),
            ("/c#part", "https://host.test/c"),
        ] {
            assert_eq!(base.resolve(location).unwrap().to_string_with_query(), expected, "{location}");
        }
        assert!(base.resolve("http://[bad").is_err());
    }

    #[test]
    fn compares_origins_by_scheme_host_and_port() {
        let base = url("https://host.test/a");
        assert!(base.same_origin(&url("https://HOST.test:443/b")));
        for other in ["http://host.test/a", "https://host.test:8443/a", "https://cdn.host.test/a"] {
            assert!(!base.same_origin(&url(other)), "{other}");
        }
    }
}
