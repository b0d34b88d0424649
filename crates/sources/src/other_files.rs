//! Files of a folder or an archive that are not among its images.

use pixels::{DecodeError, Format};

use crate::rejection::Rejection;

/// A file of a source that is not among its images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherFile {
    /// The path in the source, with `/` between parts.
    pub path: String,
    /// The reason why it is not used: "not_an_image", "empty", "unreadable" or "duplicate_name".
    pub rejection: Rejection,
}

/// The number of bytes at the start of a file by which its content is recognised.
pub(crate) const START_BYTES: u64 = 4096;

/// Decides by the first bytes whether a file without the name of an image is one. Returns the reason if it is not.
/// Images in formats that are not read count as images, so that they are rejected for their format.
pub(crate) fn why_not_an_image(start: Result<Vec<u8>, Rejection>) -> Option<Rejection> {
    let start = match start {
        Ok(start) => start,
        Err(rejection) => return Some(rejection),
    };
    match Format::of(&start) {
        // Two letters are a weak signature. Bytes 6 to 9 of a bitmap are reserved and zero.
        Ok(Format::Bmp) if start.get(6..10) != Some(&[0; 4]) => Some(not_an_image(&DecodeError::NotAnImage)),
        Ok(_) | Err(DecodeError::Unsupported(_)) => None,
        Err(error) => Some(not_an_image(&error)),
    }
}

fn not_an_image(error: &DecodeError) -> Rejection {
    Rejection::new(error.kind(), error.to_string())
}

/// Describes files for the message that a source has no images: `2 other files; the first is …`.
pub(crate) fn describe(files: &[OtherFile]) -> String {
    let first = files.first().map(|file| format!("; the first is `{}`: {}", file.path, file.rejection.detail));
    format!("{} other files{}", files.len(), first.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_images_by_content() {
        let reason = |start: &[u8]| why_not_an_image(Ok(start.to_vec())).map(|rejection| rejection.reason);
        assert_eq!(reason(b"\xff\xd8\xff\xe0"), None);
        assert_eq!(reason(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), None);
        assert_eq!(reason(b"BM\x46\0\0\0\0\0\0\0\x36\0"), None);
        assert_eq!(reason(b"BMW has made cars since 1928").as_deref(), Some("not_an_image"));
        assert_eq!(reason(b"").as_deref(), Some("empty"));
        assert_eq!(reason(b"\x07\x01\x02\xff").as_deref(), Some("not_an_image"));
        let unreadable = Rejection::new("unreadable", "gone");
        assert_eq!(why_not_an_image(Err(unreadable.clone())), Some(unreadable));
    }
}
