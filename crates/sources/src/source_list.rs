//! The value of `ingest.source`: one source, or several with settings of their own.

use std::collections::BTreeMap;
use std::fmt;

use artifacts::config::OutOfRange;
use artifacts::text::dataset_name;
use artifacts::{Label, Split, names};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// One or several sources. In a pipeline file it is a text, or a list of texts and tables:
/// `source = ["photos", { source = "sdxl", label = "fake" }]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceList(Vec<SourcePart>);

/// One of several sources. The keys that are set here take precedence over those of `[ingest]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourcePart {
    /// The source: a folder, a `.zip`, a `.csv`, a `.parquet`, `kaggle:owner/slug[@version]`,
    /// `hf:datasets/owner/name[/folder][@revision]` or `simulated:` with parameters.
    pub source: String,
    /// The label of all its images, whatever the names of folders and cells are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// Labels by the name of a folder or cell, in addition to `ingest.labels`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Label>,
    /// The generator of all its fakes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<String>,
    /// Its column of labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_column: Option<String>,
    /// Splits by the name of a folder or cell, in addition to `ingest.splits`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub splits: BTreeMap<String, Split>,
    /// The split of all its images, whatever the names of folders and cells are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// The share of its images that is used, chosen by content hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

impl SourcePart {
    fn named(source: impl Into<String>) -> SourcePart {
        SourcePart { source: source.into(), ..SourcePart::default() }
    }

    /// Whether there are no settings beside the source.
    fn is_plain(&self) -> bool {
        *self == SourcePart::named(self.source.clone())
    }
}

impl SourceList {
    /// The sources, in their order.
    pub fn parts(&self) -> &[SourcePart] {
        &self.0
    }

    /// Returns the source if there is only one and it has no settings of its own.
    pub fn single(&self) -> Option<&str> {
        match &self.0[..] {
            [part] if part.is_plain() => Some(&part.source),
            _ => None,
        }
    }

    /// Checks that there is a source, and the ranges of its settings.
    ///
    /// # Errors
    /// The first value that is out of range.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        let error = |key, value: &dyn fmt::Display, range| Err(OutOfRange::new(names::INGEST, key, value, range));
        if self.0.is_empty() || self.0.iter().any(|part| part.source.trim().is_empty()) {
            let range = "a folder, a .zip, a .csv, a .parquet, kaggle:owner/slug, hf:datasets/owner/name or \
                         simulated:, or a list of them";
            return error("source", &"empty", range);
        }
        match self.0.iter().filter_map(|part| part.share).find(|share| !(*share > 0.0 && *share <= 1.0)) {
            Some(share) => error("source.share", &share, "greater than 0 and at most 1"),
            None => Ok(()),
        }
    }

    /// Returns a different name for each source, for the paths of its images.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for part in &self.0 {
            let name = if part.source.starts_with("simulated:") {
                "simulated".to_owned()
            } else {
                Some(dataset_name(&part.source))
                    .filter(|name| !matches!(&name[..], "" | "." | ".."))
                    .unwrap_or("source".to_owned())
            };
            let numbered = (2..).map(|number| format!("{name}-{number}"));
            let free = std::iter::once(name.clone()).chain(numbered).find(|name| !names.contains(name));
            names.push(free.unwrap_or(name));
        }
        names
    }
}

/// A single source as configured; several by their names: `photos + sdxl`.
impl fmt::Display for SourceList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [part] => f.write_str(&part.source),
            _ => f.write_str(&self.names().join(" + ")),
        }
    }
}

impl From<&str> for SourceList {
    fn from(source: &str) -> SourceList {
        SourceList(vec![SourcePart::named(source)])
    }
}

impl From<String> for SourceList {
    fn from(source: String) -> SourceList {
        SourceList(vec![SourcePart::named(source)])
    }
}

impl From<Vec<SourcePart>> for SourceList {
    fn from(parts: Vec<SourcePart>) -> SourceList {
        SourceList(parts)
    }
}

