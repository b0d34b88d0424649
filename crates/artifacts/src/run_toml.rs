//! `run.toml`: the resolved configuration of all stages of a run.
//!
//! A pipeline writes the whole file. A single stage writes its own section, so that the file describes the artifacts on
//! disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::Failure;
use crate::run_lock::lock;
use crate::staleness::to_json;
use crate::{Error, RunDir, atomic, config, names};

const HEADER: &str = "\
# The resolved configuration of this run, defaults included. A key that is not here is unset, or follows from others, as
# train.learning_rate does from train.weights: the manifest beside each artifact has the values that were used.
";

/// How long a single stage waits for another process to finish writing `run.toml`.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// Writes `run.toml` from the resolved configuration of each stage. The caller holds the pipeline's lock. The file's
/// modification time decides which run is the latest.
pub fn write(run: &RunDir, sections: &BTreeMap<&str, &Value>) -> Result<(), Error> {
    let sections = sections.iter().flat_map(|(stage, config)| to_sections(stage, config));
    write_document(run, &sections.collect())
}

/// Replaces the section of one stage, unless it has these values already. If the run has no `run.toml`, the other
/// sections are copied from `pipeline`, the file that configured the stage.
///
/// # Errors
/// A pipeline is running in this run. Its settings must not change while it runs.
pub(crate) fn record_section<C>(run: &RunDir, stage: &str, config: &C, pipeline: Option<&Path>) -> Result<(), Failure>
where
    C: Serialize + DeserializeOwned + Default,
{
    let path = run.config();
    let new = to_json(config);
    let recorded = |path: &Path| config::load::<C>(Some(path), stage, &[]).map(|config| to_json(&config));
    if path.exists() && recorded(&path).is_ok_and(|recorded| recorded == new) {
        return Ok(());
    }
    let _lock = lock_for_writing(run)?;
    let base = if path.exists() { Some(path.as_path()) } else { pipeline };
    let mut document = base.map(config::read).transpose().map_err(Error::from)?.unwrap_or_default();
    document.extend(to_sections(stage, &new));
    Ok(write_document(run, &document)?)
}

/// Takes the pipeline's lock. Another single stage holds the lock for a moment only, so waiting helps. A pipeline holds
/// it for its whole duration.
fn lock_for_writing(run: &RunDir) -> Result<std::fs::File, Failure> {
    let start = Instant::now();
    loop {
        match lock(run, "pipeline") {
            Err(_) if start.elapsed() < WRITE_TIMEOUT => std::thread::sleep(Duration::from_millis(20)),
            result => return result,
        }
    }
}

fn write_document(run: &RunDir, sections: &toml::Table) -> Result<(), Error> {
    let mut text = HEADER.to_owned();
    for (name, _) in names::SECTIONS {
        if let Some(section) = sections.get(name) {
            text += &format!("\n{}", toml::Table::from_iter([(name.to_owned(), section.clone())]));
        }
    }
    std::fs::create_dir_all(run.path()).map_err(Error::io("create", run.path()))?;
    atomic::write_file(&run.config(), text.as_bytes())
}

/// Divides the configuration of a stage into sections of a pipeline file.
fn to_sections(stage: &str, config: &Value) -> Vec<(String, toml::Value)> {
    let mut own = config.clone();
    let mut sections = Vec::new();
    for nested in names::nested_sections(stage) {
        let config = own.as_object_mut().and_then(|own| own.remove(nested));
        sections.extend(config.and_then(|config| Some((nested.to_owned(), to_toml(&config)?))));
    }
    sections.extend(to_toml(&own).map(|section| (stage.to_owned(), section)));
    sections
}

/// Converts JSON to TOML. Leaves out null, which TOML cannot express.
fn to_toml(value: &Value) -> Option<toml::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => toml::Value::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => toml::Value::Integer(integer),
            None => toml::Value::Float(number.as_f64()?),
        },
        Value::String(text) => toml::Value::String(text.clone()),
        Value::Array(items) => toml::Value::Array(items.iter().filter_map(to_toml).collect()),
        Value::Object(map) => {
            toml::Value::Table(map.iter().filter_map(|(key, value)| Some((key.clone(), to_toml(value)?))).collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        title: Option<String>,
        gallery: usize,
    }

    fn report(title: Option<&str>, gallery: usize) -> Config {
        Config { title: title.map(str::to_owned), gallery }
    }

    #[test]
    fn leaves_out_unset_values() {
        let toml = to_toml(&json!({ "a": null, "b": 1, "c": 0.5, "d": ["x"], "e": { "f": true } })).unwrap();
        assert_eq!(toml.to_string().replace(' ', ""), r#"{b=1,c=0.5,d=["x"],e={f=true}}"#);
    }

    #[test]
    fn records_one_section_and_keeps_the_others() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::new(root.path().join("run"));
        let [ingest, unset] = [json!({ "seed": 5 }), to_json(&report(None, 3))];
        write(&run, &BTreeMap::from([("ingest", &ingest), ("report", &unset)])).unwrap();
        let modified = || std::fs::metadata(run.config()).unwrap().modified().unwrap();
        let before = modified();
        record_section(&run, "report", &report(None, 3), None).unwrap();
        assert_eq!(modified(), before, "an unchanged section is not written");

        record_section(&run, "report", &report(Some("A title"), 4), None).unwrap();
        let document = config::read(&run.config()).unwrap();
        assert_eq!(document["ingest"]["seed"].as_integer(), Some(5));
        assert_eq!(document["report"]["title"].as_str(), Some("A title"));
        assert_eq!(config::load::<Config>(Some(&run.config()), "report", &[]).unwrap(), report(Some("A title"), 4));
    }

    #[test]
    fn starts_from_the_pipeline_file_of_a_new_run() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::new(root.path().join("run"));
        let pipeline = root.path().join("p.toml");
        std::fs::write(&pipeline, "[ingest]\nseed = 5\n[report]\ngallery = 2\n").unwrap();
        record_section(&run, "report", &report(None, 7), Some(&pipeline)).unwrap();
        let document = config::read(&run.config()).unwrap();
        assert_eq!(document["ingest"]["seed"].as_integer(), Some(5));
        assert_eq!(document["report"]["gallery"].as_integer(), Some(7));
    }

    #[test]
    fn refuses_to_change_settings_of_running_pipeline() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::new(root.path());
        let _pipeline = lock(&run, "pipeline").unwrap();
        let refused = record_section(&run, "report", &report(None, 7), None).unwrap_err();
        assert!(refused.to_string().contains("another process is running pipeline"), "{refused}");
        assert!(!run.config().exists());
    }
}
