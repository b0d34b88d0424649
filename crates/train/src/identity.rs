//! The identity of a training: its settings, data, stage version and device. If these are equal, resuming a checkpoint
//! gives the result of an uninterrupted training.

use std::collections::BTreeMap;

use artifacts::hash::{Digest, Hash};
use artifacts::stage::KeyChange;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::Schedule;
use crate::recorded::changes;

/// Settings, data and device of a training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The run's configuration as its manifest records it. Without `epochs` if the learning rate of a step does not
    /// depend on it: more epochs then continue the same training.
    config: Value,
    /// Digests of the inputs.
    inputs: BTreeMap<String, Hash>,
    /// The version of the stage, see [`artifacts::stage::Stage::VERSION`].
    version: u32,
    /// The kind of device, see [`model::device::Device::kind`].
    device: String,
}

/// The identity in a training state of any schema version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum RecordedIdentity {
    /// Since schema version 2.
    Full(Identity),
    /// Schema version 1. Such training states also record the executable, which is ignored.
    Digest {
        /// Digest of inputs and configuration, see [`Identity::schema_1_digest`].
        settings: Hash,
        /// The kind of device, see [`Identity::device`].
        device: String,
    },
}

/// The keys of a run's configuration at the time of schema version 1, without `epochs`.
const SCHEMA_1_KEYS: [&str; 7] = ["allow_missing", "augment", "batch", "learning_rate", "precision", "seed", "weights"];

impl Identity {
    /// Creates the identity of a run whose manifest records `config`.
    pub(crate) fn new(config: &Value, inputs: &BTreeMap<String, Hash>, version: u32, device: &str) -> Identity {
        let mut config = config.clone();
        let depends = config.get("schedule").and_then(Value::as_str).is_some_and(Schedule::depends_on_epochs);
        if let Some(keys) = config.as_object_mut().filter(|_| !depends) {
            keys.remove("epochs");
        }
        Identity { config, inputs: inputs.clone(), version, device: device.to_owned() }
    }

    /// Computes a digest of the training with this number of epochs.
    pub(crate) fn digest(&self, epochs: usize) -> Result<Hash, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        // The order of members depends on a feature of serde_json, which some programs enable.
        value.sort_all_objects();
        let digest = Digest::default().part("identity", value.to_string().as_bytes());
        Ok(digest.part("epochs", &(epochs as u64).to_le_bytes()).finish())
    }

    /// Lists the keys whose values differ in `wanted`.
    fn changes(&self, wanted: &Identity) -> Vec<KeyChange> {
        let mut changes = changes(&self.config, &wanted.config);
        // If neither side has `epochs`, the comparison adds its default to the recorded side.
        if self.config.get("epochs").is_none() && wanted.config.get("epochs").is_none() {
            changes.retain(|change| change.key != "epochs");
        }
        changes
    }

    /// Computes the digest that a training state of schema version 1 has for these settings. Returns `None` if a key
    /// that was added later differs from its default.
    fn schema_1_digest(&self) -> Option<Hash> {
        let keys = self.config.as_object()?;
        let (old, later): (Vec<_>, Vec<_>) = keys.iter().partition(|(key, _)| SCHEMA_1_KEYS.contains(&key.as_str()));
        let default = crate::Config::default().of_run(0);
        if later.into_iter().any(|(key, value)| default.get(key) != Some(value)) {
            return None;
        }
        let mut old: Value = old.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        remove_later_changes(&mut old["augment"], &default["augment"])?;
        let inputs =
            self.inputs.iter().fold(Digest::default(), |digest, (name, hash)| digest.part(name, hash.as_bytes()));
        // The order of members depends on a feature of serde_json, which some programs enable.
        old.sort_all_objects();
        Some(inputs.part("config", old.to_string().as_bytes()).finish())
    }
}

/// Removes the augmentations that were added after schema version 1. Returns `None` if one differs from its default.
fn remove_later_changes(augment: &mut Value, default: &Value) -> Option<()> {
    for key in ["colour", "crop", "cutout", "noise", "rotate", "webp"] {
        let removed = augment.as_object_mut()?.remove(key);
        if removed.as_ref() != default.get(key) {
            return None;
        }
    }
    let times = augment["jpeg"].as_object_mut()?.remove("times");
    (times.as_ref() == default["jpeg"].get("times")).then_some(())
}

impl RecordedIdentity {
    /// Returns whether configuration and inputs equal those of `wanted`.
    pub(crate) fn has_settings_of(&self, wanted: &Identity) -> bool {
        match self {
            RecordedIdentity::Full(found) => found.inputs == wanted.inputs && found.changes(wanted).is_empty(),
            RecordedIdentity::Digest { settings, .. } => wanted.schema_1_digest() == Some(*settings),
        }
    }

