//! PNGs that lack their end (PNG specification, third edition, section 5).

/// The length of a chunk without its data: length, type and checksum.
const FRAME: usize = 12;
const END: &[u8; FRAME] = b"\0\0\0\0IEND\xae\x42\x60\x82";

/// Returns a PNG with the chunk `IEND` at its end, if the file ends after its image data and before the end of that
/// chunk. `None` for other files, also for those that end in an image chunk.
///
/// The decoder reads an image only if another chunk follows it.
pub(super) fn with_end(file: &[u8]) -> Option<Vec<u8>> {
    let mut at = 8;
    let mut has_image = false;
    while let Some((length, kind)) = header(file.get(at..)?) {
        let end = at.checked_add(length)?.checked_add(FRAME)?;
        let is_whole = end <= file.len();
        match kind {
            b"IEND" if is_whole => return None,
            b"IDAT" if is_whole => has_image = true,
            b"IDAT" => return None,
            _ => {}
        }
        if !is_whole {
            break;
        }
        at = end;
    }
    has_image.then(|| [&file[..at], END].concat())
}

/// Reads the length and the type of a chunk.
fn header(chunk: &[u8]) -> Option<(usize, &[u8; 4])> {
    let length = u32::from_be_bytes(*chunk.first_chunk()?) as usize;
    Some((length, chunk.get(4..)?.first_chunk()?))
}
