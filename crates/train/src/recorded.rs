//! The configuration that the manifest of a run records, and its comparison with the current one.

use std::collections::BTreeMap;

use artifacts::RunDir;
use artifacts::hash::Hash;
use artifacts::stage::{KeyChange, Output, Stale, config_changes};
use serde_json::Value;

use crate::config::Config;

/// The artifact of run `k`.
pub(crate) fn output_of_run(run: &RunDir, config: &Config, k: usize) -> Output {
    Output { dir: run.train_run(k), config: config.of_run(k) }
}

/// Returns why this version of the stage must train a run again, or `None` if it is up to date.
pub(crate) fn stale(
    output: &Output,
    inputs: &BTreeMap<String, Hash>,
    version: u32,
) -> Result<Option<Stale>, artifacts::Error> {
    output.stale(inputs, version, changes)
}

/// Lists the keys of a recorded configuration that differ from the current one.
pub(crate) fn changes(recorded: &Value, current: &Value) -> Vec<KeyChange> {
    config_changes::<Config>(recorded, current, upgrade)
}

/// Fills keys that a recorded configuration lacks with their defaults.
///
/// # Errors
/// A value that the current type cannot hold.
pub(crate) fn upgrade(config: &Value) -> serde_json::Result<Value> {
    // The recorded seed is that of the run itself, which is the seed of run 0 in a configuration.
    serde_json::from_value::<Config>(config.clone()).map(|config| config.of_run(0))
}
