//! Reads all results of a run that the report shows.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use artifacts::hash::{self, Hash};
use artifacts::predictions::{self, Prediction};
use artifacts::schema::{Audit, Epoch, Explanations, IngestSummary, Metrics, Rejected, Robustness};
use artifacts::{Checkpoint, Manifest, RunDir, atomic, names};

use crate::config::Config;
use crate::error::Error;
use crate::near_duplicate_images::{self, StoredImage};
use crate::relative_path::leads_outside;

/// The results of all stages of a run.
#[derive(Debug)]
pub(crate) struct RunResults {
    /// The run's name.
    pub(crate) run: String,
    /// `None` if the run ingested no data.
    pub(crate) ingest: Option<IngestResults>,
    /// The complete training runs.
    pub(crate) training: Vec<TrainingResults>,
    /// The evaluation on the run's own data.
    pub(crate) evaluation: EvaluationResults,
    /// Evaluations on other data, with other checkpoints or on other splits.
    pub(crate) other_evaluations: Vec<OtherEvaluation>,
    /// Whether `evaluation` is one of the run's other evaluations, whose page is in a subfolder of the report.
    pub(crate) is_named: bool,
}

/// An evaluation besides `evaluate`.
#[derive(Debug)]
pub(crate) struct OtherEvaluation {
    /// The name of its folder.
    pub(crate) name: String,
    pub(crate) metrics: Metrics,
    /// Whether it has predictions, and therefore a page of its own.
    pub(crate) has_page: bool,
}

/// The results of ingest.
#[derive(Debug)]
pub(crate) struct IngestResults {
    pub(crate) manifest: Manifest,
    pub(crate) summary: IngestSummary,
    pub(crate) rejected: Vec<Rejected>,
    /// `None` if the data were not audited.
    pub(crate) audit: Option<Audit>,
    /// The number of near-duplicate pairs that the page shows.
    pub(crate) shown_pairs: usize,
    /// The images of these pairs by their paths in the source. Empty if the shards are missing.
    pub(crate) pair_images: BTreeMap<String, StoredImage>,
}

/// The results of one training run.
#[derive(Debug)]
pub(crate) struct TrainingResults {
    pub(crate) manifest: Manifest,
    pub(crate) history: Vec<Epoch>,
}

/// The results of evaluate.
#[derive(Debug)]
pub(crate) struct EvaluationResults {
    pub(crate) manifest: Manifest,
    pub(crate) metrics: Metrics,
    /// The predictions of the first training run, whose scores are the headline scores.
    pub(crate) predictions: Vec<Prediction>,
    /// `None` if robustness was not measured.
    pub(crate) robustness: Option<Robustness>,
    /// `None` if no explanations were made.
    pub(crate) explanations: Option<Explanations>,
    /// The content of the PNG files that `explanations` lists, by file name.
    pub(crate) example_pngs: BTreeMap<String, Vec<u8>>,
}

/// Returns the digests of the manifests of all stages. The report is out of date whenever a manifest changes, because
/// manifests contain the digests of all files and other values that the report shows, such as durations.
pub(crate) fn input_digests(run: &RunDir) -> Result<BTreeMap<String, Hash>, Error> {
    Manifest::require(&run.evaluate(), names::EVALUATE)?;
    let mut inputs = BTreeMap::new();
    let mut add = |name: String, dir: &Path| -> Result<(), Error> {
        let manifest = dir.join(names::MANIFEST);
        if manifest.exists() {
            inputs.insert(name, hash::file(&manifest)?);
        }
        Ok(())
    };
    add(names::INGEST.to_owned(), &run.ingest())?;
    for (i, dir) in run.complete_train_runs().iter().enumerate() {
        add(format!("{}/run-{i}", names::TRAIN), dir)?;
    }
    add(names::EVALUATE.to_owned(), &run.evaluate())?;
    for dir in run.named_evaluations()? {
        add(folder_name(&dir), &dir)?;
    }
    Ok(inputs)
}

impl RunResults {
    /// Reads the results of a run. Verifies each file against its manifest.
    pub(crate) fn read(run: &RunDir, config: &Config) -> Result<RunResults, Error> {
        let training =
            run.complete_train_runs().iter().map(|dir| TrainingResults::read(dir)).collect::<Result<_, _>>()?;
        let ingest = IngestResults::read(run, config)?;
        let evaluation = EvaluationResults::read(&run.evaluate())?;
        let other_evaluations =
            run.named_evaluations()?.iter().map(|dir| read_other_evaluation(dir)).collect::<Result<_, _>>()?;
        Ok(RunResults { run: run.name(), ingest, training, evaluation, other_evaluations, is_named: false })
    }

    /// Reads the results of a run with the evaluation in the folder `dir` in place of `evaluate`, for a page of its own.
    pub(crate) fn of_evaluation(run: &RunDir, dir: &Path, config: &Config) -> Result<RunResults, Error> {
        let training =
            run.complete_train_runs().iter().map(|dir| TrainingResults::read(dir)).collect::<Result<_, _>>()?;
        let ingest = IngestResults::read(run, config)?;
        let name = format!("{}, {}", run.name(), folder_name(dir));
        let evaluation = EvaluationResults::read(dir)?;
        Ok(RunResults { run: name, ingest, training, evaluation, other_evaluations: Vec::new(), is_named: true })
    }

    /// Returns the audit of the data, if there is one.
    pub(crate) fn audit(&self) -> Option<&Audit> {
        self.ingest.as_ref()?.audit.as_ref()
    }

