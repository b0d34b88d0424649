//! What is known about a run.

use std::fmt::Write;
use std::path::Path;

use artifacts::stage::Failure;
use artifacts::{Manifest, RunDir, atomic, names, progress};
use serde::Serialize;
use serde_json::Value;

use super::size;
use crate::scores::{self, Scores};

/// A run: its data, its model, its state and its scores.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Description {
    /// The path of the run.
    pub(super) run: String,
    /// The source of the images.
    data: Option<String>,
    /// The branches of the detector.
    model: Vec<String>,
    /// How far the run is.
    state: String,
    /// The number of complete trainings.
    trainings: usize,
    /// The scores of the evaluation.
    #[serde(flatten)]
    scores: Scores,
    /// The number of images that were evaluated.
    evaluated: Option<u64>,
    /// The length of all files in bytes.
    bytes: u64,
    /// The length of the trainings that were set aside, which is a part of `bytes`.
    set_aside_bytes: u64,
    /// The page of the report.
    report: Option<String>,
}

impl Description {
    /// Reads what is known about a run. What is missing or damaged is left out.
    pub(super) fn read(run: &RunDir) -> Result<Description, Failure> {
        let manifest = |folder: &Path| Manifest::read(folder).ok().flatten();
        let ingest = manifest(&run.ingest());
        let train = manifest(&run.train_run(0));
        let metrics: Option<Value> = atomic::read_json(&run.evaluate().join(names::METRICS), "metrics").ok();
        let metrics = metrics.unwrap_or_default();
        let branches = train.as_ref().map(|train| train.config["model"]["branches"].clone()).unwrap_or_default();
        let branches = branches.as_array().into_iter().flatten();
        let trainings = run.complete_train_runs().len();
        let mut set_aside_bytes = 0;
        for folder in size::set_aside(run)? {
            set_aside_bytes += size::of(&folder)?;
        }
        Ok(Description {
            run: run.path().to_string_lossy().into_owned(),
            data: ingest.as_ref().and_then(|ingest| Some(ingest.summary["source"].as_str()?.to_owned())),
            model: branches.filter_map(|name| Some(name.as_str()?.to_owned())).collect(),
            state: state(run, ingest.is_some(), trainings > 0).to_owned(),
            trainings,
            scores: Scores::of(&metrics),
            evaluated: metrics["n"].as_u64(),
            bytes: size::of(run.path())?,
            set_aside_bytes,
            report: run.page().is_file().then(|| run.page().to_string_lossy().into_owned()),
        })
    }

    /// All that is known, a line each.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n", self.run);
        let mut line = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                let _ = writeln!(text, "  {name:<12}{value}");
            }
        };
        line("data", self.data.clone());
        line("model", (!self.model.is_empty()).then(|| self.model.join(", ")));
        line("state", Some(self.state.clone()));
        line("trainings", (self.trainings > 0).then(|| self.trainings.to_string()));
        line("ROC-AUC", self.scores.roc_auc.map(|_| self.scores.roc_auc_text()));
        line("accuracy", self.scores.accuracy.map(|_| scores::text(self.scores.accuracy)));
        line("evaluated", self.evaluated.map(|images| format!("{images} images")));
        line("size", Some(progress::bytes(self.bytes)));
        let aside = format!(
            "{}; `{}` deletes them",
            progress::bytes(self.set_aside_bytes),
            artifacts::command::line(&format!("runs prune {}", self.run))
        );
        line("set aside", (self.set_aside_bytes > 0).then_some(aside));
        line("report", self.report.clone());
        text
    }
}

/// How far a run is, from the artifacts that exist.
fn state(run: &RunDir, ingested: bool, trained: bool) -> &'static str {
    let complete = |folder: &Path| folder.join(names::MANIFEST).is_file();
    if complete(&run.report()) {
        "complete"
    } else if complete(&run.evaluate()) {
        "evaluated"
    } else if trained {
        "trained"
    } else if ingested && run.train().is_dir() {
        "training unfinished"
    } else if ingested {
        "ingested"
    } else {
        "started"
    }
}

/// A table of runs with aligned columns.
pub(super) fn table(runs: &[Description]) -> String {
    if runs.is_empty() {
        return format!("there are no runs; `{}` starts one\n", artifacts::command::line("pipeline demo"));
    }
    let mut rows =
        vec![["run", "state", "model", "ROC-AUC", "accuracy", "size", "set aside", "data"].map(str::to_owned)];
    for run in runs {
        let aside = if run.set_aside_bytes > 0 { progress::bytes(run.set_aside_bytes) } else { String::new() };
        rows.push([
            run.run.clone(),
            run.state.clone(),
            run.model.join(", "),
            scores::text(run.scores.roc_auc),
            scores::text(run.scores.accuracy),
            progress::bytes(run.bytes),
            aside,
            run.data.clone().unwrap_or_default(),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_run_is_described_by_what_exists() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::new(folder.path());
        assert_eq!(Description::read(&run).unwrap().state, "started");
        std::fs::create_dir_all(run.evaluate()).unwrap();
        std::fs::write(run.evaluate().join(names::METRICS), r#"{"roc_auc": 0.75, "accuracy": null, "n": 4}"#).unwrap();
        std::fs::write(run.evaluate().join(names::MANIFEST), "{}").unwrap();
        let description = Description::read(&run).unwrap();
        assert_eq!(
            (description.state.as_str(), description.scores.roc_auc, description.scores.accuracy),
            ("evaluated", Some(0.75), None)
        );
        assert!(description.text().contains("0.750") && !description.text().contains("accuracy"));
        let table = table(&[description]);
        assert_eq!(table.lines().count(), 2);
        assert!(table.contains("0.750    –"), "{table}");
    }
}
