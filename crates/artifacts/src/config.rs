//! Configurations of stages: a section of a pipeline file with overrides of single keys.
//!
//! An unknown key is an error that names the key, the file or option that contains it, and the nearest valid key.

mod keys;
mod range;

pub use keys::{Key, Sections, pipeline_schema};
pub use range::OutOfRange;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::names;

/// Errors of a configuration. Only the user can correct them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The pipeline file cannot be read.
    #[error("failed to read the pipeline file `{}`", path.display())]
    Unreadable {
        /// The pipeline file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// The pipeline file is not TOML.
    #[error("`{}` is not valid TOML: {source}", path.display())]
    Syntax {
        /// The pipeline file.
        path: PathBuf,
        /// Line, column and reason.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A key that does not exist.
    #[error("unknown key `{key}` in {origin}; {suggestion}")]
    UnknownKey {
        /// The key, with its section.
        key: String,
        /// The file or option that has the key.
        origin: String,
        /// A suggestion: the nearest valid key, or all valid keys if none is near.
        suggestion: String,
    },
    /// A value of the wrong type, or a value that the type does not allow.
    #[error("bad value in {origin}: {detail}")]
    BadValue {
        /// The file, with a mention of the overrides if there are any.
        origin: String,
        /// Key and reason.
        detail: String,
    },
    /// An override that is not `section.key=value`.
    #[error("`--set {given}` is not of the form SECTION.KEY=VALUE, e.g. --set train.epochs=2")]
    Override {
        /// The override as given.
        given: String,
    },
}

/// A value from the command line for one key of a pipeline file.
#[derive(Clone, Debug)]
pub struct Override {
    /// Section and key: `["train", "epochs"]`.
    path: Vec<String>,
    value: toml::Value,
    /// The value as written, for keys that accept only text: `2024`. `None` if `value` is text already.
    text: Option<String>,
    /// The option as written, for errors.
    origin: String,
}

impl Override {
    /// Parses `train.epochs=2`. The key may be quoted as in TOML: `ingest.labels."a=b"=fake`. A value that is not valid
    /// TOML is read as text, and so is the value of a key that accepts only text (`report.title=2024`). Quotes are
    /// rarely needed.
    pub fn parse(given: &str) -> Result<Override, Error> {
        let bad = || Error::Override { given: given.to_owned() };
        let (key, text) = split_key(given).ok_or_else(bad)?;
        let path = toml_key(key).unwrap_or_else(|| key.trim().split('.').map(str::to_owned).collect());
        if path.len() < 2 || path.iter().any(String::is_empty) {
            return Err(bad());
        }
        let value = format!("value = {text}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("value"));
        let origin = format!("--set {given}");
        Ok(match value {
            None => Override { path, value: text.into(), text: None, origin },
            Some(value) => {
                // A list or table with a mistake is not the text of a path.
                let is_scalar = !value.is_str() && !value.is_array() && !value.is_table();
                Override { path, text: is_scalar.then(|| text.to_owned()), value, origin }
            }
        })
    }

    /// Creates the override for an option of a stage, such as `--ckpt last`.
    pub fn of_option(section: &str, key: &str, value: impl Into<toml::Value>, option: &str) -> Override {
        Override {
            path: vec![section.to_owned(), key.to_owned()],
            value: value.into(),
            text: None,
            origin: option.to_owned(),
        }
    }

    /// The section of the key: `train`.
    pub fn section(&self) -> &str {
        &self.path[0]
    }
}

/// Splits at the first `=` outside quotes.
fn split_key(given: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, c) in given.char_indices() {
        match (quote, c) {
            (None, '=') => return Some((&given[..at], &given[at + 1..])),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            _ => {}
        }
    }
    // Treat an unmatched quote as an ordinary character.
    given.split_once('=')
}

/// Splits a dotted key as TOML does. Returns `None` if the key is not valid TOML.
fn toml_key(key: &str) -> Option<Vec<String>> {
    let mut table: toml::Table = format!("{key} = 0").parse().ok()?;
    let mut path = Vec::new();
    loop {
        let (key, value) = table.into_iter().next()?;
        path.push(key);
        match value {
            toml::Value::Table(inner) => table = inner,
            _ => return Some(path),
        }
    }
}

/// Reads one stage's section of a pipeline file, with the sections that are keys of its configuration (see
/// [`names::SECTIONS`]), and applies the overrides for it.
///
/// Without a file the configuration starts from its defaults. Sections of other stages are ignored; a section of no
/// stage is an error.
pub fn load<C>(file: Option<&Path>, section: &str, overrides: &[Override]) -> Result<C, Error>
where
    C: Serialize + DeserializeOwned + Default,
{
    let origin = file.map_or("the defaults".to_owned(), |path| format!("`{}`", path.display()));
    let mut document = file.map(read).transpose()?.unwrap_or_default();
    check_sections(&document, &origin, overrides)?;
    let mut table = |section: &str| match document.remove(section) {
        None => Ok(toml::Table::new()),
        Some(toml::Value::Table(table)) => Ok(table),
        Some(_) => {
            Err(Error::BadValue { origin: origin.clone(), detail: format!("`{section}` must be a table: [{section}]") })
        }
    };
    let known = serde_json::to_value(C::default()).unwrap_or_default();
    let nested: Vec<&str> = names::nested_sections(section).filter(|nested| known.get(*nested).is_some()).collect();
    // A section such as `[model]` has one place in a file, and is not a key of the stage's own section there.
    let mut own = known.clone();
    if let Some(own) = own.as_object_mut() {
        nested.iter().for_each(|nested| drop(own.remove(*nested)));
    }
    let mut config = table(section)?;
    check_keys(&config, &own, section, &origin)?;
    for nested in &nested {
        let inner = table(nested)?;
        check_keys(&inner, &known[*nested], nested, &origin)?;
        if !inner.is_empty() {
            config.insert((*nested).to_owned(), toml::Value::Table(inner));
        }
    }
    for item in overrides {
        if item.section() == section {
            config = apply_override::<C>(&config, item, &own)?;
        } else if nested.contains(&item.section()) {
            config = apply_override::<C>(&config, item, &known[item.section()])?;
        }
    }
    let table = config;
    toml::Value::Table(table).try_into().map_err(|e: toml::de::Error| Error::BadValue {
        origin: if overrides.is_empty() { origin } else { format!("{origin} with its --set overrides") },
        detail: format!("[{section}] {}", e.to_string().trim()),
    })
}

/// Reads a pipeline file without checking it.
pub fn read(path: &Path) -> Result<toml::Table, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    text.parse().map_err(|e| Error::Syntax { path: path.to_owned(), source: Box::new(e) })
}

