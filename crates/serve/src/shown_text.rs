//! Text from files and results, as it is shown.

use serde_json::Value;

pub(crate) fn text(value: &Value) -> String {
    visible(value.as_str().unwrap_or_default())
}

/// Replaces invisible characters, but keeps the lines.
pub(crate) fn lines(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}

pub(crate) fn visible(text: &str) -> String {
    artifacts::text::visible(text)
}

pub(crate) fn strings(value: &Value) -> Vec<&str> {
    value.as_array().map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

pub(crate) fn first_upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
