//! Credentials for HTTP requests.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Credentials for a server. The `Debug` form shows the scheme only.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization {
    /// An access token (RFC 6750).
    Bearer(String),
    /// A user name and a password or key (RFC 7617).
    Basic {
        /// The account name.
        username: String,
        /// The password or key.
        password: String,
    },
}

impl Authorization {
    /// Returns the value of the `Authorization` header.
    pub(crate) fn header(&self) -> String {
        match self {
            Authorization::Bearer(token) => format!("Bearer {token}"),
            Authorization::Basic { username, password } => {
                format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}")))
            }
        }
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Authorization::Bearer(_) => "Bearer(…)",
            Authorization::Basic { .. } => "Basic(…)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_basic_credentials_as_in_rfc_7617() {
        let user = Authorization::Basic { username: "Aladdin".into(), password: "open sesame".into() };
        assert_eq!(user.header(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn debug_form_shows_no_secret() {
        let user = Authorization::Basic { username: "name".into(), password: "hunter2".into() };
        assert_eq!(format!("{user:?} {:?}", Authorization::Bearer("hunter2".into())), "Basic(…) Bearer(…)");
    }
}
