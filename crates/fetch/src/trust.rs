//! Which certificate authorities are trusted.

use std::fs;

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use crate::{Environment, Error, Result};

/// The variable that names a file of certificate authorities, as OpenSSL and those who follow it read it.
pub(crate) const VARIABLE: &str = "SSL_CERT_FILE";

/// The authorities in the file that the environment names, or else Mozilla's.
pub(crate) fn roots(environment: &Environment) -> Result<RootCerts> {
    let Some(path) = environment.path(VARIABLE) else { return Ok(RootCerts::WebPki) };
    let text = fs::read(&path).map_err(artifacts::Error::io("read", &path))?;
    let authorities: Vec<Certificate<'static>> = parse_pem(&text)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if authorities.is_empty() { Err(Error::Certificates { path }) } else { Ok(RootCerts::from(authorities)) }
}
