//! Everything a run has left on disk that the report tells of.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use artifacts::hash::{self, Hash};
use artifacts::predictions::{self, Prediction};
use artifacts::schema::{Audit, Epoch, Explanations, IngestSummary, Metrics, Rejected, Robustness};
use artifacts::{Checkpoint, Manifest, RunDir, atomic, names};

use crate::config::Config;
use crate::error::Error;
use crate::stored::{self, Stored};

/// A run, read and checked.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// The run's name.
    pub(crate) run: String,
    /// The data, where this run has ingested any.
    pub(crate) ingest: Option<Ingest>,
    /// Every training run.
    pub(crate) training: Vec<Training>,
    /// What the model was found to be worth.
    pub(crate) evaluation: Evaluation,
    /// Evaluations on other data, by the names of their folders.
    pub(crate) further: Vec<(String, Metrics)>,
}

/// The data stage.
#[derive(Debug)]
pub(crate) struct Ingest {
    pub(crate) manifest: Manifest,
    pub(crate) summary: IngestSummary,
    pub(crate) rejected: Vec<Rejected>,
    /// The audit, where there is one.
    pub(crate) audit: Option<Audit>,
    /// How many pairs of near-duplicates are to be shown.
    pub(crate) shown_pairs: usize,
    /// The pictures of these, by their paths in the source; none where the shards are gone.
    pub(crate) stored: BTreeMap<String, Stored>,
}

/// One training run.
#[derive(Debug)]
pub(crate) struct Training {
    pub(crate) manifest: Manifest,
    pub(crate) history: Vec<Epoch>,
}

/// The judging stage.
#[derive(Debug)]
pub(crate) struct Evaluation {
    pub(crate) manifest: Manifest,
    pub(crate) metrics: Metrics,
    /// The predictions of the first run, which is the one that the headline is of.
    pub(crate) predictions: Vec<Prediction>,
    /// The same images after changes, where they were judged again.
    pub(crate) robustness: Option<Robustness>,
    pub(crate) explanations: Option<Explanations>,
    /// The pictures that `explanations` names, by their names there: PNG files.
    pub(crate) pictures: BTreeMap<String, Vec<u8>>,
}

