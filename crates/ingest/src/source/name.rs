//! Names of files: which are images', and how they are shown.

/// Ends of names that images have. Some formats among them are not read, and are rejected rather than passed over.
const EXTENSIONS: [&str; 17] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "tif", "tiff", "gif", "avif", "heic", "heif", "jxl",
    "jp2", "ppm",
];

/// Whether a path with `/` between its parts names an image: by its end, and not hidden, as the forks are that macOS adds.
pub(super) fn is_image(path: &str) -> bool {
    let hidden =
        path.split('/').any(|part| (part.starts_with('.') && part != "." && part != "..") || part == "__MACOSX");
    let extension = path.rsplit('/').next().and_then(|name| name.rsplit_once('.'));
    !hidden && extension.is_some_and(|(_, end)| EXTENSIONS.iter().any(|known| end.eq_ignore_ascii_case(known)))
}

/// A path that can be shown on any terminal: control characters, and those that turn the writing direction, are replaced.
pub(super) fn shown(path: &str) -> String {
    let harmful = |c: char| c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    path.chars().map(|c| if harmful(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_their_ends() {
        for path in ["a.jpg", "a/b.JPEG", "a.b/c d.PnG", "x/y.heic", "./a.gif"] {
            assert!(is_image(path), "{path}");
        }
        for path in ["a.txt", "jpg", "a/b", "a/._b.jpg", "__MACOSX/a.jpg", ".git/a.png", "a.jpg/readme"] {
            assert!(!is_image(path), "{path}");
        }
    }

    #[test]
    fn control_characters_are_not_shown() {
        assert_eq!(shown("a\u{1b}[31m/b\n.jpg"), "a\u{FFFD}[31m/b\u{FFFD}.jpg");
        assert_eq!(shown("\u{202E}gpj.exe"), "\u{FFFD}gpj.exe");
        assert_eq!(shown("çà/日本.jpg"), "çà/日本.jpg");
    }
}
