//! The folder of one run, and where everything in it is.

use std::fs;
use std::path::{Path, PathBuf};

use crate::schema::{ModelConfig, PreprocessorConfig};
use crate::{Error, Result, atomic, names};

/// The folder of one run, `runs/<name>/`. It owns the paths in it: no stage builds one from strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir(PathBuf);

impl RunDir {
    /// The run at a path, whether it is there yet or not.
    pub fn new(path: impl Into<PathBuf>) -> RunDir {
        RunDir(path.into())
    }

    /// The run of a pipeline that names no folder: [`names::RUNS`]`/NAME`.
    pub fn named(name: impl AsRef<Path>) -> RunDir {
        RunDir(Path::new(names::RUNS).join(name))
    }

    /// The run under `runs` whose configuration was written last.
    pub fn latest(runs: &Path) -> Result<RunDir> {
        let none = || Error::Missing {
            artifact: "run".to_owned(),
            path: runs.to_owned(),
            advice: "start one with `cargo xtask pipeline demo`, or name one with --run-dir".to_owned(),
        };
        let entries = fs::read_dir(runs).map_err(|_| none())?;
        entries
            .filter_map(|entry| {
                let run = RunDir(entry.ok()?.path());
                let modified = fs::metadata(run.config()).ok()?.modified().ok()?;
                Some((modified, run))
            })
            .max_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.0.cmp(&b.1.0)))
            .map(|(_, run)| run)
            .ok_or_else(none)
    }

    /// The run's own folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The run's name: the last part of its path.
    pub fn name(&self) -> String {
        self.0.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The resolved configuration of all stages.
    pub fn config(&self) -> PathBuf {
        self.0.join(names::RUN_TOML)
    }

    /// The folder of a stage by its name, or of a further evaluation such as `evaluate-faces`.
    pub fn stage(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Shards, rejected files and audit.
    pub fn ingest(&self) -> PathBuf {
        self.stage(names::INGEST)
    }

    /// Where the list of rejected files is when ingest was refused for it, and left nothing else.
    pub fn refused_files(&self) -> PathBuf {
        self.0.join(names::REJECTED)
    }

    /// Other data that the run's model is judged on, ingested as a run of their own.
    pub fn other_data(&self, name: &str) -> RunDir {
        RunDir(self.0.join(names::OTHER_DATA).join(name))
    }

    /// The folder of all training runs.
    pub fn train(&self) -> PathBuf {
        self.stage(names::TRAIN)
    }

    /// One training run, counted from 0.
    pub fn train_run(&self, run: usize) -> PathBuf {
        self.train().join(format!("run-{run}"))
    }

    /// The complete training runs, from 0 on without a gap.
    pub fn complete_train_runs(&self) -> Vec<PathBuf> {
        (0..).map(|run| self.train_run(run)).take_while(|dir| dir.join(names::MANIFEST).exists()).collect()
    }

    /// Predictions, metrics and explanations.
    pub fn evaluate(&self) -> PathBuf {
        self.stage(names::EVALUATE)
    }

    /// The complete evaluations on other data, `evaluate-NAME`, in the order of their names.
    pub fn further_evaluations(&self) -> Result<Vec<PathBuf>> {
        let prefix = format!("{}-", names::EVALUATE);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(Error::io("list", &self.0))? {
            let entry = entry.map_err(Error::io("list", &self.0))?;
            let named = entry.file_name().to_string_lossy().starts_with(&prefix);
            if named && entry.path().join(names::MANIFEST).exists() {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    }

    /// The HTML report, figures and model card.
    pub fn report(&self) -> PathBuf {
        self.stage(names::REPORT)
    }

    /// The report's page.
    pub fn page(&self) -> PathBuf {
        self.report().join(names::PAGE)
    }
}

/// A folder with a model's weights and what is needed to use or resume them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint(PathBuf);

impl Checkpoint {
    /// The checkpoint in a folder.
    pub fn new(path: impl Into<PathBuf>) -> Checkpoint {
        Checkpoint(path.into())
    }

    /// The checkpoint of a training run with the best validation accuracy.
    pub fn best(train_run: &Path) -> Checkpoint {
        Checkpoint(train_run.join("best"))
    }

    /// The checkpoint of a training run's last epoch, from which it resumes.
    pub fn last(train_run: &Path) -> Checkpoint {
        Checkpoint(train_run.join("last"))
    }

    /// Which checkpoint of a training run a name means: `best` or `last`; none where the name is a checkpoint's own path.
    pub fn of_name(name: &str) -> Option<fn(&Path) -> Checkpoint> {
        match name {
            "best" => Some(Checkpoint::best),
            "last" => Some(Checkpoint::last),
            _ => None,
        }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Weights under torchvision's names.
    pub fn weights(&self) -> PathBuf {
        self.0.join(names::WEIGHTS)
    }

    /// Architecture and labels.
    pub fn model_config(&self) -> PathBuf {
        self.0.join(names::MODEL_CONFIG)
    }

    /// Reads architecture and labels.
    pub fn read_model_config(&self) -> Result<ModelConfig> {
        atomic::read_json(&self.model_config(), "checkpoint's config.json")
    }

    /// Reads input size and normalisation.
    pub fn read_preprocessor_config(&self) -> Result<PreprocessorConfig> {
        atomic::read_json(&self.preprocessor_config(), "checkpoint's preprocessor_config.json")
    }

    /// Input size and normalisation.
    pub fn preprocessor_config(&self) -> PathBuf {
        self.0.join(names::PREPROCESSOR_CONFIG)
    }

    /// Optimiser moments and counters.
    pub fn training_state(&self) -> PathBuf {
        self.0.join(names::TRAINING_STATE)
    }
}