fn check_sections(document: &toml::Table, origin: &str, overrides: &[Override]) -> Result<(), Error> {
    let from_file = document.keys().map(|key| (key.as_str(), origin));
    let from_overrides = overrides.iter().map(|item| (item.section(), item.origin.as_str()));
    for (section, origin) in from_file.chain(from_overrides) {
        if names::stage_of_section(section).is_none() {
            return Err(Error::UnknownKey {
                key: section.to_owned(),
                origin: origin.to_owned(),
                suggestion: suggestion(section, "", &names::SECTIONS.map(|(section, _)| section)),
            });
        }
    }
    Ok(())
}

/// Checks that the default configuration `known` has each given key. An empty object in `known` is a map that accepts
/// any key, such as the label names of ingest; null is an optional value.
fn check_keys(given: &toml::Table, known: &Value, prefix: &str, origin: &str) -> Result<(), Error> {
    let Some(known) = known.as_object().filter(|known| !known.is_empty()) else {
        return Ok(());
    };
    for (key, value) in given {
        let Some(inner) = known.get(key) else {
            return Err(Error::UnknownKey {
                key: format!("{prefix}.{key}"),
                origin: origin.to_owned(),
                suggestion: suggestion(
                    key,
                    &format!("{prefix}."),
                    &known.keys().map(String::as_str).collect::<Vec<_>>(),
                ),
            });
        };
        if let toml::Value::Table(table) = value {
            check_keys(table, inner, &format!("{prefix}.{key}"), origin)?;
        }
    }
    Ok(())
}

