//! Writes the run folder of each detector, unless it is up to date.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use artifacts::atomic::{self, DirWriter};
use artifacts::hash::Hash;
use artifacts::schema::Metrics;
use artifacts::shard::ShardSet;
use artifacts::stage::{self, Output, config_changes, to_json};
use artifacts::{Code, Manifest, RunDir, Split, names, predictions};
use serde_json::json;

use crate::detector::{self, Evaluation};
use crate::images::Images;
use crate::input::Row;
use crate::matching::ImageIndex;
use crate::models::{self, Model, PredictionFile, folder_name};
use crate::{Config, Error, examples};

/// The name in the manifests of judged evaluations.
const NAME: &str = "judge";
/// The version of the results, see [`artifacts::stage::Stage::VERSION`].
const VERSION: u32 = 1;

/// What to judge, and where to write the result.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The files of predictions.
    pub predictions: Vec<PathBuf>,
    /// The run folder; for several detectors the folder of their run folders. `None`: `runs/judge-NAME`.
    pub run_dir: Option<PathBuf>,
    /// Name of the detector of rows without a column `model`; `None`: the name of the file.
    pub name: Option<String>,
    /// Judge again even if the result is up to date.
    pub force: bool,
    /// The settings; `model` is set for each detector.
    pub config: Config,
}

/// The result for one detector.
#[derive(Debug)]
pub struct JudgedRun {
    /// The run folder.
    pub run: RunDir,
    /// Content of `metrics.json`.
    pub metrics: Metrics,
    /// Whether it was written now. Otherwise it was up to date.
    pub is_new: bool,
}

/// Judges all detectors in the files. Each gets a run folder with `evaluate/`.
///
/// # Errors
/// Files that cannot be read or joined with the images, and folders that hold other results.
pub fn judge(request: &Request) -> Result<Vec<JudgedRun>, stage::Failure> {
    let start = Instant::now();
    let files = models::read(&request.predictions, &request.config.columns, &request.config.report_columns)?;
    let models = models::group(&files, request.name.as_deref())?;
    let runs = run_dirs(&models, request.run_dir.as_deref())?;
    let data = data_digest(&request.config)?;
    let mut prepared: Option<Images> = None;
    let mut judged = Vec::new();
    for ((name, model), run) in models.iter().zip(runs) {
        check_folder(&run)?;
        let config = Config { model: name.clone(), ..request.config.clone() };
        let inputs = inputs(model, &files, data);
        std::fs::create_dir_all(run.path()).map_err(artifacts::Error::io("create", run.path()))?;
        let _lock = stage::lock(&run, NAME)?;
        atomic::recover(&run.evaluate())?;
        if !request.force && is_up_to_date(&run, &config, &inputs)? {
            judged.push(JudgedRun { metrics: read_metrics(&run)?, run, is_new: false });
            continue;
        }
        let all_rows: Vec<&Row> = files.iter().flat_map(|file| &file.rows).collect();
        let images = match &mut prepared {
            Some(images) => images,
            none => none.insert(Images::open(&request.config, &all_rows)?),
        };
        let index = ImageIndex::new(&images.images);
        let of_files = model.files.iter().map(|file| file_name(&file.path)).collect();
        let evaluation = detector::evaluate(&model.rows, of_files, images, &index, &config)?;
        write(&run, &evaluation, images, &config, inputs, start)?;
        judged.push(JudgedRun { metrics: evaluation.metrics, run, is_new: true });
    }
    Ok(judged)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| artifacts::text::visible(&name.to_string_lossy())).unwrap_or_default()
}

/// The run folder of each detector.
fn run_dirs(models: &BTreeMap<String, Model<'_>>, given: Option<&Path>) -> Result<Vec<RunDir>, Error> {
    let mut taken = BTreeSet::new();
    let mut dirs = Vec::new();
    for name in models.keys() {
        let folder = folder_name(name);
        if !taken.insert(folder.to_lowercase()) {
            return Err(Error::Usage(format!("two detectors would have the folder `{folder}`; rename `{name}`")));
        }
        dirs.push(match given {
            None => RunDir::named(format!("{NAME}-{folder}")),
            Some(dir) if models.len() == 1 => RunDir::new(dir),
            Some(dir) => RunDir::new(dir.join(folder)),
        });
    }
    Ok(dirs)
}

