//! The decision whether an artifact on disk is up to date.
//!
//! An artifact is stale if the version of its stage, its configuration or one of its inputs differs, or if its outputs are
//! damaged. Nothing else counts; in particular not the executable.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::hash::Hash;
use crate::manifest::Manifest;
use crate::stage::{Stage, to_json};
use crate::{Error, Result};

/// One artifact of a stage, and the configuration that its manifest records.
#[derive(Clone, Debug)]
pub struct Output {
    /// The artifact's folder.
    pub dir: PathBuf,
    /// The `config` of the manifest of an up-to-date artifact.
    pub config: Value,
}

/// Why an artifact must be made again.
#[derive(Clone, Debug, PartialEq)]
pub enum Stale {
    /// There is no complete artifact of this name.
    Incomplete(String),
    /// The manifest cannot be read. The artifact is made again after a disk error or an edit.
    UnreadableManifest(String),
    /// Keys of the configuration differ.
    Config(Vec<KeyChange>),
    /// The input of this name differs.
    Input(String),
    /// The artifact was made by another version of the stage.
    Version {
        /// The version that made it.
        old: u32,
        /// The current version.
        new: u32,
    },
    /// An output is missing or has another length.
    Damaged(String),
}

/// A key of a configuration whose recorded value differs from the current one.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyChange {
    /// The key without its section: `epochs`, `augment.jpeg.probability`.
    pub key: String,
    /// The recorded value; none if the key was not recorded.
    pub old: Option<Value>,
    /// The current value; none if the key no longer exists.
    pub new: Option<Value>,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stale::Incomplete(name) => write!(f, "there is no complete `{name}` yet"),
            Stale::UnreadableManifest(error) => f.write_str(error),
            Stale::Config(changes) => {
                let changes: Vec<String> = changes.iter().map(KeyChange::to_string).collect();
                write!(f, "its configuration changed ({})", changes.join(", "))
            }
            Stale::Input(name) => write!(f, "its input `{name}` changed"),
            Stale::Version { old, new } => {
                write!(f, "it was made by version {old} of the stage, and version {new} gives other results")
            }
            Stale::Damaged(detail) => write!(f, "its output is damaged: {detail}"),
        }
    }
}

impl fmt::Display for KeyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeyChange { key, old, new } = self;
        match (old, new) {
            (Some(old), Some(new)) => write!(f, "{key}: {old} -> {new}"),
            (None, Some(new)) => write!(f, "{key}: {new} is new"),
            (Some(old), None) => write!(f, "{key}: {old} is gone"),
            (None, None) => f.write_str(key),
        }
    }
}

impl Output {
    /// Returns why the artifact must be made again by this version of the stage `S`, or `None` if it is up to date.
    pub fn stale<S: Stage>(&self, inputs: &BTreeMap<String, Hash>, version: u32) -> Result<Option<Stale>> {
        let manifest = match Manifest::read(&self.dir) {
            Err(error @ Error::Malformed { .. }) => return Ok(Some(Stale::UnreadableManifest(error.to_string()))),
            read => read?,
        };
        let Some(manifest) = manifest else {
            let name = self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Ok(Some(Stale::Incomplete(name)));
        };
        let changes = config_changes::<S>(&manifest.config, &self.config);
        if !changes.is_empty() {
            return Ok(Some(Stale::Config(changes)));
        }
        if let Some(name) = changed_input(&manifest.inputs, inputs) {
            return Ok(Some(Stale::Input(name.to_owned())));
        }
        let old = manifest.code.version;
        if old != version {
            return Ok(Some(Stale::Version { old, new: version }));
        }
        Ok(manifest.find_missing(&self.dir).map(Stale::Damaged))
    }
}

/// Compares the configuration that a manifest of the stage `S` records with the current one.
///
/// A manifest that was written before a key existed is read as if it had the key's default: a newer program with the same
/// settings gives the same result. A recorded key that no longer exists is a difference.
pub fn config_changes<S: Stage>(recorded: &Value, current: &Value) -> Vec<KeyChange> {
    let mut known = recorded.clone();
    let mut changes = Vec::new();
    take_unknown_keys(&mut known, &to_json(&S::Config::default()), "", &mut changes);
    // A value that the current type cannot hold stays as it was recorded, and differs.
    let filled = S::upgrade_config(&known).unwrap_or(known);
    compare(&filled, current, "", &mut changes);
    changes
}

/// Moves keys that the default configuration does not have to `gone`. An empty object in the default configuration is a free
/// map, and null an optional value: their contents are not looked at.
fn take_unknown_keys(config: &mut Value, default: &Value, prefix: &str, gone: &mut Vec<KeyChange>) {
    let Some(default) = default.as_object().filter(|default| !default.is_empty()) else { return };
    let Some(config) = config.as_object_mut() else { return };
    let unknown: Vec<String> = config.keys().filter(|key| !default.contains_key(*key)).cloned().collect();
    for key in unknown {
        gone.push(KeyChange { old: config.remove(&key), key: format!("{prefix}{key}"), new: None });
    }
    for (key, value) in config.iter_mut() {
        take_unknown_keys(value, &default[key], &format!("{prefix}{key}."), gone);
    }
}

/// Lists the keys that differ, those of nested tables by their dotted names.
fn compare(old: &Value, new: &Value, prefix: &str, changes: &mut Vec<KeyChange>) {
    let empty = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty));
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let name = format!("{prefix}{key}");
        match (old.get(key), new.get(key)) {
            (old, new) if old == new => {}
            (Some(old @ Value::Object(_)), Some(new @ Value::Object(_))) => {
                compare(old, new, &format!("{name}."), changes);
            }
            (old, new) => changes.push(KeyChange { key: name, old: old.cloned(), new: new.cloned() }),
        }
    }
}

