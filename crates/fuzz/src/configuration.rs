//! Reading of pipeline files and settings as the stages do it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use artifacts::config::{self, Override};
use artifacts::stage::{Failure, Stage, to_json};
use artifacts::{RunDir, names, run_toml};
use evaluate::Evaluate;
use ingest::Ingest;
use report::Report;

/// Reads the sections of all stages, with overrides, and checks their values. Neither opens nor downloads what they
/// name.
pub(crate) fn load(file: Option<&Path>, overrides: &[Override]) {
    read_section::<Ingest>(file, overrides);
    read_section::<Evaluate>(file, overrides);
    read_section::<Report>(file, overrides);
    // The stage's own check also reads weights.
    let _ = config::load::<train::Config>(file, names::TRAIN, overrides).map(|config| config.validate());
}

fn read_section<S: Stage>(file: Option<&Path>, overrides: &[Override]) {
    let _ = config::load::<S::Config>(file, S::NAME, overrides).map(|config| S::validate(&config));
}

/// Returns the `run.toml` of a run with the defaults, which has almost all keys.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn default_run_toml() -> Result<Vec<u8>, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::failed)?;
    let run = RunDir::new(folder.path());
    let [ingest, train, evaluate, report] = [
        to_json(&ingest::Config::default()),
        to_json(&train::Config::default()),
        to_json(&evaluate::Config::default()),
        to_json(&report::Config::default()),
    ];
    let stages = [names::INGEST, names::TRAIN, names::EVALUATE, names::REPORT];
    run_toml::write(&run, &BTreeMap::from_iter(stages.into_iter().zip([&ingest, &train, &evaluate, &report])))?;
    Ok(fs::read(run.config()).map_err(artifacts::Error::io("read", &run.config()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_accepts_the_default_run_toml() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        fs::write(&path, default_run_toml().unwrap()).unwrap();
        let defaults = to_json(&train::Config::default());
        let config = config::load::<train::Config>(Some(&path), names::TRAIN, &[]).unwrap();
        assert_eq!(to_json(&config), defaults);
        assert!(config::load::<ingest::Config>(Some(&path), names::INGEST, &[]).is_ok());
        assert!(config::load::<evaluate::Config>(Some(&path), names::EVALUATE, &[]).is_ok());
        assert!(config::load::<report::Config>(Some(&path), names::REPORT, &[]).is_ok());
    }
}
