//! Warnings, before the stage starts, about trainings that it will continue, set aside or leave out. Where one is set
//! aside, the warning gives the reason, the cost of the training, and how to keep or restore it.

use std::collections::BTreeMap;
use std::path::Path;

use artifacts::command;
use artifacts::hash::Hash;
use artifacts::stage::{Failure, KeyChange, Output, Stale, Warning};
use artifacts::text::shell_word;
use artifacts::{Manifest, RunDir, atomic};
use serde_json::Value;

use crate::backup;
use crate::checkpoint::{SavedTraining, TrainingPosition};
use crate::config::Config;
use crate::error::Error;
use crate::folder::{RunRequest, folders_to_set_aside, has_training};
use crate::identity::Identity;
use crate::recorded::{self, output_of_run};

/// Returns the warnings of [`artifacts::stage::Stage::warnings`] for this version of the stage.
pub(crate) fn warnings(
    run: &RunDir,
    config: &Config,
    inputs: Option<&BTreeMap<String, Hash>>,
    version: u32,
    force: bool,
) -> Result<Vec<Warning>, Failure> {
    let execution = Execution { run, config, inputs, version, force };
    let mut warnings = Vec::new();
    let mut stage_runs = force;
    for k in 0..config.runs {
        let output = output_of_run(run, config, k);
        stage_runs |= execution.stale(&output)?.is_some();
        if [&output.dir, &atomic::hidden_sibling(&output.dir, "next")].iter().any(|folder| has_training(folder)) {
            warnings.extend(execution.warnings_of_run(&output, k)?);
        }
    }
    for k in config.runs.. {
        let output = output_of_run(run, config, k);
        if !output.dir.exists() {
            break;
        }
        let stale = execution.stale(&output)?.filter(|_| stage_runs);
        warnings.extend(execution.warning_of_surplus_run(&output, k, stale.as_ref()));
    }
    Ok(warnings)
}

/// A planned execution of the stage.
struct Execution<'a> {
    run: &'a RunDir,
    config: &'a Config,
    /// Digests of the inputs; `None` if an earlier stage has not made them yet.
    inputs: Option<&'a BTreeMap<String, Hash>>,
    version: u32,
    force: bool,
}

impl Execution<'_> {
    /// Returns why an artifact is stale. Returns `None` if it is up to date or the inputs are unknown.
    fn stale(&self, output: &Output) -> Result<Option<Stale>, artifacts::Error> {
        self.inputs.map_or(Ok(None), |inputs| recorded::stale(output, inputs, self.version))
    }

    /// Returns the warnings about run `k`, which is below `train.runs` and has a training on disk.
    fn warnings_of_run(&self, output: &Output, k: usize) -> Result<Vec<Warning>, Failure> {
        let Execution { run, config, inputs, version, force } = *self;
        let target = &output.dir;
        let mut warnings = Vec::new();
        let stale = self.stale(output)?;
        if let Some(inputs) = inputs.filter(|_| stale.is_some() || force) {
            let device = config.device.open(config.precision).map_err(|error| Error::Model(error.into()))?;
            let identity = Identity::new(&output.config, inputs, version, device.kind());
            let request = RunRequest { identity: &identity, epochs: config.epochs, force };
            let folders = folders_to_set_aside(target, request);
            for (folder, backup) in folders.iter().zip(backup::free_names(target)) {
                let (reason, undo) = reason(run, folder, k, stale.as_ref(), request);
                warnings.push(certain_warning(backup::replacement_warning(
                    target,
                    folder,
                    &backup,
                    &reason,
                    undo.as_deref(),
                )));
            }
            if let Some(position) = continued(target, request).filter(|_| folders.is_empty()) {
                // The position counts epochs from 1.
                let (done, epochs) = (position.epoch - 1, config.epochs);
                warnings.push(certain_warning(format!("train: run-{k} continues: {done} of {epochs} epochs are done")));
            }
            if folders.contains(target) {
                return Ok(warnings);
            }
        }
        if has_training(target) {
            let text = backup::replacement_warning(
                target,
                target,
                &backup::free_name(target),
                "its training images changed",
                None,
            );
            let text = text.replacen("train: ", "train: if ingest gives other images than before, ", 1);
            warnings.push(Warning { only_if_inputs_change: true, text });
        }
        Ok(warnings)
    }

    /// Returns the warning about run `k`, which is not below `train.runs`. `stale` is the reason why the stage will set
    /// it aside, or `None` if the run stays.
    fn warning_of_surplus_run(&self, output: &Output, k: usize, stale: Option<&Stale>) -> Option<Warning> {
        let (target, runs) = (&output.dir, self.config.runs);
        match stale {
            Some(stale) => has_training(target).then(|| {
                let reason = format!("it is beyond train.runs = {runs}, and {stale}");
                let undo = undo_command(self.run, k, stale);
                certain_warning(backup::replacement_warning(
                    target,
                    target,
                    &backup::free_name(target),
                    &reason,
                    undo.as_deref(),
                ))
            }),
            None => Some(certain_warning(format!(
                "train: `{}` is left out of evaluate and report, because train.runs is {runs}; set train.runs={} to \
                 include it",
                target.display(),
                k + 1
            ))),
        }
    }
}