fn changed_input<'a>(old: &'a BTreeMap<String, Hash>, new: &'a BTreeMap<String, Hash>) -> Option<&'a str> {
    old.keys().chain(new.keys()).find(|name| old.get(*name) != new.get(*name)).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use super::*;
    use crate::stage::{Failure, Job};
    use crate::{Code, RunDir};

    struct Training;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        epochs: usize,
        augment: Augment,
        labels: BTreeMap<String, String>,
    }

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Augment {
        flip: bool,
        blur: f64,
    }

    impl Default for Config {
        fn default() -> Self {
            Config { epochs: 60, augment: Augment::default(), labels: BTreeMap::new() }
        }
    }

    impl Stage for Training {
        const NAME: &'static str = "train";
        const VERSION: u32 = 2;
        type Config = Config;

        fn inputs(_: &RunDir, _: &Config) -> Result<BTreeMap<String, Hash>, Failure> {
            Ok(BTreeMap::new())
        }

        fn run(_: &Job<Config>) -> Result<(), Failure> {
            Ok(())
        }
    }

    fn code(version: u32, executable: &[u8]) -> Code {
        Code { version, program: "1.0.0".to_owned(), executable: Hash::of(executable) }
    }

    fn complete(dir: &Path, config: Value, inputs: &BTreeMap<String, Hash>, code: Code) {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("data"), "content").unwrap();
        let manifest = Manifest::of(dir, "train", code).unwrap();
        Manifest { config, inputs: inputs.clone(), ..manifest }.write(dir).unwrap();
    }

    fn with_epochs(epochs: usize) -> Value {
        to_json(&Config { epochs, ..Config::default() })
    }

    #[test]
    fn finds_changed_configuration_inputs_version_and_damage() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("train");
        let inputs = BTreeMap::from([("ingest".to_owned(), Hash::of(b"shards"))]);
        let stale = |epochs, inputs: &BTreeMap<_, _>| {
            Output { dir: dir.clone(), config: with_epochs(epochs) }
                .stale::<Training>(inputs, Training::VERSION)
                .unwrap()
        };
        let make = |version| complete(&dir, with_epochs(1), &inputs, code(version, b"program"));

        assert_eq!(stale(1, &inputs), Some(Stale::Incomplete("train".to_owned())));
        make(2);
        assert_eq!(stale(1, &inputs), None);
        assert!(stale(2, &inputs).unwrap().to_string().contains("epochs: 1 -> 2"));
        let other = BTreeMap::from([("ingest".to_owned(), Hash::of(b"others"))]);
        assert_eq!(stale(1, &other), Some(Stale::Input("ingest".to_owned())));
        make(1);
        assert_eq!(stale(1, &inputs), Some(Stale::Version { old: 1, new: 2 }));

        fs::write(dir.join("manifest.json"), "").unwrap();
        assert!(matches!(stale(1, &inputs), Some(Stale::UnreadableManifest(_))));
        make(2);
        fs::write(dir.join("data"), "cut").unwrap();
        assert!(stale(1, &inputs).unwrap().to_string().contains("damaged"));
        fs::remove_file(dir.join("data")).unwrap();
        assert!(stale(1, &inputs).unwrap().to_string().contains("missing"));
    }

    #[test]
    fn ignores_another_executable() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("train");
        let output = Output { dir: dir.clone(), config: with_epochs(1) };
        for executable in [&b"program"[..], b"the same with another comment"] {
            complete(&dir, with_epochs(1), &BTreeMap::new(), code(2, executable));
            assert_eq!(output.stale::<Training>(&BTreeMap::new(), Training::VERSION).unwrap(), None);
        }
    }

    #[test]
    fn fills_keys_added_since_with_their_defaults() {
        let current = with_epochs(3);
        let unchanged = |recorded: Value| assert_eq!(config_changes::<Training>(&recorded, &current), []);
        unchanged(current.clone());
        unchanged(json!({ "epochs": 3 }));
        unchanged(json!({ "epochs": 3, "augment": { "flip": false } }));
        let set = to_json(&Config { epochs: 3, augment: Augment { flip: true, blur: 0.5 }, ..Config::default() });
        let changes = config_changes::<Training>(&json!({ "epochs": 3, "augment": { "flip": true } }), &set);
        assert_eq!(changes.iter().map(KeyChange::to_string).collect::<Vec<_>>(), ["augment.blur: 0.0 -> 0.5"]);
    }

    #[test]
    fn names_keys_that_no_longer_exist() {
        let recorded = json!({ "epochs": 3, "momentum": 0.9, "augment": { "rotate": 5 }, "labels": { "x": "fake" } });
        let changes = config_changes::<Training>(&recorded, &with_epochs(3));
        let named: Vec<String> = changes.iter().map(KeyChange::to_string).collect();
        assert_eq!(named, ["momentum: 0.9 is gone", "augment.rotate: 5 is gone", r#"labels.x: "fake" is gone"#]);
    }

    #[test]
    fn names_values_that_are_no_longer_valid() {
        let changes = config_changes::<Training>(&json!({ "epochs": "many" }), &with_epochs(3));
        assert!(changes.iter().any(|change| change.to_string() == r#"epochs: "many" -> 3"#), "{changes:?}");
    }
}