    /// Describes how this identity differs from `wanted`. Returns `None` if it does not differ.
    pub(crate) fn difference(&self, wanted: &Identity) -> Option<String> {
        match self {
            RecordedIdentity::Digest { .. } if !self.has_settings_of(wanted) => {
                Some("its configuration or data changed".to_owned())
            }
            RecordedIdentity::Full(found) if !self.has_settings_of(wanted) => {
                let changes = found.changes(wanted);
                let changes = changes.iter().map(KeyChange::to_string).collect::<Vec<_>>().join(", ");
                Some(if changes.is_empty() {
                    "its training images or initial weights changed".to_owned()
                } else {
                    format!("its configuration changed ({changes})")
                })
            }
            _ if self.version() != wanted.version => {
                Some(format!("it was made by version {} of the stage, not {}", self.version(), wanted.version))
            }
            _ if self.device() != wanted.device => {
                Some(format!("it was made on another device ({}, not {})", self.device(), wanted.device))
            }
            _ => None,
        }
    }

    /// Returns whether settings, stage version and device equal those of `wanted`.
    pub(crate) fn matches(&self, wanted: &Identity) -> bool {
        self.has_settings_of(wanted) && self.version() == wanted.version && self.device() == wanted.device
    }

    fn version(&self) -> u32 {
        match self {
            RecordedIdentity::Full(found) => found.version,
            RecordedIdentity::Digest { .. } => 1,
        }
    }

    fn device(&self) -> &str {
        match self {
            RecordedIdentity::Full(Identity { device, .. }) | RecordedIdentity::Digest { device, .. } => device,
        }
    }

    /// Converts the identity of a resumed training to the current form. Keeps the stage version and the device that
    /// began the training.
    pub(crate) fn upgrade(&mut self, wanted: &Identity) {
        *self = RecordedIdentity::Full(Identity {
            version: self.version(),
            device: self.device().to_owned(),
            ..wanted.clone()
        });
    }
}

#[cfg(test)]
impl Identity {
    pub(crate) fn for_test() -> Identity {
        Identity::new(&crate::Config::default().of_run(0), &BTreeMap::new(), 1, "cpu")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Config;

    #[test]
    fn matches_only_equal_settings_version_and_device() {
        let wanted = Identity::for_test();
        let matches = |found: Identity| RecordedIdentity::Full(found).matches(&wanted);
        assert!(matches(wanted.clone()));
        assert!(!matches(Identity { version: wanted.version + 1, ..wanted.clone() }));
        assert!(!matches(Identity { device: "cuda".to_owned(), ..wanted.clone() }));
        let other = Config { batch: 7, ..Config::default() }.of_run(0);
        assert!(!matches(Identity::new(&other, &BTreeMap::new(), 1, "cpu")));
        let inputs = BTreeMap::from([("weights".to_owned(), Hash::of(b""))]);
        assert!(!matches(Identity { inputs, ..wanted.clone() }));
        // More epochs continue the same training.
        let longer = Config { epochs: 99, ..Config::default() }.of_run(0);
        assert!(matches(Identity::new(&longer, &BTreeMap::new(), 1, "cpu")));
    }

    #[test]
    fn fills_keys_that_an_older_program_did_not_record() {
        let mut found = Identity::for_test();
        found.config.as_object_mut().unwrap().remove("augment");
        assert!(RecordedIdentity::Full(found).matches(&Identity::for_test()));
    }

    /// An identity as commit 7cae74c wrote it.
    #[test]
    fn recognises_settings_of_schema_version_1() {
        let wanted = Identity::for_test();
        let recorded: RecordedIdentity = serde_json::from_value(json!({
            "settings": schema_1_settings(),
            "code": { "version": "0.1.0", "executable": Hash::of(b"another program") },
            "device": "cpu",
        }))
        .unwrap();
        assert!(recorded.matches(&wanted));
        let other = Identity::new(&Config { seed: 1, ..Config::default() }.of_run(0), &BTreeMap::new(), 1, "cpu");
        assert!(!recorded.has_settings_of(&other));
        let mut upgraded = recorded;
        upgraded.upgrade(&wanted);
        assert_eq!(upgraded, RecordedIdentity::Full(wanted));
    }

    /// The digest of a configuration as commit 7cae74c computed it.
    fn schema_1_settings() -> Hash {
        let config = concat!(
            r#"{"allow_missing":[],"augment":{"blur":{"probability":0.0,"sigma":[0.0,3.0]},"flip":false,"#,
            r#""jpeg":{"probability":0.0,"quality":[30,100]}},"batch":32,"learning_rate":0.0001,"#,
            r#""precision":"auto","seed":0,"weights":"hf:timm/resnet50.tv_in1k"}"#
        );
        Digest::default().part("config", config.as_bytes()).finish()
    }
}
