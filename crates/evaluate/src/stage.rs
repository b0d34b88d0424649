//! The stage `evaluate`: checkpoints and shards to the folder `evaluate/` of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use artifacts::atomic::{self, DirWriter};
use artifacts::config::OutOfRange;
use artifacts::hash::{Digest, Hash};
use artifacts::predictions::{self, Prediction};
use artifacts::schema::{Bootstrap, IngestSummary, Metrics, PreprocessorConfig, Robustness, RunMetrics, Scores, Seen};
use artifacts::shard::{ShardSet, Shards};
use artifacts::stage::{Failure, Job, Output, Stage, to_json};
use artifacts::{Checkpoint, Error as ArtifactError, Manifest, RunDir, Split, names, progress};
use model::device::Device;
use serde_json::{Value, json};

use crate::config::Config;
use crate::detector::{self, Detector};
use crate::judge::{Fit, RunPlan, Scored, judge_run, over_runs};
use crate::predict::Preprocessing;
use crate::{Error, explain, inference, robustness};

/// The nominal coverage of every interval.
const LEVEL: f64 = 0.95;

/// The stage.
#[derive(Debug)]
pub struct Evaluate;

impl Stage for Evaluate {
    const NAME: &'static str = names::EVALUATE;
    const VERSION: u32 = 1;
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Failure> {
        config.validate().map_err(Failure::usage)?;
        // Told now, and not when there is a checkpoint to judge.
        model::check_layer(&config.layer).map_err(|e| Failure::usage(format!("evaluate.layer: {e}")))
    }

    fn check_paths(run: &RunDir, config: &Config) -> Result<(), Failure> {
        let refuse =
            |key, path: &Path, range| Err(Failure::input(OutOfRange::new(names::EVALUATE, key, path.display(), range)));
        let is_absent = |path: &Path| !path.is_dir() && !is_inside(path, run.path());
        let ckpt = Path::new(&config.ckpt);
        if Checkpoint::by_name(&config.ckpt).is_none() && is_absent(ckpt) {
            return refuse("ckpt", ckpt, "best, last or the folder of a checkpoint");
        }
        match &config.data {
            Some(data) if is_absent(data) => refuse("data", data, "a folder of shards"),
            _ => Ok(()),
        }
    }

    fn inputs(run: &RunDir, config: &Config) -> Result<BTreeMap<String, Hash>, Failure> {
        let own = ShardSet::open(&run.ingest())?;
        let judged = judged_set(run, config)?;
        let mut inputs = BTreeMap::from([
            (format!("judged {}", config.split), judged.digest(config.split)),
            (format!("own {}", Split::Val), own.digest(Split::Val)),
        ]);
        for (index, checkpoint) in checkpoints(run, config)?.iter().enumerate() {
            inputs.insert(format!("checkpoint {index}"), digest_of(checkpoint)?);
        }
        Ok(inputs)
    }

    fn outputs(run: &RunDir, config: &Config) -> Vec<Output> {
        vec![Output { dir: target(run, config), config: to_json(config) }]
    }

    fn run(job: &Job<Config>) -> Result<(), Failure> {
        let (run, config) = (&job.run, &job.config);
        let device = config.device.open(config.precision).map_err(Error::from)?;
        progress::line(&format!("evaluate: on {device}"));
        for surplus in run.surplus_train_runs() {
            let surplus = surplus.display();
            progress::line(&format!("evaluate: `{surplus}` is left out, because train.runs does not include it"));
        }
        let judged_set = judged_set(run, config)?;
        let judged = judged_set.split(config.split)?;
        let data = Data {
            summary: ingest_summary(&judged_set)?,
            ingest: judged_set.manifest().clone(),
            seen: seen(run, config, &judged)?,
            judged,
            validation: validation(run, config)?,
        };
        let writer = DirWriter::create(&target(run, config))?;
        let metrics = judge_all(&data, &checkpoints(run, config)?, config, &device, writer.path())?;
        let summary = summarise(&metrics);
        atomic::write_json(&writer.path().join(names::METRICS), &metrics)?;
        job.publish(writer, &device.to_string(), summary)?;
        Ok(())
    }
}

/// Whether a path lies in a folder, neither of which need be there.
fn is_inside(path: &Path, dir: &Path) -> bool {
    match (std::path::absolute(path), std::path::absolute(dir)) {
        (Ok(path), Ok(dir)) => path.starts_with(dir),
        _ => false,
    }
}

/// What is judged, and what the fit sees.
struct Data {
    summary: IngestSummary,
    /// How the judged images were made.
    ingest: Manifest,
    judged: Shards,
    validation: Option<Shards>,
    seen: Option<Seen>,
}

/// The folder that the result goes to: `evaluate`, or `evaluate-NAME` where a name is given or the data are not the run's own.
fn target(run: &RunDir, config: &Config) -> PathBuf {
    match config.name.clone().or_else(|| config.data.as_deref().map(data_name)) {
        None => run.evaluate(),
        Some(name) => run.stage(&format!("{}-{name}", names::EVALUATE)),
    }
}

