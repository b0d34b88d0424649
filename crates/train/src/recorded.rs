//! The configuration that the manifest of a run records, and its comparison with the current one.

use std::collections::BTreeMap;

use artifacts::RunDir;
use artifacts::hash::Hash;
use artifacts::stage::{KeyChange, Output, Stale, config_changes};
use serde_json::Value;

use crate::config::Config;

/// Returns the artifact of run `k`, with the configuration that its manifest should record.
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

/// Adds keys that a recorded configuration lacks, with their defaults.
///
/// # Errors
/// The current type cannot hold a recorded value.
pub(crate) fn upgrade(config: &Value) -> serde_json::Result<Value> {
    // The recorded seed already is the seed of the run, so `of_run(0)`, which adds 0, keeps it.
    serde_json::from_value::<Config>(config.clone()).map(|config| config.of_run(0))
}
