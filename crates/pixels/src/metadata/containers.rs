//! Segments of JPEGs and chunks of PNGs and WebPs. The iterators stop at damaged data.

/// A segment of a JPEG header (ITU-T T.81, annex B).
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// The marker: the byte after 0xff.
    pub marker: u8,
    /// The data after the length.
    pub data: &'a [u8],
}

/// Iterates over the segments of a JPEG before its first scan. Bytes between segments are skipped, as by decoders.
pub fn segments(file: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    const START_OF_SCAN: u8 = 0xda;
    const END_OF_IMAGE: u8 = 0xd9;
    let mut rest = file.strip_prefix(&[0xff, 0xd8]).unwrap_or_default();
    std::iter::from_fn(move || {
        loop {
            let start = memchr::memchr(0xff, rest)?;
            // Any number of fill bytes may precede a marker.
            let fill = rest[start..].iter().take_while(|&&byte| byte == 0xff).count();
            let (&marker, after) = rest[start + fill..].split_first()?;
            rest = after;
            match marker {
                // No marker, or markers without a segment.
                0 | 0x01 | 0xd0..=0xd8 => continue,
                START_OF_SCAN | END_OF_IMAGE => return None,
                _ => {}
            }
            let length = usize::from(u16::from_be_bytes(*after.first_chunk()?));
            let data = after.get(2..length)?;
            rest = &after[length..];
            return Some(Segment { marker, data });
        }
    })
}

/// Iterates over the chunks of a PNG up to `IEND`: type and data.
pub fn png_chunks(file: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = file.strip_prefix(b"\x89PNG\r\n\x1a\n").unwrap_or_default();
    std::iter::from_fn(move || {
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        let kind = *rest.get(4..)?.first_chunk()?;
        if &kind == b"IEND" {
            return None;
        }
        let end = length.checked_add(8)?;
        let data = rest.get(8..end)?;
        // A checksum of four bytes follows.
        rest = rest.get(end + 4..).unwrap_or_default();
        Some((kind, data))
    })
}

/// Iterates over the chunks of a WebP: type and data.
pub fn riff_chunks(file: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = if file.starts_with(b"RIFF") { file.get(12..).unwrap_or_default() } else { &[] };
    std::iter::from_fn(move || {
        let kind = *rest.first_chunk()?;
        let length = u32::from_le_bytes(*rest.get(4..)?.first_chunk()?) as usize;
        let end = length.checked_add(8)?;
        let data = rest.get(8..end)?;
        // Chunks of odd length are padded.
        rest = rest.get(end + length % 2..).unwrap_or_default();
        Some((kind, data))
    })
}
