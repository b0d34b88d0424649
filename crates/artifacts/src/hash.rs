//! BLAKE3 digests, which identify artifacts and images.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

/// A BLAKE3 digest. Its text form has 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(blake3::Hash);

impl Hash {
    /// Computes the digest of bytes in memory.
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(blake3::hash(bytes))
    }

    /// The raw 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The first 12 hexadecimal digits, for display.
    pub fn short(&self) -> String {
        self.0.to_hex()[..12].to_owned()
    }
}

/// Number of bytes that are read and hashed at a time: large enough to use all cores.
const BLOCK: u64 = 8 << 20;

/// Computes the digest of a file, on all cores.
///
/// The file is read, not memory-mapped. Mapped pages would count as memory of this process, and truncating a mapped
/// file kills the process that reads it.
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

/// Computes one digest of a sequence of named parts. Names and lengths are hashed too. Sequences with another order of
/// parts, or other boundaries between parts, therefore have different digests.
#[derive(Default)]
pub struct Digest(blake3::Hasher);

impl Digest {
    /// Appends a part.
    pub fn part(mut self, name: &str, bytes: &[u8]) -> Self {
        for piece in [name.as_bytes(), bytes] {
            self.0.update(&(piece.len() as u64).to_le_bytes());
            self.0.update(piece);
        }
        self
    }

    /// Returns the digest of all parts so far.
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
    fn hashes_files_of_any_length() {
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
