//! BLAKE3 of files, the identity of every artifact and sample.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

/// A BLAKE3 digest, 64 lowercase hexadecimal digits in text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(blake3::Hash);

impl Hash {
    /// The digest of bytes in memory.
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(blake3::hash(bytes))
    }

    /// The raw 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The first 12 digits, enough for people to tell two apart.
    pub fn short(&self) -> String {
        self.0.to_hex()[..12].to_owned()
    }
}

/// Bytes that are digested at once: enough for all cores to share.
const BLOCK: u64 = 8 << 20;

/// The digest of a file, on all cores.
///
/// The file is read and not mapped: a map's pages count as this process's memory, and a file that somebody shortens
/// meanwhile would end it.
pub fn file(path: &Path) -> Result<Hash> {
    let failed = || Error::io("read", path);
    let mut file = File::open(path).map_err(failed())?;
    let mut hasher = blake3::Hasher::new();
    let mut block = Vec::new();
    while file.by_ref().take(BLOCK).read_to_end(&mut block).map_err(failed())? > 0 {
        hasher.update_rayon(&block);
        block.clear();
    }
    Ok(Hash(hasher.finalize()))
}

/// Digests a sequence of named parts, so that neither order nor borders between them can be confused.
#[derive(Default)]
pub struct Digest(blake3::Hasher);

impl Digest {
    /// Adds one named part.
    pub fn part(mut self, name: &str, bytes: &[u8]) -> Self {
        for piece in [name.as_bytes(), bytes] {
            self.0.update(&(piece.len() as u64).to_le_bytes());
            self.0.update(piece);
        }
        self
    }

    /// The digest of all parts so far.
    pub fn finish(&self) -> Hash {
        Hash(self.0.finalize())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_hex())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = blake3::HexError;

    fn from_str(text: &str) -> Result<Hash, Self::Err> {
        blake3::Hash::from_hex(text).map(Hash)
    }
}

impl From<[u8; 32]> for Hash {
    fn from(bytes: [u8; 32]) -> Hash {
        Hash(bytes.into())
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_hex())
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_digest_of_its_bytes() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("file");
        for len in [0, 1, BLOCK as usize, BLOCK as usize + 3] {
            let bytes: Vec<u8> = (0..len).map(|i| ((i * i) >> 3) as u8).collect();
            std::fs::write(&path, &bytes).expect("the file is written");
            assert_eq!(file(&path).expect("the file is read"), Hash::of(&bytes), "{len} bytes");
        }
        assert!(file(&dir.path().join("missing")).is_err());
    }
}
