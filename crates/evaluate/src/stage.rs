//! The stage `evaluate`: writes the folder `evaluate/` of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use artifacts::atomic::{self, DirWriter};
use artifacts::command;
use artifacts::config::OutOfRange;
use artifacts::hash::{Digest, Hash};
use artifacts::predictions::{self, Prediction};
use artifacts::schema::{Bootstrap, IngestSummary, Metrics, PreprocessorConfig, Robustness, RunMetrics, Scores, Seen};
use artifacts::shard::{ShardSet, Shards};
use artifacts::stage::{Failure, Job, Output, Stage, to_json};
use artifacts::{Checkpoint, Error as ArtifactError, Label, Manifest, RunDir, Split, names, progress};
use model::device::Device;
use serde_json::{Value, json};

use crate::ablation::ablation;
use crate::bootstrap::Resampling;
use crate::config::Config;
use crate::detector::{self, Detector};
use crate::measure::{RunOptions, ScoredImages, ValidationFit, measure_run, over_runs};
use crate::{Error, explain, inference, printed_scores, robustness};

/// Nominal coverage of all intervals.
const LEVEL: f64 = 0.95;

/// Describes how the verdicts of a detector of branches are explained. Change it when a change of code gives other
/// explanations, so that evaluations of such detectors run again.
const EXPLANATIONS_METHOD: &str = "evidence maps, 1";

/// The stage `evaluate`.
#[derive(Debug)]
pub struct Evaluate;

impl Stage for Evaluate {
    const NAME: &'static str = names::EVALUATE;
    const VERSION: u32 = 1;
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Failure> {
        config.validate().map_err(Failure::usage)?;
        // Checked here, because a checkpoint may exist only after hours of training.
        model::check_layer(&config.layer).map_err(|e| Failure::usage(format!("evaluate.layer: {e}")))
    }

    fn check_paths(run: &RunDir, config: &Config) -> Result<(), Failure> {
        let error =
            |key, path: &Path, range| Err(Failure::input(OutOfRange::new(names::EVALUATE, key, path.display(), range)));
        let is_absent = |path: &Path| !path.is_dir() && !is_inside(path, run.path());
        let ckpt = Path::new(&config.ckpt);
        if Checkpoint::by_name(&config.ckpt).is_none() && is_absent(ckpt) {
            return error("ckpt", ckpt, "best, last or the folder of a checkpoint");
        }
        match &config.data {
            Some(data) if is_absent(data) => error("data", data, "a folder of shards"),
            _ => Ok(()),
        }
    }

    fn inputs(run: &RunDir, config: &Config) -> Result<BTreeMap<String, Hash>, Failure> {
        let own = ShardSet::open(&run.ingest())?;
        let evaluated = evaluated_set(run, config)?;
        // Finished evaluations have these keys in their manifests; other names would make them stale.
        let mut inputs = BTreeMap::from([
            (format!("judged {}", config.split), evaluated.digest(config.split)),
            (format!("own {}", Split::Val), own.digest(Split::Val)),
        ]);
        let checkpoints = checkpoints(run, config)?;
        for (index, checkpoint) in checkpoints.iter().enumerate() {
            inputs.insert(format!("checkpoint {index}"), checkpoint_digest(checkpoint)?);
        }
        if let Some(checkpoint) = checkpoints.first()
            && checkpoint.read_model_config()?.detector.is_some()
        {
            inputs.insert("explanations of branches".to_owned(), Hash::of(EXPLANATIONS_METHOD.as_bytes()));
            // Earlier versions computed branches in f32 in spite of this setting, and wrote no such input.
            if config.precision.is_bf16() {
                inputs.insert("precision of branches".to_owned(), Hash::of(b"bf16"));
            }
        }
        // An earlier method degraded the stored pixels of some kinds of sources. A new `Evaluate::VERSION` would make
        // all evaluations stale; this input makes only those with results of the earlier method stale.
        if config.robustness {
            inputs.insert("robustness method".to_owned(), Hash::of(robustness::METHOD.as_bytes()));
        }
        Ok(inputs)
    }

    fn outputs(run: &RunDir, config: &Config) -> Vec<Output> {
        vec![Output { dir: target(run, config), config: to_json(config) }]
    }

