//! Recognition of C2PA manifests (C2PA specification 2.1, section 11.1) among boxes of JUMBF (ISO/IEC 19566-5).

/// The type of a manifest store.
const MANIFEST_STORE: [u8; 16] = *b"c2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71";

/// Whether the data are a JUMBF box that holds a manifest store. Neither its claims nor its signature are read.
pub(super) fn is_manifest_store(jumbf: &[u8]) -> bool {
    let Some(description) = content(jumbf, b"jumb").and_then(|boxes| content(boxes, b"jumd")) else { return false };
    // Flags follow the type. The second one means that there is a label.
    match description.split_first_chunk::<16>() {
        Some((&MANIFEST_STORE, [flags, label @ ..])) => flags & 2 != 0 && label.starts_with(b"c2pa\0"),
        _ => false,
    }
}

/// Returns the box in an APP11 segment of a JPEG: it follows "JP", the number of the box and that of the segment.
pub(super) fn box_of_segment(segment: &[u8]) -> Option<&[u8]> {
    segment.strip_prefix(b"JP")?.get(6..)
}

/// Returns what follows the header of a box, if it has this type. A box in a JPEG may go on in further segments.
fn content<'a>(data: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    let (length, rest) = data.split_first_chunk::<4>()?;
    let rest = rest.strip_prefix(kind)?;
    // A length of 1 means that one of 8 bytes follows.
    if u32::from_be_bytes(*length) == 1 { rest.get(8..) } else { Some(rest) }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::manifest_store;
    use super::*;

    #[test]
    fn recognises_manifest_stores_only() {
        let store = manifest_store();
        assert!(is_manifest_store(&store));
        let segment = [b"JP\0\x01\0\0\0\x01".as_slice(), &store].concat();
        assert!(box_of_segment(&segment).is_some_and(is_manifest_store));
        let long = [b"\0\0\0\x01jumb\0\0\0\0\0\0\0\x40".as_slice(), &store[8..]].concat();
        assert!(is_manifest_store(&long));
        // Types of boxes, the type of the content, the flags and the label.
        for position in [4, 12, 16, 31, 32, 33] {
            let mut other = store.clone();
            other[position] ^= 0xff;
            assert!(!is_manifest_store(&other), "{position}");
        }
        for length in 0..38 {
            assert!(!is_manifest_store(&store[..length]));
        }
        assert_eq!(box_of_segment(b"JP\0\x01"), None);
    }
}
