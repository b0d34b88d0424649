//! Text from outside, made fit to be shown. File names, labels and generators are whatever a data set says they are.
//!
//! Escaping for HTML and SVG is maud's, for CSV it is in [`crate::table`]; here is what no escaping helps against:
//! characters that cannot be seen, that turn the text around them, or that XML cannot hold.

/// The text with every such character replaced by U+FFFD, so that it shows that something was there.
pub(crate) fn visible(text: &str) -> String {
    text.chars().map(|c| if is_hazard(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The last part of a path, as people name a file.
pub(crate) fn file_name(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or(path);
    visible(name)
}

/// The text as a part of a paragraph of Markdown that means itself: no markup, no HTML, no link, no line break.
pub(crate) fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&' | '!' | '$') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// The text as a quoted YAML scalar. A JSON string is one: YAML 1.2, chapter 1.3.
pub(crate) fn yaml(text: &str) -> String {
    serde_json::Value::String(visible(text)).to_string()
}

/// Whether a character hides, reorders its neighbours, or is no character of XML 1.0.
fn is_hazard(c: char) -> bool {
    let hides = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    let reorders = matches!(c, '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}');
    c.is_control() || hides || reorders || matches!(c, '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_made_visible() {
        assert_eq!(visible("a\u{202e}gpj.exe\n\0b"), "a\u{fffd}gpj.exe\u{fffd}\u{fffd}b");
        assert_eq!(visible("Grüße 写真.jpg"), "Grüße 写真.jpg");
    }

    #[test]
    fn a_path_gives_its_file() {
        assert_eq!(file_name("test/fake/a.jpg"), "a.jpg");
        assert_eq!(file_name("archive.zip\\fake\\b.png"), "b.png");
        assert_eq!(file_name("/"), "/");
    }

    #[test]
    fn markdown_means_itself() {
        assert_eq!(markdown("<b>_x_</b> [a](b)\n# c"), "\\<b\\>\\_x\\_\\</b\\> \\[a\\](b)\u{fffd}\\# c");
    }

    #[test]
    fn yaml_stays_one_scalar() {
        assert_eq!(yaml("a: \"b\"\n- c"), "\"a: \\\"b\\\"\u{fffd}- c\"");
    }
}
