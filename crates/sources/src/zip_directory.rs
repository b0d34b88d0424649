//! Names that occur more than once in the directory of a zip archive (APPNOTE.TXT, section 4.3.12).
//!
//! `ZipArchive` keeps only the last entry of each name.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// Returns the names that more than one entry has, with the number of their entries. `start` is the position of the
/// directory.
///
/// # Errors
/// The archive cannot be read.
pub(crate) fn repeated_names(archive: impl Read + Seek, start: u64) -> io::Result<BTreeMap<String, usize>> {
    const HEADER_LENGTH: usize = 46;
    const SIGNATURE: &[u8] = b"PK\x01\x02";
    let mut archive = BufReader::new(archive);
    archive.seek(SeekFrom::Start(start))?;
    let mut counts: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    loop {
        let mut header = Vec::with_capacity(HEADER_LENGTH);
        archive.by_ref().take(HEADER_LENGTH as u64).read_to_end(&mut header)?;
        // The record after the last entry may be shorter.
        if header.len() < HEADER_LENGTH || !header.starts_with(SIGNATURE) {
            break;
        }
        let length = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let (name_length, extra, comment) = (length(28), length(30), length(32));
        let mut name = vec![0; usize::from(name_length)];
        archive.read_exact(&mut name)?;
        archive.seek_relative(i64::from(extra) + i64::from(comment))?;
        *counts.entry(name).or_default() += 1;
    }
    let repeated = counts.into_iter().filter(|(_, count)| *count > 1);
    Ok(repeated.map(|(name, count)| (String::from_utf8_lossy(&name).into_owned(), count)).collect())
}
