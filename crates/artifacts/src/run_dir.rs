//! Paths inside a run folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::schema::{ModelConfig, PreprocessorConfig};
use crate::{Error, Result, atomic, command, config, names};

/// The folder of one run, `runs/<name>/`. This type makes all paths inside it. No stage builds such a path from
/// strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir(PathBuf);

impl RunDir {
    /// Creates a handle for the run at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> RunDir {
        RunDir(path.into())
    }

    /// The default run of the pipeline `name`: [`names::RUNS`]`/NAME`.
    pub fn named(name: impl AsRef<Path>) -> RunDir {
        RunDir(Path::new(names::RUNS).join(name))
    }

    /// Finds the run under `runs` whose `run.toml` was written last.
    ///
    /// # Errors
    /// There is no run, or the folder `runs` cannot be listed.
    pub fn latest(runs: &Path) -> Result<RunDir> {
        let none = || Error::Missing {
            artifact: "run".to_owned(),
            path: runs.to_owned(),
            advice: format!("start one with `{}`, or name one with --run-dir", command::line("pipeline demo")),
        };
        let entries = fs::read_dir(runs).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => none(),
            _ => Error::io("list", runs)(error),
        })?;
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

    /// The folder of a stage by its name, or of an evaluation on other data such as `evaluate-faces`.
    pub fn stage(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The folder of shards, rejected files and audit.
    pub fn ingest(&self) -> PathBuf {
        self.stage(names::INGEST)
    }

    /// The folder of the parts of an ingest that is done in parts.
    pub fn ingest_parts(&self) -> PathBuf {
        self.0.join(names::INGEST_PARTS)
    }

    /// The list of unusable files that ingest writes when it fails because there are too many of them.
    pub fn rejected_by_failed_ingest(&self) -> PathBuf {
        self.0.join(names::REJECTED)
    }

    /// The run folder of other data that the run's model is evaluated on.
    pub fn other_data(&self, name: &str) -> RunDir {
        RunDir(self.0.join(names::OTHER_DATA).join(name))
    }

    /// The folder of the features of frozen branches, which training and evaluation compute once.
    pub fn features(&self) -> PathBuf {
        self.0.join(names::FEATURES)
    }

    /// The folder of all training runs.
    pub fn train(&self) -> PathBuf {
        self.stage(names::TRAIN)
    }

    /// One training run, counted from 0.
    pub fn train_run(&self, run: usize) -> PathBuf {
        self.train().join(format!("run-{run}"))
    }

    /// The complete training runs, from `run-0` up to the first gap, but at most `train.runs` of `run.toml`.
    pub fn complete_train_runs(&self) -> Vec<PathBuf> {
        self.split_train_runs().0
    }

    /// The complete training runs that [`RunDir::complete_train_runs`] leaves out because `train.runs` was lowered.
    pub fn surplus_train_runs(&self) -> Vec<PathBuf> {
        self.split_train_runs().1
    }

    fn split_train_runs(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let complete = (0..).map(|run| self.train_run(run)).take_while(|dir| dir.join(names::MANIFEST).exists());
        let mut complete: Vec<PathBuf> = complete.collect();
        let included = self.configured_train_runs().unwrap_or(usize::MAX);
        let surplus = complete.split_off(included.min(complete.len()));
        (complete, surplus)
    }

    /// `train.runs` of `run.toml`; `None` if the file or the key does not exist.
    fn configured_train_runs(&self) -> Option<usize> {
        let document = config::read(&self.config()).ok()?;
        usize::try_from(document.get(names::TRAIN)?.get("runs")?.as_integer()?).ok()
    }

    /// The folder of predictions, metrics and explanations.
    pub fn evaluate(&self) -> PathBuf {
        self.stage(names::EVALUATE)
    }

    /// Lists the complete evaluations `evaluate-NAME`, such as evaluations on other data, sorted by name.
    pub fn named_evaluations(&self) -> Result<Vec<PathBuf>> {
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

    /// The folder of the HTML report, its figures and the model card.
    pub fn report(&self) -> PathBuf {
        self.stage(names::REPORT)
    }

    /// The report's page.
    pub fn page(&self) -> PathBuf {
        self.report().join(names::PAGE)
    }
}

/// A folder with the weights of a model and the files needed to use them or to resume training.
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

    /// Returns the constructor [`Checkpoint::best`] or [`Checkpoint::last`] for the name `best` or `last`. Returns
    /// `None` for any other name, which is the path of a checkpoint.
    pub fn by_name(name: &str) -> Option<fn(&Path) -> Checkpoint> {
        match name {
            "best" => Some(Checkpoint::best),
            "last" => Some(Checkpoint::last),
            _ => None,
        }
    }

    /// The checkpoint's folder.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_folder_without_runs_from_one_that_cannot_be_listed() {
        let root = tempfile::tempdir().unwrap();
        let latest = |name: &str| RunDir::latest(&root.path().join(name)).unwrap_err();
        assert!(matches!(latest("nothing"), Error::Missing { .. }));
        fs::create_dir(root.path().join("empty")).unwrap();
        assert!(matches!(latest("empty"), Error::Missing { .. }));
        fs::write(root.path().join("file"), "").unwrap();
        assert!(matches!(latest("file"), Error::Io { .. }));
    }

    #[test]
    fn leaves_out_training_runs_beyond_the_configured_number() {
        let root = tempfile::tempdir().unwrap();
        let run = RunDir::new(root.path());
        for k in [0, 1, 2, 4] {
            fs::create_dir_all(run.train_run(k)).unwrap();
            fs::write(run.train_run(k).join(names::MANIFEST), "{}").unwrap();
        }
        let of = |runs: &[usize]| runs.iter().map(|k| run.train_run(*k)).collect::<Vec<_>>();
        assert_eq!((run.complete_train_runs(), run.surplus_train_runs()), (of(&[0, 1, 2]), of(&[])));
        fs::write(run.config(), "[train]\nruns = 1\n").unwrap();
        assert_eq!((run.complete_train_runs(), run.surplus_train_runs()), (of(&[0]), of(&[1, 2])));
        fs::write(run.config(), "[train]\nruns = 5\n").unwrap();
        assert_eq!(run.complete_train_runs(), of(&[0, 1, 2]));
    }
}
