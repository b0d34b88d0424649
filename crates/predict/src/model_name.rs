//! The name of a model, and where its files are.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use artifacts::hash::Hash;
use artifacts::{Checkpoint, RunDir, names};

use crate::error::Error;
use crate::model_info::ModelInfo;
use crate::url;

/// The name of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelName {
    /// A checkpoint of a run.
    Run {
        /// The run's folder. `None`: the run that contains the checkpoint, or else the latest under `runs`.
        dir: Option<PathBuf>,
        /// `best`, `last`, or the folder of a checkpoint.
        ckpt: String,
    },
    /// The folder of a run, a checkpoint or an exported model.
    Folder(PathBuf),
    /// A repository of the Hugging Face hub: `hf:owner/repo[@revision]`.
    Hub(String),
}

impl Default for ModelName {
    fn default() -> ModelName {
        ModelName::Run { dir: None, ckpt: "best".to_owned() }
    }
}

impl FromStr for ModelName {
    type Err = Error;

    fn from_str(text: &str) -> Result<ModelName, Error> {
        let Some(repository) = text.strip_prefix("hf:") else {
            return if text.is_empty() || url::advice(Path::new(text), "predict").is_some() {
                Err(Error::Name(text.to_owned()))
            } else {
                Ok(ModelName::Folder(PathBuf::from(text)))
            };
        };
        // A model is a whole repository and not one of its files.
        let path = repository.split('@').next().unwrap_or_default();
        if path.split('/').count() != 2 || text.parse::<hub::Name>().is_err() {
            return Err(Error::Name(text.to_owned()));
        }
        Ok(ModelName::Hub(text.to_owned()))
    }
}

/// The files of a model.
#[derive(Clone, Debug)]
pub struct Located {
    /// The folder with weights, architecture and preprocessing.
    pub checkpoint: Checkpoint,
    /// The run with the ingest manifest and the evaluations. A checkpoint need not be in a run.
    pub run: Option<RunDir>,
}

impl Located {
    /// Returns what is known of the model. `weights` is the BLAKE3 hash of its file of weights. The description in an
    /// exported folder comes before that of the run around it.
    ///
    /// # Errors
    /// The description or the evaluation of the run is damaged, or belongs to other weights.
    pub fn info(&self, weights: Hash) -> Result<ModelInfo, artifacts::Error> {
        match (ModelInfo::read(self.checkpoint.path(), weights)?, &self.run) {
            (Some(info), _) => Ok(info),
            (None, Some(run)) => ModelInfo::of_run(run, weights),
            (None, None) => Ok(ModelInfo::unknown(weights)),
        }
    }
}

impl ModelName {
    /// Finds the files of the model. Downloads them if it is on the hub and they are not in the cache.
    ///
    /// # Errors
    /// There is no such model, or it cannot be downloaded.
    pub fn locate(&self) -> Result<Located, Error> {
        match self {
            ModelName::Run { dir, ckpt } => {
                let run = find_run(dir.as_deref(), ckpt)?;
                let checkpoint = match Checkpoint::by_name(ckpt) {
                    None => Checkpoint::new(ckpt),
                    Some(checkpoint_of) => checkpoint_of(&run.as_ref().ok_or(Error::NoRun)?.train_run(0)),
                };
                Ok(Located { checkpoint, run })
            }
            ModelName::Folder(path) => locate_in(path),
            ModelName::Hub(name) => Ok(Located { checkpoint: Checkpoint::new(download(name)?), run: None }),
        }
    }
}

/// Returns the run that has the ingest manifest and the evaluations: the one given, or the one that contains the
/// checkpoint given by path, or else the latest.
fn find_run(dir: Option<&Path>, ckpt: &str) -> Result<Option<RunDir>, Error> {
    if let Some(dir) = dir {
        let missing = || artifacts::Error::Missing {
            artifact: "run".to_owned(),
            path: dir.to_owned(),
            advice: "give another run with --run-dir, or a checkpoint with --ckpt".to_owned(),
        };
        return if dir.is_dir() { Ok(Some(RunDir::new(dir))) } else { Err(missing().into()) };
    }
    if Checkpoint::by_name(ckpt).is_some() {
        return Ok(RunDir::latest(Path::new(names::RUNS)).ok());
    }
    Ok(run_around(Path::new(ckpt)))
}

