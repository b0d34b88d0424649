//! Image files: which names they have, and reading no more of one than an image can be long.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// Ends of names that images have. Some formats among them are not decoded here: their files are refused by name rather
/// than passed over.
const EXTENSIONS: [&str; 17] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "tif", "tiff", "gif", "avif", "heic", "heif", "jxl",
    "jp2", "ppm",
];

/// Memory that is set aside on the word of an archive or a file system alone.
const TRUSTED_LENGTH: u64 = 16 << 20;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Nothing that has an end.
    #[error("it is a pipe, a device or a folder, not a regular file")]
    NotAFile,
    /// More than an image within the limit on pixels can have.
    #[error("it has more than {most} bytes")]
    TooLong {
        /// The most bytes that are read.
        most: u64,
    },
}

/// Whether a file's name, or a path with `/` between its parts, ends as those of images do.
pub fn has_image_name(path: &str) -> bool {
    let extension = path.rsplit('/').next().and_then(|name| name.rsplit_once('.'));
    extension.is_some_and(|(_, end)| EXTENSIONS.iter().any(|known| end.eq_ignore_ascii_case(known)))
}

/// Reads a file of at most `most` bytes.
///
/// # Errors
/// It is not there, no regular file, or longer.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, ReadError> {
    // Asked before it is opened: to open a named pipe waits until somebody writes to it.
    if !fs::metadata(path)?.is_file() {
        return Err(ReadError::NotAFile);
    }
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    read_bounded(file, length, most)
}

/// Reads to the end, but no more than `most` bytes: the length that was announced, such as by an archive, need not be true.
///
/// # Errors
/// Reading fails, or there is more.
pub fn read_bounded(reader: impl Read, announced: u64, most: u64) -> Result<Vec<u8>, ReadError> {
    if announced > most {
        return Err(ReadError::TooLong { most });
    }
    let mut bytes = Vec::with_capacity(announced.min(TRUSTED_LENGTH) as usize + 1);
    reader.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(ReadError::TooLong { most }) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_their_ends() {
        for path in ["a.jpg", "a/b.JPEG", "a.b/c d.PnG", "x/y.heic", "./a.gif"] {
            assert!(has_image_name(path), "{path}");
        }
        for path in ["a.txt", "jpg", "a/b", "a.jpg/readme", ""] {
            assert!(!has_image_name(path), "{path}");
        }
    }

    #[test]
    fn no_more_is_read_than_allowed_whatever_was_announced() {
        assert_eq!(read_bounded(&b"12345"[..], 5, 5).unwrap(), b"12345");
        assert_eq!(read_bounded(&b"12345"[..], 2, 5).unwrap(), b"12345");
        let refused = |read: Result<Vec<u8>, ReadError>| matches!(read, Err(ReadError::TooLong { most: 5 }));
        assert!(refused(read_bounded(&b"123456"[..], 2, 5)));
        assert!(refused(read_bounded(&b""[..], 1 << 60, 5)));
        assert!(refused(read_bounded(std::io::repeat(0), 1, 5)));
        assert_eq!(read_bounded(&b"1"[..], 1, u64::MAX).unwrap(), b"1");
    }
}