/// What to call a folder of shards: its own name, or its parent's where it is a run's `ingest`.
fn data_name(dir: &Path) -> String {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    name(dir).filter(|own| own != names::INGEST).or_else(|| name(dir.parent()?)).unwrap_or_else(|| "data".to_owned())
}

fn judged_set(run: &RunDir, config: &Config) -> Result<ShardSet, ArtifactError> {
    match &config.data {
        Some(dir) => ShardSet::open(dir),
        None => ShardSet::open(&run.ingest()),
    }
}

/// The validation split of the run's own data, unless it is itself what is judged: a fit on the judged images would
/// flatter them.
fn validation(run: &RunDir, config: &Config) -> Result<Option<Shards>, ArtifactError> {
    let own = ShardSet::open(&run.ingest())?;
    // By content: --data may name the run's own shards.
    let judges_itself = own.has(Split::Val) && judged_set(run, config)?.digest(config.split) == own.digest(Split::Val);
    if judges_itself || !own.has(Split::Val) { Ok(None) } else { own.split(Split::Val).map(Some) }
}

/// How many of the judged images are in the run's own data, where they are not these themselves.
fn seen(run: &RunDir, config: &Config, judged: &Shards) -> Result<Option<Seen>, ArtifactError> {
    if config.data.is_none() {
        return Ok(None);
    }
    let own = ShardSet::open(&run.ingest())?;
    let common = |split| -> Result<u64, ArtifactError> {
        if !own.has(split) {
            return Ok(0);
        }
        // What is looked at are names of files; whether pixels are whole does not matter.
        let known: BTreeSet<[u8; 32]> =
            Shards::open(&run.ingest(), split)?.samples().iter().map(|sample| *sample.id.as_bytes()).collect();
        Ok(judged.samples().iter().filter(|sample| known.contains(sample.id.as_bytes())).count() as u64)
    };
    let seen = Seen { training: common(Split::Train)?, validation: common(Split::Val)? };
    if seen.training > 0 {
        progress::line(&format!(
            "evaluate: warning: {} of {} images are among those the model was trained on; scores on them flatter it",
            seen.training,
            judged.len()
        ));
    }
    Ok(Some(seen))
}

fn ingest_summary(set: &ShardSet) -> Result<IngestSummary, Failure> {
    serde_json::from_value(set.manifest().summary.clone())
        .map_err(|e| Failure::input(format!("the ingest manifest has no readable summary ({e}); run ingest again")))
}

/// The checkpoints that are judged: one of each training run, or the one at a path.
fn checkpoints(run: &RunDir, config: &Config) -> Result<Vec<Checkpoint>, Failure> {
    let Some(of) = Checkpoint::by_name(&config.ckpt) else {
        return Ok(vec![Checkpoint::new(&config.ckpt)]);
    };
    let runs = run.complete_train_runs();
    if runs.is_empty() {
        // Says what is missing and how to make it.
        Manifest::require(&run.train_run(0), names::TRAIN)?;
    }
    check_alike(&runs)?;
    Ok(runs.iter().map(|run| of(run)).collect())
}

/// Runs whose mean is given must differ in nothing but their seeds; an interrupted training of other settings may have made
/// some of them anew and left others.
fn check_alike(runs: &[PathBuf]) -> Result<(), Failure> {
    let mut settings = Vec::new();
    for dir in runs {
        let Manifest { mut config, inputs, .. } = Manifest::require(dir, names::TRAIN)?;
        if let Some(keys) = config.as_object_mut() {
            keys.remove("seed");
        }
        settings.push((config, inputs));
    }
    match settings.iter().position(|found| Some(found) != settings.first()) {
        None => Ok(()),
        Some(other) => Err(Failure::input(format!(
            "`{}` and `{}` were trained with other settings or on other data, so that their mean means nothing; run `cargo \
             xtask train` to its end first, or judge one of them with --ckpt PATH",
            runs[0].display(),
            runs[other].display()
        ))),
    }
}

/// What the judgement depends on of a checkpoint.
fn digest_of(checkpoint: &Checkpoint) -> Result<Hash, ArtifactError> {
    detector::check_presence(checkpoint)?;
    let files = [checkpoint.weights(), checkpoint.model_config(), checkpoint.preprocessor_config()];
    let mut digest = Digest::default();
    for (index, file) in files.iter().enumerate() {
        digest = digest.part(&index.to_string(), artifacts::hash::file(file)?.as_bytes());
    }
    Ok(digest.finish())
}