    fn run(job: &Job<Config>) -> Result<(), Failure> {
        let (run, config) = (&job.run, &job.config);
        let device = config.device.open(config.precision).map_err(|error| Error::Model(error.into()))?;
        progress::line(&format!("evaluate: on {device}"));
        for surplus in run.surplus_train_runs() {
            let surplus = surplus.display();
            progress::line(&format!("evaluate: `{surplus}` is left out, because train.runs does not include it"));
        }
        let set = evaluated_set(run, config)?;
        let images = set.split(config.split)?;
        let data = EvaluationData {
            summary: ingest_summary(&set)?,
            ingest: set.manifest().clone(),
            seen: seen(run, config, &images)?,
            images,
            validation: validation(run, config)?,
            features: run.features(),
        };
        let writer = DirWriter::create(&target(run, config))?;
        let metrics = evaluate_checkpoints(&data, &checkpoints(run, config)?, config, &device, writer.path())?;
        let summary = manifest_summary(&metrics);
        atomic::write_json(&writer.path().join(names::METRICS), &metrics)?;
        job.publish(writer, &device.to_string(), summary)?;
        let target = target(run, config);
        let mut lines = printed_scores::lines(&metrics);
        if config.robustness {
            let robustness: Robustness = atomic::read_json(&target.join(Robustness::FILE), "robustness")?;
            lines.extend(printed_scores::robustness_line(&robustness));
        }
        lines.push(format!("wrote {}; {}", target.join(names::METRICS).display(), next_command(run, &target)));
        for line in lines {
            progress::line(&format!("evaluate: {line}"));
        }
        Ok(())
    }
}

/// Names the command that shows an evaluation: the report, or for a named evaluation a comparison with that of the run.
fn next_command(run: &RunDir, target: &Path) -> String {
    let folder = run.path().display();
    if target == run.evaluate() {
        format!("`{} --run-dir {folder}` makes the page", command::line("report"))
    } else {
        let compare = command::line("compare");
        format!("`{compare} {folder} {}` compares it with the evaluation of the run", target.display())
    }
}

/// Whether a path is inside a folder. Neither has to exist.
fn is_inside(path: &Path, dir: &Path) -> bool {
    match (std::path::absolute(path), std::path::absolute(dir)) {
        (Ok(path), Ok(dir)) => path.starts_with(dir),
        _ => false,
    }
}

/// The images of an evaluation.
struct EvaluationData {
    summary: IngestSummary,
    /// Manifest of the ingest that made the evaluated images.
    ingest: Manifest,
    /// The evaluated split.
    images: Shards,
    /// The split that temperature, threshold and inconclusive band are fitted on.
    validation: Option<Shards>,
    seen: Option<Seen>,
    /// The folder of stored features.
    features: PathBuf,
}

/// The folder of the result: `evaluate`, or `evaluate-NAME` if a name is given or the data are not the run's own.
fn target(run: &RunDir, config: &Config) -> PathBuf {
    match config.name.clone().or_else(|| config.data.as_deref().map(data_name)) {
        None => run.evaluate(),
        Some(name) => run.stage(&format!("{}-{name}", names::EVALUATE)),
    }
}

/// The name of a folder of shards: its own, or its parent's if it is the `ingest` of a run.
fn data_name(dir: &Path) -> String {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    name(dir).filter(|own| own != names::INGEST).or_else(|| name(dir.parent()?)).unwrap_or_else(|| "data".to_owned())
}

/// The shards to evaluate: `data`, or the run's own.
fn evaluated_set(run: &RunDir, config: &Config) -> Result<ShardSet, ArtifactError> {
    match &config.data {
        Some(dir) => ShardSet::open(dir),
        None => ShardSet::open(&run.ingest()),
    }
}

/// The validation split of the run's own data. `None` if there is none, or if it is the evaluated split: a threshold
/// that is fitted on the evaluated images gives scores that are too good.
fn validation(run: &RunDir, config: &Config) -> Result<Option<Shards>, ArtifactError> {
    let own = ShardSet::open(&run.ingest())?;
    // Compares content, because --data may name the run's own shards.
    let evaluates_validation =
        own.has(Split::Val) && evaluated_set(run, config)?.digest(config.split) == own.digest(Split::Val);
    if evaluates_validation || !own.has(Split::Val) { Ok(None) } else { own.split(Split::Val).map(Some) }
}

/// Counts the evaluated images that are also in the run's own data. `None` if the run's own data are evaluated.
fn seen(run: &RunDir, config: &Config, images: &Shards) -> Result<Option<Seen>, ArtifactError> {
    if config.data.is_none() {
        return Ok(None);
    }
    let own = ShardSet::open(&run.ingest())?;
    let common = |split| -> Result<u64, ArtifactError> {
        if !own.has(split) {
            return Ok(0);
        }
        // Opens the shards without checking their pixels: only the ids are read.
        let known: BTreeSet<[u8; 32]> =
            Shards::open(&run.ingest(), split)?.samples().iter().map(|sample| *sample.id.as_bytes()).collect();
        Ok(images.samples().iter().filter(|sample| known.contains(sample.id.as_bytes())).count() as u64)
    };
    let seen = Seen { training: common(Split::Train)?, validation: common(Split::Val)? };
    if seen.training > 0 {
        progress::line(&format!(
            "evaluate: warning: {} of {} images are in the training split of this run; scores on them are too good",
            seen.training,
            images.len()
        ));
    }
    Ok(Some(seen))
}

