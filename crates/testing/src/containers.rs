//! Images without pixels, for tests of metadata. Their checksums are zeros, because readers of metadata ignore them.

/// Makes a PNG with these chunks: kind and data.
pub fn png(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in chunks {
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(*kind);
        file.extend(*data);
        file.extend([0; 4]);
    }
    file
}

/// Makes the header of a JPEG with these segments: marker and data.
pub fn jpeg(segments: &[(u8, &[u8])]) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    for (marker, data) in segments {
        file.extend([0xff, *marker]);
        file.extend((data.len() as u16 + 2).to_be_bytes());
        file.extend(*data);
    }
    file.extend([0xff, 0xda, 0, 2]);
    file
}

/// Makes a WebP with these chunks: kind and data.
pub fn webp(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut body = b"WEBP".to_vec();
    for (kind, data) in chunks {
        body.extend(*kind);
        body.extend((data.len() as u32).to_le_bytes());
        body.extend(*data);
        body.resize(body.len() + data.len() % 2, 0);
    }
    [b"RIFF".as_slice(), &(body.len() as u32).to_le_bytes(), &body].concat()
}

/// Makes a GIF with one frame, and these bytes before its trailer.
pub fn gif(extensions: &[u8]) -> Vec<u8> {
    let header = b"GIF89a\x01\0\x01\0\x80\0\0\x01\x02\x03\x04\x05\x06";
    let frame = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x4c\x01\0";
    [header.as_slice(), frame, extensions, b"\x3b"].concat()
}

/// Makes a little-endian TIFF structure with these entries: tag, type and value.
pub fn tiff(entries: &[(u16, u16, &[u8])]) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend((entries.len() as u16).to_le_bytes());
    let mut stored: Vec<u8> = Vec::new();
    let start = 8 + 2 + 12 * entries.len() + 4;
    for (tag, kind, value) in entries {
        // The bytes of a value of the types BYTE, ASCII, SHORT, LONG, RATIONAL and UNDEFINED.
        let width = match kind {
            3 => 2,
            4 => 4,
            5 => 8,
            _ => 1,
        };
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(((value.len() / width) as u32).to_le_bytes());
        if value.len() <= 4 {
            bytes.extend(*value);
            bytes.resize(bytes.len() + 4 - value.len(), 0);
        } else {
            bytes.extend(((start + stored.len()) as u32).to_le_bytes());
            stored.extend(*value);
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(stored);
    bytes
}

/// Makes an empty C2PA manifest store, in the boxes of JUMBF.
pub fn manifest_store() -> Vec<u8> {
    let description = b"\0\0\0\x1ejumdc2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71\x03c2pa\0";
    [b"\0\0\0\x26jumb".as_slice(), description].concat()
}