    /// Returns the numbers of the training runs that were trained again after the evaluation with these `metrics`, so
    /// that the evaluated weights no longer exist. Returns none if the evaluated checkpoint was given by path.
    pub(crate) fn runs_retrained_since(&self, metrics: &Metrics) -> Vec<usize> {
        if self.training.is_empty() || Checkpoint::by_name(&metrics.checkpoint).is_none() {
            return Vec::new();
        }
        let has_weights = |run: usize, weights: Hash| {
            let files = self.training.get(run).map(|training| &training.manifest.outputs);
            files.is_some_and(|files| files.values().any(|file| file.blake3 == weights))
        };
        let evaluated = metrics.runs.iter().filter_map(|run| Some((run.run, run.weights?)));
        evaluated.filter(|(run, weights)| !has_weights(*run, *weights)).map(|(run, _)| run).collect()
    }

    /// Returns the epochs of each training run.
    pub(crate) fn training_histories(&self) -> Vec<Vec<Epoch>> {
        self.training.iter().map(|run| run.history.clone()).collect()
    }
}

impl IngestResults {
    fn read(run: &RunDir, config: &Config) -> Result<Option<IngestResults>, Error> {
        let dir = &run.ingest();
        let Some(manifest) = Manifest::read(dir)? else { return Ok(None) };
        let summary = serde_json::from_value(manifest.summary.clone())
            .map_err(|e| artifacts::Error::malformed(&dir.join(names::MANIFEST), "summary of ingest", e))?;
        let rejected = match optional_output(dir, &manifest, names::REJECTED)? {
            Some(path) => atomic::read_lines(&path, "list of rejected files")?,
            None => Vec::new(),
        };
        let audit = optional_output(dir, &manifest, names::AUDIT)?;
        let audit: Option<Audit> = audit.map(|path| atomic::read_json(&path, "audit")).transpose()?;
        let pairs = audit.as_ref().map_or(&[][..], |audit| &audit.near_duplicates.pairs);
        let shown_pairs = config.near_duplicates.min(pairs.len());
        let pair_images = near_duplicate_images::read(run, &pairs[..shown_pairs])?;
        Ok(Some(IngestResults { manifest, summary, rejected, audit, shown_pairs, pair_images }))
    }
}

impl TrainingResults {
    fn read(dir: &Path) -> Result<TrainingResults, Error> {
        let manifest = Manifest::require(dir, names::TRAIN)?;
        let history = atomic::read_lines(&manifest.verified(dir, names::HISTORY)?, "training history")?;
        Ok(TrainingResults { manifest, history })
    }
}

impl EvaluationResults {
    fn read(dir: &Path) -> Result<EvaluationResults, Error> {
        let manifest = Manifest::require(dir, names::EVALUATE)?;
        let metrics = read_metrics(dir, &manifest)?;
        let first = metrics.runs.first().ok_or(Error::NoRuns)?.run;
        let mut predictions = predictions::read(&manifest.verified(dir, names::PREDICTIONS)?)?;
        predictions.retain(|prediction| prediction.run as usize == first);
        let index = format!("{}/{}", names::EXPLANATIONS, names::EXPLANATIONS_INDEX);
        let robustness = optional_output(dir, &manifest, Robustness::FILE)?
            .map(|path| atomic::read_versioned(&path, "table of robustness", Robustness::SCHEMA_VERSION))
            .transpose()?;
        let explanations: Option<Explanations> = optional_output(dir, &manifest, &index)?
            .map(|path| atomic::read_versioned(&path, "list of examples", Explanations::SCHEMA_VERSION))
            .transpose()?;
        let example_pngs = read_example_pngs(dir, &manifest, explanations.as_ref())?;
        Ok(EvaluationResults { manifest, metrics, predictions, robustness, explanations, example_pngs })
    }
}

/// Returns the verified path of an output, or `None` if the stage did not write it.
fn optional_output(dir: &Path, manifest: &Manifest, name: &str) -> Result<Option<PathBuf>, Error> {
    Ok(manifest.outputs.contains_key(name).then(|| manifest.verified(dir, name)).transpose()?)
}

fn read_metrics(dir: &Path, manifest: &Manifest) -> Result<Metrics, Error> {
    let path = manifest.verified(dir, names::METRICS)?;
    Ok(atomic::read_versioned(&path, "table of metrics", Metrics::SCHEMA_VERSION)?)
}

fn read_other_evaluation(dir: &Path) -> Result<OtherEvaluation, Error> {
    let manifest = Manifest::require(dir, names::EVALUATE)?;
    let has_page = manifest.outputs.contains_key(names::PREDICTIONS);
    Ok(OtherEvaluation { name: folder_name(dir), metrics: read_metrics(dir, &manifest)?, has_page })
}

fn folder_name(dir: &Path) -> String {
    dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads the PNG files of the examples. Rejects paths that lead out of the evaluation's folder.
fn read_example_pngs(
    dir: &Path,
    manifest: &Manifest,
    explanations: Option<&Explanations>,
) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let Some(explanations) = explanations else { return Ok(BTreeMap::new()) };
    let of_examples = explanations
        .examples
        .iter()
        .flat_map(|example| std::iter::once(&example.image).chain(example.explanation_files()));
    let mut pngs = BTreeMap::new();
    for name in of_examples.chain(&explanations.legend) {
        if leads_outside(name) {
            return Err(Error::OutsideEvaluation { path: name.clone() });
        }
        let path = manifest.verified(dir, &format!("{}/{name}", names::EXPLANATIONS))?;
        pngs.insert(name.clone(), fs::read(&path).map_err(artifacts::Error::io("read", &path))?);
    }
    Ok(pngs)
}
