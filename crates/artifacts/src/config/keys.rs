//! The keys of a configuration type with their types, defaults, ranges and examples, for `--keys`,
//! `docs/configuration.md` and the JSON schema of pipeline files.
//!
//! They come from the doc comments and the attributes of the fields, by way of the JSON schema that `schemars` derives.
//! `x-range` in the schema describes the allowed values where JSON schema has no words for them.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::names;

/// A key of a pipeline file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Section and key: `train.augment.blur.sigma`.
    pub key: String,
    /// The type: integer, number, text …
    pub kind: String,
    /// The default in TOML, or "not set".
    pub default: String,
    /// The allowed values. Empty if nothing describes them.
    pub range: String,
    /// An example in TOML. Empty if there is none.
    pub example: String,
    /// The key and the example of the table that the key belongs to, if the table is not set by default. The key alone is
    /// not a valid setting then.
    pub table: Option<(String, String)>,
    /// The documentation of the field.
    pub text: String,
}

/// The sections that a stage's configuration type describes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sections {
    /// The JSON schema of each section.
    pub schemas: Map<String, Value>,
    /// All keys, in alphabetical order.
    pub keys: Vec<Key>,
}

impl Sections {
    /// Describes the configuration type of a stage.
    pub fn of<C: JsonSchema + Serialize + Default>(stage: &str) -> Sections {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        });
        let mut schema = settings.into_generator().into_root_schema_for::<C>().to_value();
        let mut defaults = crate::stage::to_json(&C::default());
        let mut sections = Sections { schemas: Map::new(), keys: Vec::new() };
        for nested in names::nested_sections(stage) {
            let of_section = schema["properties"].as_object_mut().and_then(|keys| keys.remove(nested));
            let default = defaults.as_object_mut().and_then(|keys| keys.remove(nested));
            sections.add(nested, of_section.unwrap_or_default(), &default.unwrap_or_default());
        }
        sections.add(stage, schema, &defaults);
        sections
    }

    fn add(&mut self, section: &str, mut schema: Value, defaults: &Value) {
        let mut defaults = defaults.clone();
        // The order of members depends on a feature of serde_json, which some programs enable.
        schema.sort_all_objects();
        defaults.sort_all_objects();
        walk(section, &schema, Some(&defaults), None, &mut self.keys);
        if let Some(keys) = schema.as_object_mut() {
            keys.remove("default");
            keys.remove("title");
        }
        schema.sort_all_objects();
        self.schemas.insert(section.to_owned(), schema);
    }

    /// Returns the keys as text, for `--keys`.
    pub fn describe(&self) -> String {
        let describe = |key: &Key| {
            let Key { key, kind, default, range, example, text, .. } = key;
            let range = if range.is_empty() { String::new() } else { format!("; {range}") };
            format!("{key} = {default}\n    {kind}{range}; for example --set {key}={example}\n    {text}\n")
        };
        self.keys.iter().map(describe).collect::<Vec<_>>().join("\n")
    }
}

/// The JSON schema of a whole pipeline file from the schemas of its sections.
pub fn pipeline_schema(sections: Map<String, Value>) -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A pipeline of Candling",
        "type": "object",
        "additionalProperties": false,
        "properties": sections,
    });
    // The order of members depends on a feature of serde_json, which some programs enable.
    schema.sort_all_objects();
    schema
}

/// Adds the keys of a table. `table` is the key and the example of a table that is not set by default.
fn walk(prefix: &str, schema: &Value, defaults: Option<&Value>, table: Option<(&str, &Value)>, keys: &mut Vec<Key>) {
    let Some(properties) = schema["properties"].as_object() else { return };
    for (name, property) in properties {
        let key = format!("{prefix}.{name}");
        let default = defaults.and_then(|defaults| defaults.get(name)).unwrap_or(&Value::Null);
        let schema = without_null(property);
        let is_table = schema["properties"].is_object();
        if is_table && default.is_object() {
            walk(&key, schema, Some(default), None, keys);
            continue;
        }
        let example = match table {
            Some((_, example)) => example.get(name).unwrap_or(&Value::Null),
            None => property["examples"].get(0).unwrap_or(default),
        };
        keys.push(Key {
            kind: kind(schema),
            default: if default.is_null() { "not set".to_owned() } else { toml_text(default) },
            range: range(property).or_else(|| range(schema)).unwrap_or_default(),
            example: if example.is_null() { String::new() } else { toml_text(example) },
            table: table.map(|(key, example)| (key.to_owned(), toml_text(example))),
            text: text(property),
            key: key.clone(),
        });
        if is_table {
            walk(&key, schema, None, Some((&key, example)), keys);
        }
    }
}

