//! The certificate authorities that TLS connections trust.

use std::fs;

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use crate::{Environment, Error, Result};

/// The environment variable with the path of a PEM file of certificate authorities, as in OpenSSL.
pub(crate) const VARIABLE: &str = "SSL_CERT_FILE";

/// Returns the certificate authorities in the file that `SSL_CERT_FILE` names, or Mozilla's if it is not set.
pub(crate) fn trusted_roots(environment: &Environment) -> Result<RootCerts> {
    let Some(path) = environment.path(VARIABLE) else { return Ok(RootCerts::WebPki) };
    let text = fs::read(&path).map_err(artifacts::Error::io("read", &path))?;
    let authorities: Vec<Certificate<'static>> = parse_pem(&text)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if authorities.is_empty() { Err(Error::NoCertificates { path }) } else { Ok(RootCerts::from(authorities)) }
}
