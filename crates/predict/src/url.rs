//! URLs where a path is expected.

use std::path::Path;

/// Returns the error with advice if a path is a URL and no file has this name. Returns `None` for other paths.
pub(crate) fn advice(path: &Path, program: &str) -> Option<String> {
    let text = path.to_string_lossy();
    let (scheme, rest) = text.split_once(':')?;
    let starts_well = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_scheme = starts_well && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let scheme = scheme.to_ascii_lowercase();
    let is_opaque = matches!(scheme.as_str(), "data" | "blob" | "file");
    if !is_scheme || !(is_opaque || rest.starts_with("//")) || path.symlink_metadata().is_ok() {
        return None;
    }
    let advice = match scheme.as_str() {
        "file" => "give the path of the file without `file:`",
        "data" | "blob" => "save the picture to a file first, and give the path of the file",
        _ => "download the picture first, and give the path of the file",
    };
    Some(format!("it is a URL, and {program} reads no URLs; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_to_do_with_urls() {
        for (url, what) in [
            ("https://example.org/a.jpg", "download the picture"),
            ("HTTP://example.org/a.jpg", "download the picture"),
            ("s3://bucket/a.jpg", "download the picture"),
            ("data:image/png;base64,iVBORw0KGgo=", "save the picture"),
            ("file:///tmp/absent.jpg", "without `file:`"),
            ("file:/tmp/absent.jpg", "without `file:`"),
        ] {
            let advice = advice(Path::new(url), "predict").unwrap_or_default();
            assert!(advice.contains("predict reads no URLs") && advice.contains(what), "{url}: {advice}");
        }
        for path in ["a.jpg", "/tmp/a.jpg", "C:\\a.jpg", "C:/a.jpg", "a: b.jpg", "12:30//a.jpg", "://a", ""] {
            assert_eq!(advice(Path::new(path), "predict"), None, "{path}");
        }
    }

    #[test]
    fn existing_file_is_no_url() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("data:");
        std::fs::create_dir(&folder).unwrap();
        assert_eq!(advice(&folder, "predict"), None);
    }
}