/// Applies an override. The value is read as TOML, or as text if only the text gives a valid configuration.
fn apply_override<C: DeserializeOwned>(
    table: &toml::Table,
    item: &Override,
    known: &Value,
) -> Result<toml::Table, Error> {
    let fits = |table: &toml::Table| toml::Value::Table(table.clone()).try_into::<C>().is_ok();
    let as_toml = with_value(table, item, &item.value, known)?;
    let Some(text) = item.text.as_ref().filter(|_| !fits(&as_toml)) else {
        return Ok(as_toml);
    };
    let as_text = with_value(table, item, &toml::Value::String(text.clone()), known)?;
    Ok(if fits(&as_text) { as_text } else { as_toml })
}

/// Returns a copy of `table`, the configuration of a stage, in which the key of an override has the value `value`.
/// `known` has the valid keys of the override's section.
fn with_value(table: &toml::Table, item: &Override, value: &toml::Value, known: &Value) -> Result<toml::Table, Error> {
    let mut table = table.clone();
    // The override as a nested table: {"labels": {"car": "real"}}.
    let nested = join_free_keys(&item.path[1..], known)
        .into_iter()
        .rev()
        .fold(value.clone(), |value, key| toml::Value::Table(toml::Table::from_iter([(key, value)])));
    if let toml::Value::Table(nested) = nested {
        check_keys(&nested, known, item.section(), &item.origin)?;
        let section = item.section().to_owned();
        let is_nested = names::stage_of_section(&section).is_some_and(|stage| stage != section);
        let nested = if is_nested { toml::Table::from_iter([(section, toml::Value::Table(nested))]) } else { nested };
        merge(&mut table, nested);
    }
    Ok(table)
}

