//! Segments of JPEGs, chunks of PNGs and WebPs, and extensions of GIFs. The iterators stop at damaged data and at the
//! end that the container states, so that bytes after the image are not read.

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

/// Iterates over the chunks of a WebP up to the length in its header: type and data.
pub fn riff_chunks(file: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = riff_content(file).unwrap_or_default();
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

/// Returns the chunks of a RIFF file: what the stated length covers, without the form type.
fn riff_content(file: &[u8]) -> Option<&[u8]> {
    let body = file.strip_prefix(b"RIFF")?;
    let length = u32::from_le_bytes(*body.first_chunk()?) as usize;
    let body = &body[4..];
    body[..length.min(body.len())].get(4..)
}

/// An extension of a GIF (GIF89a specification, sections 24 and 26).
#[derive(Clone, Copy, Debug)]
pub(super) struct Extension<'a> {
    pub(super) label: u8,
    /// The blocks of data, each after its length.
    blocks: &'a [u8],
}

impl<'a> Extension<'a> {
    pub(super) const COMMENT: u8 = 0xfe;
    pub(super) const APPLICATION: u8 = 0xff;

    /// Returns what follows the identifier of an application, if it is this one.
    pub(super) fn of_application(self, identifier: &[u8; 11]) -> Option<Extension<'a>> {
        let rest = self.blocks.strip_prefix(&[11])?.strip_prefix(identifier)?;
        (self.label == Extension::APPLICATION).then_some(Extension { label: self.label, blocks: rest })
    }

    /// Returns the data without the lengths of the blocks.
    pub(super) fn joined(self) -> Vec<u8> {
        let mut rest = self.blocks;
        let mut joined = Vec::new();
        while let Some((&length, after)) = rest.split_first() {
            let Some((block, after)) = after.split_at_checked(usize::from(length)) else { break };
            joined.extend(block);
            rest = after;
        }
        joined
    }

    /// Returns the data of an application that does not write blocks. XMP is written in this way.
    pub(super) fn raw(self) -> &'a [u8] {
        // 0x01, 0xff, 0xfe and so on to 0x00, so that readers of blocks find the end.
        const TRAILER: usize = 257;
        &self.blocks[..self.blocks.len().saturating_sub(TRAILER)]
    }
}

/// Iterates over the extensions of a GIF up to its trailer.
pub(super) fn gif_extensions(file: &[u8]) -> impl Iterator<Item = Extension<'_>> {
    let mut rest = gif_content(file).unwrap_or_default();
    std::iter::from_fn(move || {
        loop {
            let (&introducer, after) = rest.split_first()?;
            match introducer {
                0x21 => {
                    let (&label, after) = after.split_first()?;
                    let length = blocks_length(after)?;
                    rest = &after[length + 1..];
                    return Some(Extension { label, blocks: &after[..length] });
                }
                0x2c => {
                    let after = after.get(9 + colour_table_length(*after.get(8)?)..)?;
                    // The number of bits of a code precedes the blocks.
                    let blocks = after.get(1..)?;
                    rest = &blocks[blocks_length(blocks)? + 1..];
                }
                _ => return None,
            }
        }
    })
}

/// Returns what follows the header and the global colour table of a GIF.
fn gif_content(file: &[u8]) -> Option<&[u8]> {
    let is_gif = file.starts_with(b"GIF87a") || file.starts_with(b"GIF89a");
    let table = colour_table_length(*file.get(10).filter(|_| is_gif)?);
    file.get(13 + table..)
}

fn colour_table_length(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// Returns the length of a sequence of blocks without the empty one at its end.
fn blocks_length(blocks: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *blocks.get(at)? {
            0 => return Some(at),
            length => at += 1 + usize::from(length),
        }
    }
}
