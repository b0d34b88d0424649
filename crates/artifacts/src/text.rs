//! Sanitising text from outside, such as file names, labels and names of generators, before it is displayed.
//!
//! Escaping for HTML, CSV or JSON does not remove invisible characters, characters that reorder the text around them,
//! terminal control sequences, or characters that XML forbids. This module does.

/// Returns whether a character is invisible, reorders its neighbours, controls a terminal, or is forbidden in XML 1.0.
pub fn is_hazard(c: char) -> bool {
    let invisible = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    // Tags, separators and fillers that fonts draw as nothing or as a space.
    let filler = matches!(
        c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{3164}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    let reorders = matches!(c, '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}');
    c.is_control() || invisible || filler || reorders || matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// Replaces each character for which [`is_hazard`] is true by U+FFFD, the replacement character.
pub fn visible(text: &str) -> String {
    text.chars().map(|c| if is_hazard(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Does the same in each line of a text, and keeps the lines.
pub fn visible_lines(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// Quotes a word of a command for a POSIX shell, if it needs quotes.
pub fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,@%=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Returns the name of a data set: the last part of the path if its source is a folder or file, so that no path of its
/// author is passed on. Other sources, such as `kaggle:owner/slug`, are their own names.
pub fn dataset_name(source: &str) -> String {
    if source.contains(':') && !source.contains(":\\") && !source.starts_with('/') {
        return source.to_owned();
    }
    let last = source.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next();
    last.filter(|name| !name.is_empty()).unwrap_or(source).to_owned()
}

/// Formats a count with commas between thousands.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_data_sets_have_no_folders_of_their_author() {
        for (source, name) in [
            ("/home/a/photos/", "photos"),
            ("../photos.zip", "photos.zip"),
            ("C:\\Users\\a\\photos", "photos"),
            ("kaggle:owner/slug@1", "kaggle:owner/slug@1"),
            ("simulated:train=1,test=1,size=32,seed=0", "simulated:train=1,test=1,size=32,seed=0"),
            ("/", "/"),
        ] {
            assert_eq!(dataset_name(source), name);
        }
    }

    #[test]
    fn replaces_invisible_and_control_characters() {
        assert_eq!(visible("a\u{202e}gpj.exe\n\0b"), "a\u{fffd}gpj.exe\u{fffd}\u{fffd}b");
        assert_eq!(
            visible("a\u{1b}[31m\u{200b}\u{61c}\u{2028}\u{feff}"),
            "a\u{fffd}[31m\u{fffd}\u{fffd}\u{fffd}\u{fffd}"
        );
        assert_eq!(visible("Grüße 写真.jpg"), "Grüße 写真.jpg");
        for filler in ["\u{34f}", "\u{115f}", "\u{1160}", "\u{17b4}", "\u{17b5}", "\u{180e}", "\u{3164}", "\u{ffa0}"] {
            assert_eq!(visible(filler), "\u{fffd}", "{}", filler.escape_unicode());
        }
        assert_eq!(visible("a\u{e0041}\u{e007f}\u{fff9}\u{fffb}b"), "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}b");
    }

    #[test]
    fn keeps_the_lines_of_messages() {
        assert_eq!(visible_lines("`\u{1b}[2J\u{202e}x`\n  advice"), "`\u{fffd}[2J\u{fffd}x`\n  advice");
    }

    #[test]
    fn shell_words_are_quoted_only_if_needed() {
        assert_eq!(shell_word("runs/demo-1"), "runs/demo-1");
        assert_eq!(shell_word("my runs"), "'my runs'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
    }
}