/// Judges every checkpoint; writes the predictions of all of them and the explanations of the first into `dir`.
fn judge_all(
    data: &Data,
    checkpoints: &[Checkpoint],
    config: &Config,
    device: &Device,
    dir: &Path,
) -> Result<Metrics, Failure> {
    let mut all_predictions: Vec<Prediction> = Vec::new();
    let mut runs = Vec::new();
    for (index, checkpoint) in checkpoints.iter().enumerate() {
        let mut detector = Detector::open(checkpoint, device)?;
        check_preparation(detector.preprocessing(), &data.ingest)?;
        detector.check_layer(&config.layer)?;
        let (predictions, metrics) = judge_one(data, &mut detector, index, config)?;
        if index == 0 && config.examples > 0 {
            explain::write(&dir.join(names::EXPLANATIONS), &mut detector, &data.judged, &predictions, config)?;
        }
        if index == 0 && config.robustness {
            let preprocessing = Preprocessing::of(detector.preprocessing(), checkpoint.path())
                .map_err(Error::from)?
                .after_ingest(&data.ingest);
            let files = data.summary.files.as_ref().map(Path::new);
            let robustness =
                robustness::sweep(&mut detector, &preprocessing, &data.judged, &predictions, files, config)?;
            atomic::write_json(&dir.join(Robustness::FILE), &robustness)?;
        }
        all_predictions.extend(predictions);
        runs.push(metrics);
    }
    predictions::write(&dir.join(names::PREDICTIONS), &all_predictions)?;
    let first: &RunMetrics = runs.first().ok_or_else(|| Failure::input("there is no checkpoint to judge"))?;
    Ok(Metrics {
        schema_version: Metrics::SCHEMA_VERSION,
        dataset: data.summary.source.clone(),
        simulated: data.summary.simulated,
        split: config.split,
        checkpoint: config.ckpt.clone(),
        seen: data.seen,
        headline: first.scores.clone(),
        intervals: first.intervals.clone(),
        bootstrap: Bootstrap { resamples: config.resamples, seed: config.seed, level: LEVEL },
        over_runs: over_runs(&runs),
        runs,
    })
}

/// Refuses images that were not made as the training images were. What the checkpoint does not say is not compared.
fn check_preparation(trained: &PreprocessorConfig, ingest: &Manifest) -> Result<(), Error> {
    let said = [
        ("filter", trained.filter.as_ref().map(|filter| json!(filter))),
        ("fit", trained.fit.as_ref().map(|fit| json!(fit))),
        ("reencode", Some(json!(trained.reencode))),
    ];
    for (key, trained) in said.into_iter().filter_map(|(key, trained)| Some((key, trained?))) {
        let found = ingest.config[key].clone();
        if found != trained {
            return Err(Error::Preparation { key, found, trained });
        }
    }
    Ok(())
}

fn judge_one(
    data: &Data,
    detector: &mut Detector,
    run: usize,
    config: &Config,
) -> Result<(Vec<Prediction>, RunMetrics), Error> {
    let score = |source| Error::Scores { run, source };
    let fit = match &data.validation {
        None => None,
        Some(shards) => {
            let scores = inference::scores(detector, shards, config.batch, "evaluate: validation")?;
            let predictions = inference::predictions(shards, &scores, run, None);
            Fit::new(&Scored::of(&predictions), config.band).map_err(score)?
        }
    };
    let what = format!("evaluate: {}", config.split);
    let scores = inference::scores(detector, &data.judged, config.batch, &what)?;
    let temperature = fit.as_ref().map(|fit| fit.temperature);
    let predictions = inference::predictions(&data.judged, &scores, run, temperature);
    let plan = RunPlan { run, resamples: config.resamples, seed: config.seed };
    let mut metrics = judge_run(&predictions, fit.as_ref(), plan).map_err(score)?;
    metrics.weights = Some(detector.weights());
    Ok((predictions, metrics))
}

/// What the manifest says of the result.
fn summarise(metrics: &Metrics) -> Value {
    let Scores { n, accuracy, roc_auc, pr_auc, f1, .. } = &metrics.headline;
    json!({
        "dataset": metrics.dataset, "simulated": metrics.simulated, "split": metrics.split, "n": n,
        "accuracy": accuracy, "roc_auc": roc_auc, "pr_auc": pr_auc, "f1": f1, "runs": metrics.runs.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_data_are_judged_beside_the_own() {
        let run = RunDir::new("runs/demo");
        assert_eq!(target(&run, &Config::default()), Path::new("runs/demo/evaluate"));
        let foreign = |dir: &str| target(&run, &Config { data: Some(dir.into()), ..Config::default() });
        assert_eq!(foreign("runs/demo/data/faces/ingest"), Path::new("runs/demo/evaluate-faces"));
        assert_eq!(foreign("shards"), Path::new("runs/demo/evaluate-shards"));
        let named =
            |data: Option<PathBuf>| target(&run, &Config { data, name: Some("last".to_owned()), ..Config::default() });
        assert_eq!(named(None), Path::new("runs/demo/evaluate-last"));
        assert_eq!(named(Some("shards".into())), Path::new("runs/demo/evaluate-last"));
    }
}