fn ingest_summary(set: &ShardSet) -> Result<IngestSummary, Failure> {
    serde_json::from_value(set.manifest().summary.clone())
        .map_err(|e| Failure::input(format!("the ingest manifest has no readable summary ({e}); run ingest again")))
}

/// The checkpoints to evaluate: one of each training run, or the one at a path.
fn checkpoints(run: &RunDir, config: &Config) -> Result<Vec<Checkpoint>, Failure> {
    let Some(checkpoint_of) = Checkpoint::by_name(&config.ckpt) else {
        return Ok(vec![Checkpoint::new(&config.ckpt)]);
    };
    let runs = run.complete_train_runs();
    if runs.is_empty() {
        // Fails with advice on how to train.
        Manifest::require(&run.train_run(0), names::TRAIN)?;
    }
    check_same_settings(&runs)?;
    Ok(runs.iter().map(|run| checkpoint_of(run)).collect())
}

/// Checks that training runs differ only in their seeds, because their mean is computed. If a training with new
/// settings is interrupted, some runs still have the former settings.
fn check_same_settings(runs: &[PathBuf]) -> Result<(), Failure> {
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
            "`{}` and `{}` were trained with different settings or on different data, so their mean is meaningless; \
             finish `{}` first, or evaluate one of them with --ckpt PATH",
            runs[0].display(),
            runs[other].display(),
            command::line("train")
        ))),
    }
}

/// Digest of the files of a checkpoint that the result depends on.
fn checkpoint_digest(checkpoint: &Checkpoint) -> Result<Hash, ArtifactError> {
    detector::check_presence(checkpoint)?;
    let files = [checkpoint.weights(), checkpoint.model_config(), checkpoint.preprocessor_config()];
    let mut digest = Digest::default();
    for (index, file) in files.iter().enumerate() {
        digest = digest.part(&index.to_string(), artifacts::hash::file(file)?.as_bytes());
    }
    // The file exists only for detectors of branches.
    if let Some(path) = held_out_path(checkpoint).filter(|path| path.exists()) {
        digest = digest.part("held out", artifacts::hash::file(&path)?.as_bytes());
    }
    Ok(digest.finish())
}

/// Evaluates all checkpoints. Writes their predictions, and explanations and robustness of the first one, to `dir`.
fn evaluate_checkpoints(
    data: &EvaluationData,
    checkpoints: &[Checkpoint],
    config: &Config,
    device: &Device,
    dir: &Path,
) -> Result<Metrics, Failure> {
    let mut all_predictions: Vec<Prediction> = Vec::new();
    let mut runs = Vec::new();
    for (index, checkpoint) in checkpoints.iter().enumerate() {
        let mut detector = Detector::open(checkpoint, device)?;
        check_preprocessing(detector.preprocessing(), &data.ingest)?;
        detector.check_layer(&config.layer)?;
        let held_out = held_out(checkpoint, &detector)?;
        let (predictions, metrics) = evaluate_checkpoint(data, &mut detector, held_out.as_ref(), index, config)?;
        if index == 0 && config.examples > 0 {
            explain::write(&dir.join(names::EXPLANATIONS), &mut detector, &data.images, &predictions, config)?;
        }
        if index == 0 && config.robustness {
            let robustness = robustness::sweep(&mut detector, &data.images, &predictions, &data.ingest, config)?;
            atomic::write_json(&dir.join(Robustness::FILE), &robustness)?;
        }
        all_predictions.extend(predictions);
        runs.push(metrics);
    }
    predictions::write(&dir.join(names::PREDICTIONS), &all_predictions)?;
    let first: &RunMetrics = runs.first().ok_or_else(|| Failure::input("there is no checkpoint to evaluate"))?;
    Ok(Metrics {
        schema_version: Metrics::SCHEMA_VERSION,
        dataset: data.summary.source.clone(),
        simulated: data.summary.simulated,
        split: config.split,
        checkpoint: config.ckpt.clone(),
        seen: data.seen,
        judged: None,
        headline: first.scores.clone(),
        intervals: first.intervals.clone(),
        bootstrap: Bootstrap { resamples: config.resamples, seed: config.seed, level: LEVEL },
        over_runs: over_runs(&runs),
        runs,
    })
}