/// Joins the parts of a path that lie in a map that accepts any key: `labels.sdv1.4` is the key `sdv1.4` of `labels`.
fn join_free_keys(path: &[String], mut known: &Value) -> Vec<String> {
    for (depth, key) in path.iter().enumerate() {
        if known.as_object().is_some_and(serde_json::Map::is_empty) {
            return [&path[..depth], &[path[depth..].join(".")]].concat();
        }
        known = known.get(key).unwrap_or(&Value::Null);
    }
    path.to_vec()
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// Suggests valid keys for the unknown `key`; `known` lists the valid ones below `prefix`.
fn suggestion(key: &str, prefix: &str, known: &[&str]) -> String {
    let similar = known.iter().map(|candidate| (strsim::jaro_winkler(key, candidate), candidate));
    let nearest = similar.filter(|(similarity, _)| *similarity > 0.7).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, candidate)) => format!("did you mean `{prefix}{candidate}`?"),
        None => format!("valid keys are {prefix}{}", known.join(&format!(", {prefix}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        epochs: usize,
        weights: Option<String>,
        labels: BTreeMap<String, String>,
    }

    impl Default for Config {
        fn default() -> Self {
            Config { epochs: 60, weights: None, labels: BTreeMap::new() }
        }
    }

    fn load_text(text: &str, sets: &[&str]) -> Result<Config, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.toml");
        fs::write(&path, text).unwrap();
        let overrides = sets.iter().map(|set| Override::parse(set)).collect::<Result<Vec<_>, _>>()?;
        load(Some(&path), "train", &overrides)
    }

    #[test]
    fn file_overrides_defaults_and_set_overrides_file() {
        let config = load_text("[train]\nepochs = 3\n[ingest]\nsource = 'x'", &["train.weights=hf:a/b"]).unwrap();
        assert_eq!((config.epochs, config.weights.as_deref()), (3, Some("hf:a/b")));
        assert_eq!(load_text("[train]\nepochs = 3", &["train.epochs=4", "ingest.size=9"]).unwrap().epochs, 4);
    }

    #[test]
    fn map_accepts_any_key() {
        let config = load_text("[train.labels]\nsdxl = 'fake'", &["train.labels.photo=real"]).unwrap();
        assert_eq!(config.labels["photo"], "real");
        assert_eq!(config.labels["sdxl"], "fake");
        // Dots, quotes, blanks and `=` in a name.
        for (set, name) in [
            ("train.labels.sdv1.4=fake", "sdv1.4"),
            (r#"train.labels."sdv1.4"=fake"#, "sdv1.4"),
            (r#"train.labels."a=b"=fake"#, "a=b"),
            ("train.labels.stable diffusion=fake", "stable diffusion"),
            ("train.labels.o'hara=fake", "o'hara"),
        ] {
            let labels = load_text("", &[set]).unwrap().labels;
            assert_eq!(labels.get(name).map(String::as_str), Some("fake"), "{set}: {labels:?}");
        }
    }

    #[test]
    fn number_is_text_if_key_accepts_only_text() {
        let config = load_text("", &["train.weights=2024", "train.epochs=7", "train.labels.a=1.5"]).unwrap();
        assert_eq!((config.weights.as_deref(), config.epochs), (Some("2024"), 7));
        assert_eq!(config.labels["a"], "1.5");
        assert!(load_text("", &["train.epochs=2.5"]).unwrap_err().to_string().contains("epochs"));
    }

    #[test]
    fn unknown_key_is_reported_with_origin_and_suggestion() {
        let message = load_text("[train]\nepoch = 3", &[]).unwrap_err().to_string();
        for part in ["train.epoch`", "p.toml", "train.epochs"] {
            assert!(message.contains(part), "{message}");
        }
        let message = load_text("", &["train.wieghts=none"]).unwrap_err().to_string();
        for part in ["train.wieghts", "--set", "train.weights"] {
            assert!(message.contains(part), "{message}");
        }
        let message = load_text("[trian]\nepochs = 3", &[]).unwrap_err().to_string();
        assert!(message.contains("`train`"), "{message}");
    }

    #[test]
    fn wrong_type_is_reported_with_key() {
        let message = load_text("[train]\nepochs = 'many'", &[]).unwrap_err().to_string();
        assert!(message.contains("epochs") && message.contains("p.toml"), "{message}");
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct WithModel {
        epochs: usize,
        model: Model,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Model {
        branches: Vec<String>,
        hidden: usize,
    }

    #[test]
    fn section_of_the_detector_is_a_key_of_train() {
        let load_text = |text: &str, sets: &[&str]| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("p.toml");
            fs::write(&path, text).unwrap();
            let overrides: Vec<Override> = sets.iter().map(|set| Override::parse(set).unwrap()).collect();
            load::<WithModel>(Some(&path), "train", &overrides)
        };
        let config = load_text("[train]\nepochs = 3\n[model]\nbranches = ['vit']", &["model.hidden=8"]).unwrap();
        let model = Model { branches: vec!["vit".to_owned()], hidden: 8 };
        assert_eq!(config, WithModel { epochs: 3, model });
        for (text, sets, key) in [
            ("[model]\nhiden = 1", &[][..], "`model.hiden`"),
            ("", &["model.hiden=1"], "`model.hiden`"),
            ("[train.model]\nhidden = 1", &[], "`train.model`"),
            ("", &["train.model.hidden=1"], "`train.model`"),
        ] {
            let message = load_text(text, sets).unwrap_err().to_string();
            assert!(message.contains(key), "{message}");
        }
    }

    #[test]
    fn rejects_override_without_section() {
        assert!(matches!(load_text("", &["epochs=3"]), Err(Error::Override { .. })));
        assert!(matches!(load_text("", &["train.epochs"]), Err(Error::Override { .. })));
    }
}
