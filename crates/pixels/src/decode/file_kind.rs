//! The kind of a file by its first bytes.

use super::{DecodeError, Format, signature};

/// The kind of a file by its first bytes, for files without the name of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// An image in a format that [`decode()`](super::decode()) reads.
    Image(Format),
    /// Another file, or an image in a format that is not read. The name is made for a list: `Photoshop PSD`,
    /// `a zip archive`.
    Other(&'static str),
    /// An unknown kind.
    Unknown,
}

impl FileKind {
    /// The number of bytes at the start of a file that decide. More have no effect.
    pub const START_BYTES: usize = 4096;

    /// Recognises a file by its first [`START_BYTES`](Self::START_BYTES), or by all of a shorter one.
    pub fn of(start: &[u8]) -> FileKind {
        let start = &start[..start.len().min(Self::START_BYTES)];
        match Format::of(start) {
            // Two letters are a weak signature. Bytes 6 to 9 of a bitmap are reserved and zero.
            Ok(Format::Bmp) if start.get(6..10) != Some(&[0; 4]) => without_signature(start),
            Ok(format) => FileKind::Image(format),
            Err(DecodeError::Empty) => FileKind::Other("empty"),
            Err(_) => match signature::image(start).or_else(|| signature::other(start).map(|other| other.name)) {
                Some(name) => FileKind::Other(name),
                None => without_signature(start),
            },
        }
    }
}

fn without_signature(start: &[u8]) -> FileKind {
    if signature::is_tga(start) {
        return FileKind::Other("TGA");
    }
    signature::without_signature(start).map_or(FileKind::Unknown, |other| FileKind::Other(other.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_files_by_their_start() {
        for (start, kind) in [
            (b"\xff\xd8\xff\xe0".as_slice(), FileKind::Image(Format::Jpeg)),
            (b"BM\x46\0\0\0\0\0\0\0\x36\0", FileKind::Image(Format::Bmp)),
            (b"BMW has made cars since 1928", FileKind::Other("plain text")),
            (b"P2P networks", FileKind::Other("plain text")),
            (b"8BPS\0\x01", FileKind::Other("Photoshop PSD")),
            (b"<svg/>", FileKind::Other("SVG")),
            (b"PK\x03\x04", FileKind::Other("a zip archive")),
            (b"\0\0\x02\0\0\0\0\0\0\0\0\0\x04\0\x03\0\x18\0pixels", FileKind::Other("TGA")),
            (b"", FileKind::Other("empty")),
            (b"\x07\x01\x02\xff", FileKind::Unknown),
        ] {
            assert_eq!(FileKind::of(start), kind, "{start:?}");
        }
    }

    #[test]
    fn only_the_start_decides() {
        let mut file = b"\xff\xd8\xff".to_vec();
        file.resize(3 * FileKind::START_BYTES, 0);
        file.extend(b"TRUEVISION-XFILE.\0");
        assert_eq!(FileKind::of(&file), FileKind::Image(Format::Jpeg));
    }
}