/// Returns the run that contains a checkpoint: RUN/train/run-0/best.
fn run_around(checkpoint: &Path) -> Option<RunDir> {
    let run = RunDir::new(checkpoint.canonicalize().ok()?.ancestors().nth(3)?);
    Some(run).filter(|run| run.ingest().is_dir())
}

/// Finds the model in a folder: the folder's own, or the best checkpoint of a run.
fn locate_in(path: &Path) -> Result<Located, Error> {
    let missing = || artifacts::Error::Missing {
        artifact: "model".to_owned(),
        path: path.to_owned(),
        advice: "give the folder of a run, checkpoint or exported model, or `hf:owner/repo`, with --model".to_owned(),
    };
    if !path.is_dir() {
        return Err(missing().into());
    }
    let own = Checkpoint::new(path);
    if own.weights().exists() || path.join(ModelInfo::FILE).exists() {
        return Ok(Located { checkpoint: own, run: run_around(path) });
    }
    let run = RunDir::new(path);
    if !run.train().is_dir() {
        return Err(Error::NoModel { path: path.to_owned() });
    }
    Ok(Located { checkpoint: Checkpoint::best(&run.train_run(0)), run: Some(run) })
}

/// Downloads the files of a model. Returns the folder of the commit in the cache.
fn download(name: &str) -> Result<PathBuf, Error> {
    let (repository, revision) = name.split_once('@').map_or((name, None), |(name, revision)| (name, Some(revision)));
    let path_of = |file: &str, revision: Option<&str>| {
        hub::resolve(&match revision {
            Some(revision) => format!("{repository}/{file}@{revision}"),
            None => format!("{repository}/{file}"),
        })
    };
    let several = || Error::SeveralCommits(name.to_owned());
    let config = path_of(names::MODEL_CONFIG, revision)?;
    let folder = config.parent().ok_or_else(several)?.to_owned();
    // The folder is named after the commit. The other files must be of the same one.
    let commit = folder.file_name().and_then(|name| name.to_str()).ok_or_else(several)?.to_owned();
    for file in [names::PREPROCESSOR_CONFIG, ModelInfo::FILE, names::WEIGHTS] {
        match path_of(file, Some(&commit)) {
            Ok(path) if path.parent() != Some(folder.as_path()) => return Err(several()),
            // Models of other programs have no description.
            Err(hub::Error::NotFound { .. } | hub::Error::Offline { .. }) if file == ModelInfo::FILE => {}
            other => drop(other?),
        }
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_names() {
        let parse = |text: &str| text.parse::<ModelName>();
        assert_eq!(parse("runs/demo").unwrap(), ModelName::Folder("runs/demo".into()));
        assert_eq!(parse("hf:owner/repo@v1").unwrap(), ModelName::Hub("hf:owner/repo@v1".to_owned()));
        for wrong in [
            "",
            "https://huggingface.co/owner/repo",
            "hf:",
            "hf:owner",
            "hf:owner/repo/model.safetensors",
            "hf:../x",
            "hf:o/r@",
        ] {
            assert!(matches!(parse(wrong), Err(Error::Name(_))), "{wrong}");
        }
    }

    #[test]
    fn tells_a_missing_folder_from_one_without_a_model() {
        let dir = tempfile::tempdir().unwrap();
        let error = |path: &Path| ModelName::Folder(path.to_owned()).locate().unwrap_err().to_string();
        assert!(error(&dir.path().join("absent")).contains("--model"));
        assert!(error(dir.path()).contains("neither"));
        std::fs::create_dir_all(dir.path().join("train/run-0/best")).unwrap();
        let located = ModelName::Folder(dir.path().to_owned()).locate().unwrap();
        assert_eq!(located.checkpoint.path(), dir.path().join("train/run-0/best"));
    }
}
