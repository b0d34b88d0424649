//! Texts from files, shortened and without characters that control a terminal or hide text.

use artifacts::text::visible;

/// The largest number of characters of a text.
const MAX_CHARS: usize = 500;

/// Returns a text on one line, at most [`MAX_CHARS`] characters long. Hazardous characters are replaced.
pub(crate) fn text(text: &str) -> String {
    let mut line = String::new();
    let mut chars = 0;
    for word in text.split_whitespace() {
        if chars > 0 {
            line.push(' ');
        }
        for c in word.chars() {
            if chars >= MAX_CHARS {
                line.push('…');
                return visible(&line);
            }
            line.push(c);
            chars += 1;
        }
        chars += 1;
    }
    visible(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_one_short_line_without_control_characters() {
        assert_eq!(text(" a\n  cat\u{1b}[31m\u{202e} \r\n"), "a cat\u{fffd}[31m\u{fffd}");
        assert_eq!(text(&"x".repeat(10_000)).chars().count(), MAX_CHARS + 1);
        assert_eq!(text(""), "");
    }
}