/// Checks that the images were ingested with the same settings as the training images, as far as the checkpoint records
/// these settings.
fn check_preprocessing(trained: &PreprocessorConfig, ingest: &Manifest) -> Result<(), Error> {
    let recorded = [
        ("filter", trained.filter.as_ref().map(|filter| json!(filter))),
        ("fit", trained.fit.as_ref().map(|fit| json!(fit))),
        ("reencode", Some(json!(trained.reencode))),
    ];
    for (key, trained) in recorded.into_iter().filter_map(|(key, trained)| Some((key, trained?))) {
        let found = ingest.config[key].clone();
        if found != trained {
            return Err(Error::IngestSettings { key, found: Box::new(found), trained: Box::new(trained) });
        }
    }
    Ok(())
}

/// Reads the predictions for held-out generators that belong to a checkpoint of a detector of branches.
fn held_out(checkpoint: &Checkpoint, detector: &Detector) -> Result<Option<ScoredImages>, Error> {
    let path = held_out_path(checkpoint).filter(|path| detector.branch_detector().is_some() && path.exists());
    let predictions = path.map(|path| predictions::read(&path)).transpose()?;
    Ok(predictions.map(|predictions| ScoredImages::of(&predictions)))
}

/// The path of the predictions for held-out generators: in the folder of the training run.
fn held_out_path(checkpoint: &Checkpoint) -> Option<PathBuf> {
    let folder = checkpoint.path().canonicalize().ok()?;
    Some(folder.parent()?.join(names::HELD_OUT))
}

fn evaluate_checkpoint(
    data: &EvaluationData,
    detector: &mut Detector,
    held_out: Option<&ScoredImages>,
    run: usize,
    config: &Config,
) -> Result<(Vec<Prediction>, RunMetrics), Error> {
    let scores_error = |source| Error::Scores { run, source };
    let fit = match &data.validation {
        None => None,
        Some(shards) => {
            let label = "evaluate: validation";
            let scores = inference::scores(detector, shards, config.batch, &data.features, label)?;
            let predictions = inference::predictions(shards, &scores, &detector.branches(), run, None);
            let fit = ValidationFit::new(&ScoredImages::of(&predictions), config.band).map_err(scores_error)?;
            match (fit, held_out) {
                (Some(fit), Some(held_out)) => Some(fit.with_held_out(held_out, config.band).map_err(scores_error)?),
                (fit, _) => fit,
            }
        }
    };
    let label = format!("evaluate: {}", config.split);
    let scores = inference::scores(detector, &data.images, config.batch, &data.features, &label)?;
    let temperature = fit.as_ref().map(|fit| fit.temperature);
    let predictions = inference::predictions(&data.images, &scores, &detector.branches(), run, temperature);
    let resampling = Resampling { resamples: config.resamples, seed: config.seed };
    let options = RunOptions { run, resampling };
    let mut metrics = measure_run(&predictions, fit.as_ref(), options).map_err(scores_error)?;
    metrics.weights = Some(detector.weights());
    if let Some(branches) = detector.branch_detector() {
        let labels: Vec<Label> = predictions.iter().map(|prediction| prediction.label).collect();
        let margins: Vec<&[Option<f32>]> = scores.iter().map(|score| score.branches.as_slice()).collect();
        metrics.ablation = ablation(&branches.fusion_weights(), &labels, &margins).map_err(scores_error)?;
    }
    Ok((predictions, metrics))
}

/// The summary in the manifest of the evaluation.
fn manifest_summary(metrics: &Metrics) -> Value {
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
    fn other_data_and_names_have_their_own_folders() {
        let run = RunDir::new("runs/demo");
        assert_eq!(target(&run, &Config::default()), Path::new("runs/demo/evaluate"));
        let of_data = |dir: &str| target(&run, &Config { data: Some(dir.into()), ..Config::default() });
        assert_eq!(of_data("runs/demo/data/faces/ingest"), Path::new("runs/demo/evaluate-faces"));
        assert_eq!(of_data("shards"), Path::new("runs/demo/evaluate-shards"));
        let named =
            |data: Option<PathBuf>| target(&run, &Config { data, name: Some("last".to_owned()), ..Config::default() });
        assert_eq!(named(None), Path::new("runs/demo/evaluate-last"));
        assert_eq!(named(Some("shards".into())), Path::new("runs/demo/evaluate-last"));
    }
}
