//! Predictions as JSON: one object on each line.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};

use super::cell::Cell;
use super::{OnRow, for_each_line};

/// The largest number of different keys, so that a damaged file cannot fill the memory.
const MAX_KEYS: usize = 1000;

/// Reads a file, once for the keys of its objects and once for their values.
pub(super) fn read(path: &Path, on_row: &mut OnRow<'_>) -> Result<(), String> {
    let mut keys = BTreeSet::new();
    for_each_object(path, |row, object| {
        for key in object.keys().filter(|key| is_value(&object[*key])) {
            if !keys.contains(key) {
                keys.insert(key.clone());
            }
        }
        if keys.len() > MAX_KEYS {
            Err(format!("row {row}: there are more than {MAX_KEYS} different keys"))
        } else {
            Ok(())
        }
    })?;
    let names: Vec<String> = keys.into_iter().collect();
    for_each_object(path, |row, object| {
        let cells: Vec<Cell> = names.iter().map(|name| object.get(name).map_or(Cell::Empty, cell)).collect();
        on_row(&names, row, &cells)
    })
}

fn for_each_object(
    path: &Path,
    mut on_object: impl FnMut(u64, &Map<String, Value>) -> Result<(), String>,
) -> Result<(), String> {
    let mut row = 0;
    for_each_line(path, |line| {
        row += 1;
        // Python writes NaN and Infinity, which JSON does not have.
        let parsed =
            serde_json::from_str(line).or_else(|error| match line.contains("NaN") || line.contains("Infinity") {
                true => serde_json::from_str(&without_nan(line)).map_err(|_| error),
                false => Err(error),
            });
        let object: Map<String, Value> = parsed.map_err(|e| format!("row {row} is not a JSON object: {e}"))?;
        on_object(row, &object)
    })
}

/// Replaces the words NaN and Infinity outside texts by null.
fn without_nan(line: &str) -> String {
    let mut result = String::with_capacity(line.len());
    let (mut in_text, mut escaped) = (false, false);
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| !in_text && rest.starts_with(word));
        if let Some(word) = word {
            result.push_str("null");
            rest = &rest[word.len()..];
            continue;
        }
        in_text ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        result.push(c);
        rest = &rest[c.len_utf8()..];
    }
    result
}

/// Whether a value can be a cell. Nested values are ignored.
fn is_value(value: &Value) -> bool {
    !matches!(cell(value), Cell::Empty) || value.is_null()
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::String(text) => Cell::Text(text.clone()),
        Value::Bool(flag) => Cell::Number(f64::from(u8::from(*flag))),
        Value::Number(number) => number.as_f64().map_or(Cell::Empty, Cell::Number),
        Value::Array(values) => match values.as_slice() {
            [one] => cell(one),
            [real, fake] => match (real.as_f64(), fake.as_f64()) {
                (Some(real), Some(fake)) => Cell::Pair([real, fake]),
                _ => Cell::Empty,
            },
            _ => Cell::Empty,
        },
        Value::Null | Value::Object(_) => Cell::Empty,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_nan_outside_texts() {
        assert_eq!(
            without_nan(r#"{"a": NaN, "b": "NaN\"", "c": -Infinity}"#),
            r#"{"a": null, "b": "NaN\"", "c": null}"#
        );
    }

    #[test]
    fn two_numbers_are_a_pair() {
        assert_eq!(cell(&serde_json::json!([1, 2.5])), Cell::Pair([1.0, 2.5]));
        assert_eq!(cell(&serde_json::json!([0.25])), Cell::Number(0.25));
        assert_eq!(cell(&serde_json::json!({"a": 1})), Cell::Empty);
        assert_eq!(cell(&serde_json::json!(true)), Cell::Number(1.0));
    }
}
