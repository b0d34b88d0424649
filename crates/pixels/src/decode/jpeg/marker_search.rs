//! Finds the markers of a JPEG.

/// Finds the first marker at or after `position`. Returns its code and the position after it. Other bytes are skipped,
/// as in libjpeg.
pub(super) fn next_marker(file: &[u8], mut position: usize) -> Option<(u8, usize)> {
    loop {
        position += memchr::memchr(0xFF, file.get(position..)?)? + 1;
        match *file.get(position)? {
            // A stuffed byte in data, or a fill byte before a marker.
            0x00 | 0xFF => {}
            code => return Some((code, position + 1)),
        }
    }
}
