//! Which files of a source are its images.

use pixels::file::has_image_name;

/// Whether a path with `/` between its parts names an image: by its end, and not hidden, as the forks are that macOS adds.
pub(super) fn is_image(path: &str) -> bool {
    let hidden =
        path.split('/').any(|part| (part.starts_with('.') && part != "." && part != "..") || part == "__MACOSX");
    !hidden && has_image_name(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_no_image() {
        for path in ["a.jpg", "a/b.JPEG", "./a.gif", "../b/c.png"] {
            assert!(is_image(path), "{path}");
        }
        for path in ["a.txt", "a/._b.jpg", "__MACOSX/a.jpg", ".git/a.png"] {
            assert!(!is_image(path), "{path}");
        }
    }
}
