//! Escapes text from data sets, such as file names, for Markdown and YAML. maud escapes HTML and SVG, and
//! [`crate::table`] escapes CSV.

pub(crate) use artifacts::text::visible;

/// Returns the last component of a path, with invisible characters replaced.
pub(crate) fn file_name(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or(path);
    visible(name)
}

/// Shortens a text to at most `max_chars` characters, with an ellipsis in place of the rest. Replaces invisible
/// characters.
pub(crate) fn shortened(text: &str, max_chars: usize) -> String {
    let text = visible(text);
    if text.chars().count() <= max_chars {
        return text;
    }
    text.chars().take(max_chars.saturating_sub(1)).chain(['…']).collect()
}

/// Escapes text for a paragraph of Markdown, so that it contains no markup, HTML, link or line break.
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

/// Quotes text as a YAML scalar. Every JSON string is a YAML scalar: YAML 1.2, chapter 1.3.
pub(crate) fn yaml(text: &str) -> String {
    serde_json::Value::String(visible(text)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortens_long_texts_only() {
        assert_eq!(
            [shortened("abcd", 4), shortened("abcde", 4), shortened("ü\u{0}", 2)],
            ["abcd", "abc…", "ü\u{fffd}"]
        );
    }

    #[test]
    fn file_name_is_the_last_component() {
        assert_eq!(file_name("test/fake/a.jpg"), "a.jpg");
        assert_eq!(file_name("archive.zip\\fake\\b.png"), "b.png");
        assert_eq!(file_name("/"), "/");
    }

    #[test]
    fn escapes_markdown() {
        assert_eq!(markdown("<b>_x_</b> [a](b)\n# c"), "\\<b\\>\\_x\\_\\</b\\> \\[a\\](b)\u{fffd}\\# c");
    }

    #[test]
    fn quotes_yaml_as_one_scalar() {
        assert_eq!(yaml("a: \"b\"\n- c"), "\"a: \\\"b\\\"\u{fffd}- c\"");
    }
}
