//! Paths of images, as different programs write them.

/// Returns a path with `/` between its parts: without a drive, without `file://`, and without empty and `.` parts.
/// `..` at the start is removed, and elsewhere removes the part before it.
pub(crate) fn clean_path(path: &str) -> String {
    let path = path.trim().replace('\\', "/");
    let path = path.strip_prefix("file://").unwrap_or(&path);
    let has_drive = path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic();
    let path = if has_drive { &path[2..] } else { path };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_separators_drives_and_dots() {
        for path in [r"D:\a\.\b\1.png", "file:///a/b/1.png", "/a//b/1.png", "a/c/../b/1.png", "../a/b/1.png"] {
            assert_eq!(clean_path(path), "a/b/1.png", "{path}");
        }
    }
}
