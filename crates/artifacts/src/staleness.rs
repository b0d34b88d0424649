//! The decision whether an artifact on disk is up to date.
//!
//! An artifact is stale if the version of its stage, its configuration or one of its inputs differs, or if its outputs
//! are damaged. Nothing else is compared. In particular, the executable is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::hash::Hash;
use crate::manifest::Manifest;
use crate::{Error, Result};

/// One artifact of a stage, and the configuration that its manifest records.
#[derive(Clone, Debug)]
pub struct Output {
    /// The artifact's folder.
    pub dir: PathBuf,
    /// The `config` of the manifest of an up-to-date artifact.
    pub config: Value,
}

/// The reason why an artifact must be made again.
#[derive(Clone, Debug, PartialEq)]
pub enum Stale {
    /// There is no complete artifact of this name.
    Incomplete(String),
    /// The manifest cannot be read, for example after a disk error or an edit.
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
    /// The recorded value; `None` if the key was not recorded.
    pub old: Option<Value>,
    /// The current value; `None` if the key no longer exists.
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
            (None, Some(new)) => write!(f, "{key}: {new} was added"),
            (Some(old), None) => write!(f, "{key}: {old} was removed"),
            (None, None) => f.write_str(key),
        }
    }
}

impl Output {
    /// Returns why this version of the stage must make the artifact again, or `None` if it is up to date. `changes`
    /// compares a recorded configuration with the current one, see [`config_changes`].
    pub fn stale(
        &self,
        inputs: &BTreeMap<String, Hash>,
        version: u32,
        changes: impl Fn(&Value, &Value) -> Vec<KeyChange>,
    ) -> Result<Option<Stale>> {
        let manifest = match Manifest::read(&self.dir) {
            Err(error @ Error::Malformed { .. }) => return Ok(Some(Stale::UnreadableManifest(error.to_string()))),
            read => read?,
        };
        let Some(manifest) = manifest else {
            let name = self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Ok(Some(Stale::Incomplete(name)));
        };
        let changes = changes(&manifest.config, &self.config);
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
        Ok(manifest.find_damage(&self.dir).map(Stale::Damaged))
    }
}

/// Compares a recorded configuration of type `C` with the current one. `upgrade` adds keys that the recorded
/// configuration lacks, with their defaults.
///
/// A manifest that was written before a key existed is treated as if it had the key's default, because the default
/// gives the previous result. A recorded key that no longer exists is a difference.
pub fn config_changes<C: Serialize + Default>(
    recorded: &Value,
    current: &Value,
    upgrade: impl Fn(&Value) -> serde_json::Result<Value>,
) -> Vec<KeyChange> {
    let mut known = recorded.clone();
    let mut changes = Vec::new();
    take_unknown_keys(&mut known, &to_json(&C::default()), "", &mut changes);
    // If the current type cannot hold a recorded value, compare the recorded configuration as it is.
    let filled = upgrade(&known).unwrap_or(known);
    compare(&filled, current, "", &mut changes);
    changes
}

/// Converts a configuration to JSON, the form that manifests hold.
pub fn to_json(config: &impl Serialize) -> Value {
    serde_json::to_value(config).unwrap_or_default()
}

/// Moves keys that the default configuration does not have to `removed`. An empty object in the default configuration
/// is a map that accepts any key, and null is an optional value. Their contents are not checked.
fn take_unknown_keys(config: &mut Value, default: &Value, prefix: &str, removed: &mut Vec<KeyChange>) {
    let Some(default) = default.as_object().filter(|default| !default.is_empty()) else { return };
    let Some(config) = config.as_object_mut() else { return };
    let unknown: Vec<String> = config.keys().filter(|key| !default.contains_key(*key)).cloned().collect();
    for key in unknown {
        removed.push(KeyChange { old: config.remove(&key), key: format!("{prefix}{key}"), new: None });
    }
    for (key, value) in config.iter_mut() {
        take_unknown_keys(value, &default[key], &format!("{prefix}{key}."), removed);
    }
}

/// Appends the keys that differ to `changes`. Keys of nested tables have dotted names.
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

    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::Code;

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

    /// The current version of the stage.
    const VERSION: u32 = 2;

    fn changes(recorded: &Value, current: &Value) -> Vec<KeyChange> {
        let upgrade = |config: &Value| serde_json::from_value::<Config>(config.clone()).map(|config| to_json(&config));
        config_changes::<Config>(recorded, current, upgrade)
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
            Output { dir: dir.clone(), config: with_epochs(epochs) }.stale(inputs, VERSION, changes).unwrap()
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
            assert_eq!(output.stale(&BTreeMap::new(), VERSION, changes).unwrap(), None);
        }
    }

    #[test]
    fn fills_keys_added_since_with_their_defaults() {
        let current = with_epochs(3);
        let unchanged = |recorded: Value| assert_eq!(changes(&recorded, &current), []);
        unchanged(current.clone());
        unchanged(json!({ "epochs": 3 }));
        unchanged(json!({ "epochs": 3, "augment": { "flip": false } }));
        let set = to_json(&Config { epochs: 3, augment: Augment { flip: true, blur: 0.5 }, ..Config::default() });
        let changes = changes(&json!({ "epochs": 3, "augment": { "flip": true } }), &set);
        assert_eq!(changes.iter().map(KeyChange::to_string).collect::<Vec<_>>(), ["augment.blur: 0.0 -> 0.5"]);
    }

    #[test]
    fn names_keys_that_no_longer_exist() {
        let recorded = json!({ "epochs": 3, "momentum": 0.9, "augment": { "rotate": 5 }, "labels": { "x": "fake" } });
        let changes = changes(&recorded, &with_epochs(3));
        let named: Vec<String> = changes.iter().map(KeyChange::to_string).collect();
        assert_eq!(
            named,
            ["momentum: 0.9 was removed", "augment.rotate: 5 was removed", r#"labels.x: "fake" was removed"#]
        );
    }

    #[test]
    fn names_values_that_are_no_longer_valid() {
        let changes = changes(&json!({ "epochs": "many" }), &with_epochs(3));
        assert!(changes.iter().any(|change| change.to_string() == r#"epochs: "many" -> 3"#), "{changes:?}");
    }
}