/// Returns the position of a training on disk that the requested one continues.
fn continued(target: &Path, request: RunRequest<'_>) -> Option<TrainingPosition> {
    let is_same = |position: &TrainingPosition| position.identity.difference(request.identity).is_none();
    let folders = [atomic::hidden_sibling(target, "next"), target.to_owned()];
    folders.iter().find_map(|folder| SavedTraining::peek(folder).filter(is_same)).filter(|_| !request.force)
}

fn certain_warning(text: String) -> Warning {
    Warning { only_if_inputs_change: false, text }
}

/// Returns why `folder` is set aside, and a command that avoids this, if there is one. `stale` is the reason why the
/// complete artifact is stale, or `None` if it is up to date.
fn reason(
    run: &RunDir,
    folder: &Path,
    k: usize,
    stale: Option<&Stale>,
    request: RunRequest<'_>,
) -> (String, Option<String>) {
    let difference = || SavedTraining::peek(folder).and_then(|position| position.identity.difference(request.identity));
    let is_complete = Manifest::read(folder).is_ok_and(|manifest| manifest.is_some());
    match stale.filter(|_| is_complete) {
        Some(stale) => {
            let undo = undo_command(run, k, stale);
            // A changed number of epochs alone continues a training, unless something else prevents it.
            let extends =
                matches!(stale, Stale::Config(changes) if changes.iter().all(|change| change.key == "epochs"));
            match difference().filter(|_| extends) {
                Some(difference) => (format!("{stale}, and it cannot be continued: {difference}"), undo),
                None => (stale.to_string(), undo),
            }
        }
        None if request.force => (difference().unwrap_or_else(|| "--force was given".to_owned()), None),
        None => (difference().unwrap_or_else(|| "it cannot be resumed".to_owned()), None),
    }
}

/// Returns the command that selects the configuration that run `k` was trained with. Returns `None` if something else
/// than the configuration changed.
fn undo_command(run: &RunDir, k: usize, stale: &Stale) -> Option<String> {
    let Stale::Config(changes) = stale else { return None };
    let sets: Vec<String> = changes.iter().map(|change| undo_option(change, k)).collect::<Option<_>>()?;
    let words = format!("train --run-dir {}{}", shell_word(&run.path().to_string_lossy()), sets.concat());
    Some(command::line(&words))
}

/// Returns ` --set KEY=VALUE` with the recorded value of a changed key. Returns `None` if the option cannot express it.
fn undo_option(change: &KeyChange, k: usize) -> Option<String> {
    let KeyChange { key, old: Some(old), new: Some(_) } = change else { return None };
    // Run k records its own seed, `train.seed + k`.
    let old = match (key.as_str(), old.as_u64()) {
        ("seed", Some(seed)) => Value::from(seed.checked_sub(k as u64)?),
        _ => old.clone(),
    };
    let value = match &old {
        Value::Null | Value::Object(_) => return None,
        Value::String(text) => text.clone(),
        // Numbers, booleans and arrays of them have the same form in JSON and TOML.
        value => value.to_string(),
    };
    Some(format!(" --set {}", shell_word(&format!("train.{key}={value}"))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn undo_command_sets_former_values() {
        let change = |key: &str, old: Value| KeyChange { key: key.to_owned(), old: Some(old), new: Some(json!(1)) };
        let stale = Stale::Config(vec![
            change("augment.blur.sigma", json!([0.0, 2.0])),
            change("seed", json!(9)),
            change("weights", json!("none")),
        ]);
        assert_eq!(
            undo_command(&RunDir::new("runs/demo"), 2, &stale).unwrap(),
            "cargo xtask train --run-dir runs/demo --set 'train.augment.blur.sigma=[0.0,2.0]' --set train.seed=7 \
             --set train.weights=none"
        );
        assert_eq!(undo_command(&RunDir::new("runs/demo"), 0, &Stale::Input("ingest/train".to_owned())), None);
        let removed = KeyChange { new: None, ..change("momentum", json!(0.9)) };
        assert_eq!(undo_command(&RunDir::new("runs/demo"), 0, &Stale::Config(vec![removed])), None);
    }
}