/// Refuses the folder of a run that was not judged, whose results would be mixed with those of another detector.
fn check_folder(run: &RunDir) -> Result<(), Error> {
    let manifest = Manifest::read(&run.evaluate()).ok().flatten();
    let is_other = manifest.is_some_and(|manifest| manifest.stage != NAME);
    if is_other || run.ingest().exists() || run.train().exists() {
        return Err(Error::Usage(format!(
            "`{}` is the run of another detector; name another folder with --run-dir",
            run.path().display()
        )));
    }
    Ok(())
}

/// Digest of the images, computed without reading them.
fn data_digest(config: &Config) -> Result<Option<Hash>, Error> {
    let Some(data) = &config.data else { return Ok(None) };
    if let Some(dir) = config.shards() {
        let set = ShardSet::open(&dir)?;
        let splits = Split::ALL.into_iter().filter(|split| set.has(*split));
        let digest = splits.fold(artifacts::hash::Digest::default(), |digest, split| {
            digest.part(split.name(), set.digest(split).as_bytes())
        });
        return Ok(Some(digest.finish()));
    }
    Ok(Some(sources::fingerprint(&config.source(data))?))
}

/// Digests of what the result depends on. Without a source, the images are those of all files.
fn inputs(model: &Model<'_>, files: &[PredictionFile], data: Option<Hash>) -> BTreeMap<String, Hash> {
    let of_all: Vec<&PredictionFile> = files.iter().collect();
    let read = if data.is_some() { &model.files } else { &of_all };
    let mut inputs: BTreeMap<String, Hash> =
        read.iter().map(|file| (format!("predictions {}", file.path.display()), file.digest)).collect();
    inputs.extend(data.map(|digest| ("data".to_owned(), digest)));
    inputs
}

fn is_up_to_date(run: &RunDir, config: &Config, inputs: &BTreeMap<String, Hash>) -> Result<bool, Error> {
    let output = Output { dir: run.evaluate(), config: to_json(config) };
    let upgrade =
        |config: &serde_json::Value| serde_json::from_value::<Config>(config.clone()).map(|config| to_json(&config));
    let changes = |recorded: &_, current: &_| config_changes::<Config>(recorded, current, upgrade);
    Ok(output.stale(inputs, VERSION, changes)?.is_none())
}

fn read_metrics(run: &RunDir) -> Result<Metrics, Error> {
    let manifest = Manifest::require(&run.evaluate(), NAME)?;
    let path = manifest.verified(&run.evaluate(), names::METRICS)?;
    Ok(atomic::read_versioned(&path, names::METRICS, Metrics::SCHEMA_VERSION)?)
}

fn write(
    run: &RunDir,
    evaluation: &Evaluation,
    images: &Images,
    config: &Config,
    inputs: BTreeMap<String, Hash>,
    start: Instant,
) -> Result<(), Error> {
    let writer = DirWriter::create(&run.evaluate())?;
    predictions::write(&writer.path().join(names::PREDICTIONS), &evaluation.predictions)?;
    atomic::write_json(&writer.path().join(names::METRICS), &evaluation.metrics)?;
    examples::write(writer.path(), evaluation, images, config.examples)?;
    let scores = &evaluation.metrics.headline;
    let manifest = Manifest {
        config: to_json(config),
        inputs,
        seconds: start.elapsed().as_secs_f64(),
        device: "cpu".to_owned(),
        summary: json!({
            "dataset": evaluation.metrics.dataset, "split": config.split, "n": scores.n, "model": config.model,
            "accuracy": scores.accuracy, "roc_auc": scores.roc_auc,
        }),
        ..Manifest::of(writer.path(), NAME, Code::current(VERSION)?)?
    };
    manifest.write(writer.path())?;
    Ok(writer.publish()?)
}
