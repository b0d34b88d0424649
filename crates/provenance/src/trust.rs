//! The list of trusted signers.

use std::path::{Path, PathBuf};

use artifacts::hash::Hash;

/// The largest number of bytes of a list.
const MAX_BYTES: u64 = 16 << 20;

/// Certificates in PEM: the roots of trusted signers, or the certificates of the signers themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustList {
    pem: String,
}

/// Why a trust list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read.
    #[error("failed to read the trust list `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file has no certificates.
    #[error("the trust list `{}` has no certificate in PEM (-----BEGIN CERTIFICATE-----)", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
}

impl TrustList {
    /// Reads a list from a file.
    ///
    /// # Errors
    /// The file cannot be read, is too large, or has no certificate.
    pub fn read(path: &Path) -> Result<TrustList, TrustError> {
        let error = |source| TrustError::Read { path: path.to_owned(), source };
        let size = std::fs::metadata(path).map_err(error)?.len();
        if size > MAX_BYTES {
            return Err(error(std::io::Error::other(format!("it has more than {MAX_BYTES} bytes"))));
        }
        let pem = std::fs::read_to_string(path).map_err(error)?;
        TrustList::from_pem(pem).ok_or_else(|| TrustError::NoCertificate { path: path.to_owned() })
    }

    /// Makes a list of certificates in PEM. `None` if there is none.
    pub fn from_pem(pem: String) -> Option<TrustList> {
        pem.contains("-----BEGIN CERTIFICATE-----").then_some(TrustList { pem })
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// The BLAKE3 hash of the list.
    pub fn hash(&self) -> Hash {
        Hash::of(self.pem.as_bytes())
    }
}