/// Digests of all manifests, which hold the digests of all files. The report shows what stands in the manifests
/// themselves, durations included, so it is out of date whenever one of them changes.
pub(crate) fn inputs(run: &RunDir) -> Result<BTreeMap<String, Hash>, Error> {
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

impl Evidence {
    /// Reads a run. Files are checked against their manifests before they are believed.
    pub(crate) fn read(run: &RunDir, config: &Config) -> Result<Evidence, Error> {
        let training = run.complete_train_runs().iter().map(|dir| Training::read(dir)).collect::<Result<_, _>>()?;
        let ingest = Ingest::read(run, config)?;
        let evaluation = Evaluation::read(&run.evaluate())?;
        let further = run.named_evaluations()?.iter().map(|dir| read_further(dir)).collect::<Result<_, _>>()?;
        Ok(Evidence { run: run.name(), ingest, training, evaluation, further })
    }

    /// The audit of the data, where there is one.
    pub(crate) fn audit(&self) -> Option<&Audit> {
        self.ingest.as_ref()?.audit.as_ref()
    }

    /// The training runs whose judged weights this run no longer has: it may have been trained again since, all of it or in
    /// part. Weights from a path are nobody's.
    pub(crate) fn stale_runs(&self, metrics: &Metrics) -> Vec<usize> {
        if self.training.is_empty() || Checkpoint::by_name(&metrics.checkpoint).is_none() {
            return Vec::new();
        }
        let has = |run: usize, weights: Hash| {
            let files = self.training.get(run).map(|training| &training.manifest.outputs);
            files.is_some_and(|files| files.values().any(|file| file.blake3 == weights))
        };
        let judged = metrics.runs.iter().filter_map(|run| Some((run.run, run.weights?)));
        judged.filter(|(run, weights)| !has(*run, *weights)).map(|(run, _)| run).collect()
    }

    /// The epochs of every training run.
    pub(crate) fn histories(&self) -> Vec<Vec<Epoch>> {
        self.training.iter().map(|run| run.history.clone()).collect()
    }
}

impl Ingest {
    fn read(run: &RunDir, config: &Config) -> Result<Option<Ingest>, Error> {
        let dir = &run.ingest();
        let Some(manifest) = Manifest::read(dir)? else { return Ok(None) };
        let summary = serde_json::from_value(manifest.summary.clone())
            .map_err(|e| artifacts::Error::malformed(&dir.join(names::MANIFEST), "summary of ingest", e))?;
        let rejected = match listed(dir, &manifest, names::REJECTED)? {
            Some(path) => atomic::read_lines(&path, "list of rejected files")?,
            None => Vec::new(),
        };
        let audit = listed(dir, &manifest, names::AUDIT)?;
        let audit: Option<Audit> = audit.map(|path| atomic::read_json(&path, "audit")).transpose()?;
        let pairs = audit.as_ref().map_or(&[][..], |audit| &audit.near_duplicates.pairs);
        let shown_pairs = config.near_duplicates.min(pairs.len());
        let stored = stored::of_pairs(run, &pairs[..shown_pairs])?;
        Ok(Some(Ingest { manifest, summary, rejected, audit, shown_pairs, stored }))
    }
}

impl Training {
    fn read(dir: &Path) -> Result<Training, Error> {
        let manifest = Manifest::require(dir, names::TRAIN)?;
        let history = atomic::read_lines(&manifest.verified(dir, names::HISTORY)?, "training history")?;
        Ok(Training { manifest, history })
    }
}

impl Evaluation {
    fn read(dir: &Path) -> Result<Evaluation, Error> {
        let manifest = Manifest::require(dir, names::EVALUATE)?;
        let metrics = read_metrics(dir, &manifest)?;
        let first = metrics.runs.first().ok_or(Error::NoRuns)?.run;
        let mut predictions = predictions::read(&manifest.verified(dir, names::PREDICTIONS)?)?;
        predictions.retain(|prediction| prediction.run as usize == first);
        let index = format!("{}/{}", names::EXPLANATIONS, names::EXPLANATIONS_INDEX);
        let robustness = listed(dir, &manifest, Robustness::FILE)?
            .map(|path| atomic::read_versioned(&path, "table of robustness", Robustness::SCHEMA_VERSION))
            .transpose()?;
        let explanations: Option<Explanations> = listed(dir, &manifest, &index)?
            .map(|path| atomic::read_versioned(&path, "list of examples", Explanations::SCHEMA_VERSION))
            .transpose()?;
        let pictures = read_pictures(dir, &manifest, explanations.as_ref())?;
        Ok(Evaluation { manifest, metrics, predictions, robustness, explanations, pictures })
    }
}

/// The path of a file that a stage may have written or not, where it has.
fn listed(dir: &Path, manifest: &Manifest, name: &str) -> Result<Option<PathBuf>, Error> {
    Ok(manifest.outputs.contains_key(name).then(|| manifest.verified(dir, name)).transpose()?)
}

fn read_metrics(dir: &Path, manifest: &Manifest) -> Result<Metrics, Error> {
    let path = manifest.verified(dir, names::METRICS)?;
    Ok(atomic::read_versioned(&path, "table of metrics", Metrics::SCHEMA_VERSION)?)
}

/// The scores of an evaluation on other data.
fn read_further(dir: &Path) -> Result<(String, Metrics), Error> {
    let manifest = Manifest::require(dir, names::EVALUATE)?;
    Ok((folder_name(dir), read_metrics(dir, &manifest)?))
}

fn folder_name(dir: &Path) -> String {
    dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads the pictures that the examples name. The list says where they are, so it is not trusted to stay in its folder.
fn read_pictures(
    dir: &Path,
    manifest: &Manifest,
    explanations: Option<&Explanations>,
) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let Some(explanations) = explanations else { return Ok(BTreeMap::new()) };
    let of_examples = explanations
        .examples
        .iter()
        .flat_map(|example| std::iter::once(&example.image).chain(example.heat_maps.iter().map(|map| &map.overlay)));
    let mut pictures = BTreeMap::new();
    for name in of_examples.chain(&explanations.legend) {
        if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(Error::Outside { path: name.clone() });
        }
        let path = manifest.verified(dir, &format!("{}/{name}", names::EXPLANATIONS))?;
        pictures.insert(name.clone(), fs::read(&path).map_err(artifacts::Error::io("read", &path))?);
    }
    Ok(pictures)
}
