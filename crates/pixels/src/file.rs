//! Recognition of image files by name, and reading of files with a limit on the length.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// Extensions of image files. Files in formats that cannot be decoded are included, so that they are rejected with a
/// reason rather than ignored.
const EXTENSIONS: [&str; 17] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "tif", "tiff", "gif", "avif", "heic", "heif", "jxl",
    "jp2", "ppm",
];

/// The largest buffer, in bytes, that is allocated before anything is read.
const MAX_PREALLOCATED: u64 = 16 << 20;

/// The reason why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// An error of the operating system.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The path is a pipe, a device or a folder.
    #[error("it is a pipe, a device or a folder, not a regular file")]
    NotAFile,
    /// The file is longer than the limit.
    #[error("it has more than {max} bytes")]
    TooLong {
        /// The limit in bytes.
        max: u64,
    },
}

/// Whether a file name, or a path with `/` between its parts, has the extension of an image.
pub fn has_image_name(path: &str) -> bool {
    let extension = path.rsplit('/').next().and_then(|name| name.rsplit_once('.'));
    extension.is_some_and(|(_, end)| EXTENSIONS.iter().any(|known| end.eq_ignore_ascii_case(known)))
}

/// Reads a file of at most `max` bytes.
///
/// # Errors
/// The file does not exist, is not a regular file, or is longer.
pub fn read(path: &Path, max: u64) -> Result<Vec<u8>, ReadError> {
    // Checked before the file is opened: opening a named pipe blocks until another process writes to it.
    if !fs::metadata(path)?.is_file() {
        return Err(ReadError::NotAFile);
    }
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    read_bounded(file, length, max)
}

/// Reads the first `max` bytes of a file, or all of a shorter one.
///
/// # Errors
/// The file does not exist or is not a regular file.
pub fn read_start(path: &Path, max: u64) -> Result<Vec<u8>, ReadError> {
    if !fs::metadata(path)?.is_file() {
        return Err(ReadError::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads to the end, but at most `max` bytes. `announced` is the length according to an archive or the file system. It
/// need not be correct.
///
/// # Errors
/// Reading fails, or there are more bytes.
pub fn read_bounded(reader: impl Read, announced: u64, max: u64) -> Result<Vec<u8>, ReadError> {
    if announced > max {
        return Err(ReadError::TooLong { max });
    }
    let mut bytes = Vec::with_capacity(announced.min(MAX_PREALLOCATED) as usize + 1);
    reader.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max { Err(ReadError::TooLong { max }) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_images_by_extension() {
        for path in ["a.jpg", "a/b.JPEG", "a.b/c d.PnG", "x/y.heic", "./a.gif"] {
            assert!(has_image_name(path), "{path}");
        }
        for path in ["a.txt", "jpg", "a/b", "a.jpg/readme", ""] {
            assert!(!has_image_name(path), "{path}");
        }
    }

    #[test]
    fn limits_the_bytes_read_regardless_of_the_announced_length() {
        assert_eq!(read_bounded(&b"12345"[..], 5, 5).unwrap(), b"12345");
        assert_eq!(read_bounded(&b"12345"[..], 2, 5).unwrap(), b"12345");
        let refused = |read: Result<Vec<u8>, ReadError>| matches!(read, Err(ReadError::TooLong { max: 5 }));
        assert!(refused(read_bounded(&b"123456"[..], 2, 5)));
        assert!(refused(read_bounded(&b""[..], 1 << 60, 5)));
        assert!(refused(read_bounded(std::io::repeat(0), 1, 5)));
        assert_eq!(read_bounded(&b"1"[..], 1, u64::MAX).unwrap(), b"1");
    }
}
