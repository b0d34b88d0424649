//! Text from outside, as a file's name, Markdown or YAML. Escaping for HTML and SVG is maud's, for CSV it is in [`crate::table`].

pub(crate) use artifacts::text::visible;

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

#[cfg(test)]
mod tests {
    use super::*;

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