/// Returns the schema of the value of an optional key.
fn without_null(schema: &Value) -> &Value {
    let is_null = |schema: &&Value| schema["type"] == "null";
    let any = schema["anyOf"].as_array();
    any.and_then(|any| any.iter().find(|schema| !is_null(schema))).unwrap_or(schema)
}

fn kind(schema: &Value) -> String {
    let names = match &schema["type"] {
        Value::String(name) => vec![name.as_str()],
        Value::Array(names) => names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect(),
        // The variants of an enumeration.
        _ => vec!["string"],
    };
    let kinds = names.into_iter().map(|name| match name {
        "array" if schema["maxItems"].is_u64() => format!("two of {}", kind(&schema["items"])),
        "array" => format!("list of {}", kind(&schema["items"])),
        "object" => "table".to_owned(),
        "string" => "text".to_owned(),
        name => name.to_owned(),
    });
    kinds.collect::<Vec<_>>().join(" or ")
}

fn range(schema: &Value) -> Option<String> {
    if let Some(range) = schema["x-range"].as_str() {
        return Some(range.to_owned());
    }
    if let Some(names) = variants(schema) {
        return Some(names.join(", "));
    }
    if schema["type"] == "boolean" {
        return Some("true, false".to_owned());
    }
    if schema["properties"].is_object() {
        return Some("a table with the keys below".to_owned());
    }
    match (&schema["minimum"], &schema["maximum"]) {
        (Value::Null, _) => None,
        (low, Value::Null) => Some(format!("at least {}", low.as_f64()?)),
        (low, high) => Some(format!("{} to {}", low.as_f64()?, high.as_f64()?)),
    }
}

/// The names of an enumeration.
fn variants(schema: &Value) -> Option<Vec<String>> {
    let quoted = |name: &Value| name.as_str().map(|name| format!("\"{name}\""));
    if let Some(names) = schema["enum"].as_array() {
        return Some(names.iter().filter_map(quoted).collect());
    }
    let mut names = Vec::new();
    for variant in schema["oneOf"].as_array()? {
        match variant["enum"].as_array() {
            Some(several) => names.extend(several.iter().filter_map(quoted)),
            None => names.extend(quoted(&variant["const"])),
        }
    }
    Some(names)
}

fn text(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns a value as TOML in one line.
fn toml_text(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(toml_text).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{key} = {}", toml_text(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Number(number) if number.is_f64() => {
            let number = number.as_f64().unwrap_or_default();
            // A value of an f32 has many digits as an f64.
            if f64::from(number as f32) == number { format!("{:?}", number as f32) } else { format!("{number:?}") }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kind.
    #[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        /// One.
        #[default]
        First,
        /// Two.
        Second,
    }

    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    struct Inner {
        /// A share.
        #[schemars(range(min = 0.0, max = 1.0))]
        share: f64,
    }

    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    #[serde(default)]
    struct Outer {
        /// A count,
        /// in two lines.
        #[schemars(range(min = 1))]
        count: usize,
        kind: Kind,
        inner: Inner,
        /// Not set.
        #[schemars(extend("examples" = [{"share": 0.5}]))]
        optional: Option<Inner>,
        #[schemars(extend("x-range" = "[low, high]"))]
        pair: [f32; 2],
    }

    impl Default for Outer {
        fn default() -> Outer {
            Outer { count: 3, kind: Kind::First, inner: Inner { share: 0.25 }, optional: None, pair: [0.2, 1.0] }
        }
    }

    #[test]
    fn lists_each_key_with_type_default_range_and_example() {
        let keys = Sections::of::<Outer>("ingest").keys;
        let rows: Vec<[&str; 5]> = keys
            .iter()
            .map(|key| [&key.key, &key.kind, &key.default, &key.range, &key.example].map(|s| s.as_str()))
            .collect();
        assert_eq!(
            rows,
            [
                ["ingest.count", "integer", "3", "at least 1", "3"],
                ["ingest.inner.share", "number", "0.25", "0 to 1", "0.25"],
                ["ingest.kind", "text", "\"first\"", "\"first\", \"second\"", "\"first\""],
                ["ingest.optional", "table", "not set", "a table with the keys below", "{ share = 0.5 }"],
                ["ingest.optional.share", "number", "not set", "0 to 1", "0.5"],
                ["ingest.pair", "two of number", "[0.2, 1.0]", "[low, high]", "[0.2, 1.0]"],
            ]
        );
        assert_eq!(keys[0].text, "A count, in two lines.");
        assert_eq!(keys[4].table, Some(("ingest.optional".to_owned(), "{ share = 0.5 }".to_owned())));
    }
}
