//! Checksums that services publish for their files.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use md5::Digest;
use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// The checksum of a file.
///
/// MD5 and CRC-32C, the checksums of Google Cloud Storage, detect damage in transfer but not manipulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checksum {
    /// MD5. Google Cloud Storage publishes it for most objects.
    Md5([u8; 16]),
    /// CRC-32C (Castagnoli). Google Cloud Storage publishes it for every object, including composite ones.
    Crc32c(u32),
    /// SHA-256. The Hugging Face hub publishes it as the entity tag of a large file.
    Sha256([u8; 32]),
}

impl Checksum {
    /// Parses `x-goog-hash` headers, such as `crc32c=n03x6A==,md5=Ojk9c3dhfxgoKVVHYwFbHQ==`, and returns the strongest
    /// checksum (<https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash>).
    pub fn from_goog_hash<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Checksum> {
        let (mut md5, mut crc32c) = (None, None);
        for part in values.into_iter().flat_map(|value| value.split(',')) {
            let Some((name, encoded)) = part.trim().split_once('=') else { continue };
            let Ok(bytes) = BASE64_STANDARD.decode(encoded) else { continue };
            match name {
                "md5" => md5 = bytes.try_into().ok().map(Checksum::Md5),
                "crc32c" => crc32c = bytes.try_into().ok().map(u32::from_be_bytes).map(Checksum::Crc32c),
                _ => {}
            }
        }
        md5.or(crc32c)
    }

    /// Parses a SHA-256 checksum of 64 hexadecimal digits.
    pub fn sha256_from_hex(text: &str) -> Option<Checksum> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Checksum::Sha256(bytes))
    }

    /// The name of the algorithm.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Checksum::Md5(_) => "MD5",
            Checksum::Crc32c(_) => "CRC-32C",
            Checksum::Sha256(_) => "SHA-256",
        }
    }

    /// Computes the checksum of the file `path` with the same algorithm as `self`.
    pub fn recompute(&self, path: &Path) -> io::Result<Checksum> {
        let mut file = File::open(path)?;
        Ok(match self {
            Checksum::Md5(_) => {
                let mut state = Md5::new();
                for_each_block(&mut file, |bytes| state.update(bytes))?;
                Checksum::Md5(state.finalize().into())
            }
            Checksum::Crc32c(_) => {
                let mut state = 0;
                for_each_block(&mut file, |bytes| state = crc32c::crc32c_append(state, bytes))?;
                Checksum::Crc32c(state)
            }
            Checksum::Sha256(_) => {
                let mut state = Sha256::new();
                for_each_block(&mut file, |bytes| state.update(bytes))?;
                Checksum::Sha256(state.finalize().into())
            }
        })
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |f: &mut fmt::Formatter<'_>, bytes: &[u8]| bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"));
        match self {
            Checksum::Md5(bytes) => hex(f, bytes),
            Checksum::Crc32c(value) => hex(f, &value.to_be_bytes()),
            Checksum::Sha256(bytes) => hex(f, bytes),
        }
    }
}

/// Reads `file` to its end and passes each block to `update`.
fn for_each_block(file: &mut File, mut update: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => update(&buffer[..read]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of RFC 1321, RFC 3720 (appendix B.4: CRC-32C of "123456789") and FIPS 180-2.
    #[test]
    fn computes_published_check_values() {
        let dir = tempfile::tempdir().unwrap();
        let compute = |content: &str, algorithm: Checksum| {
            let path = dir.path().join("file");
            std::fs::write(&path, content).unwrap();
            algorithm.recompute(&path).unwrap().to_string()
        };
        assert_eq!(compute("message digest", Checksum::Md5([0; 16])), "f96b697d7cb7938d525a2f31aaf161d0");
        assert_eq!(compute("123456789", Checksum::Crc32c(0)), "e3069283");
        assert_eq!(
            compute("abc", Checksum::Sha256([0; 32])),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn goog_hash_prefers_md5_and_ignores_invalid_values() {
        let md5 = Checksum::from_goog_hash(["crc32c=n03x6A==", "md5=Ojk9c3dhfxgoKVVHYwFbHQ=="]).unwrap();
        assert_eq!(md5.to_string(), "3a393d7377617f182829554763015b1d");
        let crc = Checksum::from_goog_hash(["crc32c=n03x6A==,md5=short"]).unwrap();
        assert_eq!((crc.algorithm(), crc.to_string().as_str()), ("CRC-32C", "9f4df1e8"));
        assert_eq!(Checksum::from_goog_hash(["", "md5", "md5=", "sha1=AAAA", "=,=,"]), None);
    }

    #[test]
    fn rejects_sha256_without_64_hexadecimal_digits() {
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Checksum::sha256_from_hex(text).unwrap().to_string(), text);
        for bad in [&text[1..], &text.replace('b', "g"), &"é".repeat(32), ""] {
            assert_eq!(Checksum::sha256_from_hex(bad), None, "{bad}");
        }
    }
}