impl Serialize for SourceList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// A source in a list.
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Item<'a> {
            Text(&'a str),
            Table(&'a SourcePart),
        }
        match self.0.is_empty() {
            true => serializer.serialize_str(""),
            false => match self.single() {
                Some(source) => serializer.serialize_str(source),
                None => serializer.collect_seq(self.0.iter().map(|part| match part.is_plain() {
                    true => Item::Text(&part.source),
                    false => Item::Table(part),
                })),
            },
        }
    }
}

impl<'de> Deserialize<'de> for SourceList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SourceList, D::Error> {
        /// Reads a text, or a list of texts and tables.
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = SourceList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a source or a list of sources")
            }

            fn visit_str<E: Error>(self, source: &str) -> Result<SourceList, E> {
                Ok(source.into())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<SourceList, A::Error> {
                let mut parts = Vec::new();
                while let Some(Item(part)) = items.next_element()? {
                    parts.push(part);
                }
                Ok(SourceList(parts))
            }
        }

        deserializer.deserialize_any(List)
    }
}

/// A source in a list.
struct Item(SourcePart);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Item, D::Error> {
        /// Reads a text or a table.
        struct TextOrTable;

        impl<'de> Visitor<'de> for TextOrTable {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a source, or a table with the key `source`")
            }

            fn visit_str<E: Error>(self, source: &str) -> Result<Item, E> {
                Ok(Item(SourcePart::named(source)))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Item, A::Error> {
                SourcePart::deserialize(MapAccessDeserializer::new(map)).map(Item)
            }
        }

        deserializer.deserialize_any(TextOrTable)
    }
}

impl JsonSchema for SourceList {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SourceList".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let part = generator.subschema_for::<SourcePart>();
        json_schema!({
            "type": ["string", "array"],
            "items": { "anyOf": [{ "type": "string" }, part] },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn list(value: Value) -> Result<SourceList, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn is_written_as_it_was_read() {
        for value in [
            json!("photos"),
            json!(["photos", "fakes.zip"]),
            json!(["photos", { "source": "sdxl", "label": "fake", "split": "test", "share": 0.5 }]),
            json!([{ "source": "photos", "labels": { "a": "real" } }]),
        ] {
            assert_eq!(serde_json::to_value(list(value.clone()).unwrap()).unwrap(), value);
        }
        // A list of one text is that source.
        assert_eq!(list(json!(["photos"])).unwrap(), "photos".into());
    }

    #[test]
    fn errors_name_the_unknown_key() {
        let message = list(json!(["a", { "source": "b", "lable": "fake" }])).unwrap_err();
        assert!(message.contains("unknown field `lable`"), "{message}");
        let message = list(json!([{ "label": "fake" }])).unwrap_err();
        assert!(message.contains("missing field `source`"), "{message}");
        assert!(list(json!(3)).unwrap_err().contains("a source or a list of sources"));
    }

    #[test]
    fn names_differ() {
        let list = list(json!(["a/photos", "b/photos/", "simulated:train=2", ".", "kaggle:o/s"])).unwrap();
        assert_eq!(list.names(), ["photos", "photos-2", "simulated", "source", "kaggle:o/s"]);
        assert_eq!(list.to_string(), "photos + photos-2 + simulated + source + kaggle:o/s");
    }

    #[test]
    fn values_out_of_range_are_found() {
        let error = |value| list(value).unwrap().validate().err().map(|error| error.to_string());
        for empty in [json!(["a", " "]), json!([])] {
            assert!(error(empty).unwrap().starts_with("ingest.source must be a folder"));
        }
        let share = |share: f64| error(json!([{ "source": "a", "share": share }]));
        assert_eq!((share(0.5), share(1.0)), (None, None));
        for value in [0.0, 1.5] {
            assert!(share(value).unwrap().starts_with("ingest.source.share must be greater than 0"));
        }
    }
}
