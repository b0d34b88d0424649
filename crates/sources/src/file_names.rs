//! Names of files (which are images or tables, paths with `/`), and stamps that detect changed files.

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use pixels::file::has_image_name;

/// Whether a path with `/` between its parts is that of a hidden file, such as the resource forks that macOS adds to
/// archives.
pub(crate) fn is_hidden(path: &str) -> bool {
    path.split('/').any(|part| (part.starts_with('.') && part != "." && part != "..") || part == "__MACOSX")
}

/// Whether a path with `/` between its parts has the name of an image. Hidden files are excluded.
pub(crate) fn is_image(path: &str) -> bool {
    !is_hidden(path) && has_image_name(path)
}

/// Whether a path has the name of a parquet table. Hidden files are excluded.
pub(crate) fn is_table(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
}

/// Converts a path to text with `/` between its parts.
pub(crate) fn with_slashes(path: &Path) -> String {
    path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Returns the length and modification time of a file as bytes; empty if there is no such file.
pub(crate) fn stamp(path: &Path) -> Vec<u8> {
    let Ok(metadata) = fs::metadata(path) else {
        return Vec::new();
    };
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    [metadata.len().to_le_bytes().as_slice(), &modified.as_nanos().to_le_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_files_are_not_images() {
        for path in ["a.jpg", "a/b.JPEG", "./a.gif", "../b/c.png"] {
            assert!(is_image(path), "{path}");
        }
        for path in ["a.txt", "a/._b.jpg", "__MACOSX/a.jpg", ".git/a.png"] {
            assert!(!is_image(path), "{path}");
        }
    }

    #[test]
    fn hidden_files_are_not_tables() {
        assert!(is_table(Path::new("data/train.PARQUET")));
        assert!(!is_table(Path::new("data/._train.parquet")));
        assert!(!is_table(Path::new("data/train.csv")));
    }
}
