//! The stage `train`: trains or resumes each run that is not up to date.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use artifacts::command;
use artifacts::failure::chain;
use artifacts::hash::{self, Hash};
use artifacts::schema::{Epoch, ImageSize, ModelConfig, PreprocessorConfig};
use artifacts::shard::{ShardSet, Shards};
use artifacts::stage::{Failure, Job, Output, Stage, Warning};
use artifacts::{Code, Label, Manifest, RunDir, Split, names, progress};
use branches::BranchName;
use model::Normalisation;
use model::device::{Device, DeviceChoice};
use model::weights::{self, Source};
use pixels::Recipe;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::backup;
use crate::blueprint::{Baseline, Blueprint, BranchSet, Created, Preparation, Splits};
use crate::checkpoint::{Description, SavedTraining, TrainingPosition, TrainingState};
use crate::config::Config;
use crate::disk_space::{self, SpaceCheck};
use crate::error::Error;
use crate::folder::{RunFolder, RunRequest};
use crate::identity::Identity;
use crate::interrupt::InterruptFlag;
use crate::recorded::{self, output_of_run};
use crate::replacement;
use crate::training_loop::{TrainingEnd, TrainingLoop};

/// The stage `train`.
#[derive(Debug)]
pub struct Train;

impl Stage for Train {
    const NAME: &'static str = names::TRAIN;
    const VERSION: u32 = 1;
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Failure> {
        config.validate().map_err(Failure::usage)?;
        // Check weights and device before ingest runs, which may take hours.
        if !config.model.is_resnet() {
            branches::check_weights(&config.model).map_err(Error::from)?;
        }
        if config.model.resnet_branch().is_some()
            && let Source::Path(path) = &config.weights
        {
            fs::metadata(path).map_err(|source| Error::Weights { path: path.clone(), source })?;
            weights::check(path).map_err(|error| Failure::input(format!("train.weights: {}", chain(&error))))?;
        }
        if let DeviceChoice::Cuda(_) = config.device {
            config.device.open(config.precision).map_err(|error| Error::Model(error.into()))?;
        }
        Ok(())
    }

    fn inputs(run: &RunDir, config: &Config) -> Result<BTreeMap<String, Hash>, Failure> {
        let set = ShardSet::open(&run.ingest())?;
        let mut inputs = BTreeMap::new();
        for split in [Split::Train, Split::Val] {
            if !set.has(split) {
                return Err(artifacts::Error::Missing {
                    artifact: format!("{split} split"),
                    path: run.ingest(),
                    advice: format!(
                        "add it to the source, or let ingest take it from the training images with \
                         ingest.val_fraction, and run `{}`",
                        command::line("ingest")
                    ),
                }
                .into());
            }
            inputs.insert(format!("ingest/{split}"), set.digest(split));
        }
        for (name, source) in initial_weights(config) {
            inputs.extend(weights_digest(&source)?.map(|digest| (name.to_owned(), digest)));
        }
        Ok(inputs)
    }

    fn outputs(run: &RunDir, config: &Config) -> Vec<Output> {
        (0..config.runs).map(|k| output_of_run(run, config, k)).collect()
    }

    fn upgrade_config(config: &Value) -> serde_json::Result<Value> {
        recorded::upgrade(config)
    }

    fn notices(_run: &RunDir, config: &Config) -> Vec<String> {
        let notice = |(_, source)| {
            let Source::Hub(name) = source else { return None };
            match hub::size(&name) {
                Ok(Some(0)) => None,
                Ok(Some(bytes)) => {
                    let size = progress::bytes(bytes);
                    Some(format!("downloads the weights {name} ({size}) into the Hugging Face cache"))
                }
                Ok(None) => Some(format!("downloads the weights {name}, of unknown size, into the Hugging Face cache")),
                // The stage will fail for the same reason.
                Err(error) => Some(error.to_string()),
            }
        };
        initial_weights(config).into_iter().filter_map(notice).collect()
    }

    fn warnings(
        run: &RunDir,
        config: &Config,
        inputs: Option<&BTreeMap<String, Hash>>,
        force: bool,
    ) -> Result<Vec<Warning>, Failure> {
        replacement::warnings(run, config, inputs, Train::VERSION, force)
    }

    fn run(job: &Job<Config>) -> Result<(), Failure> {
        let interrupt = InterruptFlag::install().map_err(Error::Signals)?;
        let Job { run, config, inputs, code, force, .. } = job;
        let stop = &|_| interrupt.is_set();
        let free_space = &disk_space::free_space;
        train_stale_runs(&TrainingRequest { run, config, inputs, code, force: *force, stop, free_space })
    }
}

/// The request to train all runs of a configuration.
pub(crate) struct TrainingRequest<'a> {
    /// The run folder.
    pub(crate) run: &'a RunDir,
    /// The resolved configuration.
    pub(crate) config: &'a Config,
    /// Digests of the inputs.
    pub(crate) inputs: &'a BTreeMap<String, Hash>,
    /// The running program and the version of the stage.
    pub(crate) code: &'a Code,
    /// Train complete runs again (`--force`).
    pub(crate) force: bool,
    /// Called with the number of each step. If it returns `true`, the training saves its state and ends.
    pub(crate) stop: &'a dyn Fn(u64) -> bool,
    /// Returns the free bytes on the file system of a folder, or `None` if they are unknown.
    pub(crate) free_space: &'a dyn Fn(&Path) -> Option<u64>,
}

/// Returns the sources of pretrained weights of the configured detector, with the names of these inputs in manifests.
fn initial_weights(config: &Config) -> Vec<(&'static str, Source)> {
    let mut sources = Vec::new();
    if config.model.branches.contains(&BranchName::Vit) {
        sources.push(("weights", config.model.vit.weights.clone()));
    }
    if config.model.resnet_branch().is_some() {
        let name = if sources.is_empty() { "weights" } else { "weights of the ResNet" };
        sources.push((name, config.network_weights()));
    }
    sources
}

/// Computes the digest of the initial weights for the up-to-date check. A file is hashed by its content. A name on the
/// hub is hashed as text, so that an empty cache or an unreachable hub does not make a training stale. To fix the
/// content, append `@revision` to the name.
fn weights_digest(source: &Source) -> Result<Option<Hash>, Error> {
    match source {
        Source::None => Ok(None),
        Source::Hub(name) => Ok(Some(Hash::of(name.as_bytes()))),
        Source::Path(path) => hash::file(path).map(Some).map_err(|error| match error {
            artifacts::Error::Io { path, source, .. } => Error::Weights { path, source },
            other => other.into(),
        }),
    }
}

/// Trains every run that is not up to date.
pub(crate) fn train_stale_runs(request: &TrainingRequest<'_>) -> Result<(), Failure> {
    let trainer = Trainer::open(request)?;
    for (k, output) in Train::outputs(request.run, request.config).iter().enumerate() {
        if request.force || recorded::stale(output, request.inputs, request.code.version)?.is_some() {
            trainer.train_run(k, output)?;
        }
    }
    set_aside_stale_surplus_runs(request)
}

/// Sets aside runs beyond `train.runs` that are not up to date. Otherwise evaluation would average them with the other
/// runs if `train.runs` were raised again.
fn set_aside_stale_surplus_runs(request: &TrainingRequest<'_>) -> Result<(), Failure> {
    for k in request.config.runs.. {
        let output = output_of_run(request.run, request.config, k);
        if !output.dir.exists() {
            return Ok(());
        }
        if let Some(reason) = recorded::stale(&output, request.inputs, request.code.version)? {
            let backup = backup::set_aside(&output.dir, &output.dir)?;
            progress::line(&format!(
                "train: `{}` is beyond train.runs = {} and not up to date, because {reason}; {}",
                output.dir.display(),
                request.config.runs,
                backup::describe(&output.dir, &backup)
            ));
        }
    }
    Ok(())
}

/// Data and device, shared by all runs.
struct Trainer<'a> {
    request: &'a TrainingRequest<'a>,
    splits: Splits,
    device: Device,
    blueprint: Box<dyn Blueprint + 'a>,
    description: Description,
}

impl<'a> Trainer<'a> {
    fn open(request: &'a TrainingRequest<'a>) -> Result<Trainer<'a>, Failure> {
        let TrainingRequest { run, config, stop, .. } = *request;
        let set = ShardSet::open(&run.ingest())?;
        let [train, val] = [set.split(Split::Train)?, set.split(Split::Val)?].map(Arc::new);
        if train.len() < 2 {
            return Err(Error::TooFewImages { images: train.len() }.into());
        }
        let classes: BTreeSet<Label> = train.samples().iter().map(|sample| sample.label).collect();
        if let (1, Some(only)) = (classes.len(), classes.first()) {
            return Err(Error::OneClass { only: *only }.into());
        }
        let device = config.device.open(config.precision).map_err(|error| Error::Model(error.into()))?;
        let size = if config.model.is_resnet() {
            let [height, width] = train.size();
            format!(" of {width}x{height}")
        } else {
            let names: Vec<&str> = config.model.branches.iter().map(|branch| branch.name()).collect();
            format!(" at native resolution for the branches {}", names.join(", "))
        };
        progress::line(&format!(
            "train: {} training and {} validation images{size}, on {device}",
            train.len(),
            val.len(),
        ));
        let blueprint: Box<dyn Blueprint> = if config.model.is_resnet() {
            Box::new(Baseline::open(config, device.clone())?)
        } else {
            Box::new(BranchSet::open(config, run)?)
        };
        let recipe = Recipe::deserialize(&set.manifest().config).map_err(|error| {
            Failure::input(format!(
                "failed to read the configuration in the ingest manifest ({error}); run ingest again"
            ))
        })?;
        let description = describe(blueprint.model_config(), &train, &recipe);
        let prepare = |shards| match blueprint.images(shards, &|| stop(0))? {
            Some(images) => Ok(Arc::new(images)),
            None => Err(Failure::Interrupted),
        };
        let splits = Splits { train: prepare(train)?, val: prepare(val)? };
        Ok(Trainer { request, splits, device, blueprint, description })
    }

    /// Trains run `k` to its last epoch.
    fn train_run(&self, k: usize, output: &Output) -> Result<(), Failure> {
        let TrainingRequest { config, inputs, code, force, stop, free_space, .. } = *self.request;
        let identity = Identity::new(&output.config, inputs, code.version, self.device.kind());
        let wanted = RunRequest { identity: &identity, epochs: config.epochs, force };
        let (folder, saved) = RunFolder::open(&output.dir, wanted)?;
        let name = output.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let seed = config.run_seed(k);
        self.blueprint.install(folder.path())?;
        let key = identity.digest(config.epochs).map_err(|error| Failure::failed(error.to_string()))?;
        let space = SpaceCheck {
            folder: folder.path(),
            epochs: config.epochs,
            description: &self.description,
            position: &TrainingPosition::start(identity.clone()),
            free_space,
        };
        let preparation = Preparation { folder: folder.path(), seed, key, space };
        if !self.blueprint.prepare(&preparation, &self.splits, &|| stop(0))? {
            return Err(Failure::Interrupted);
        }
        let resumed = match saved.map(|saved| self.resume(saved, &identity, seed, &name)).transpose() {
            Err(Error::DamagedCheckpoint { detail, .. }) if force => {
                folder.start_afresh(&detail)?;
                None
            }
            resumed => resumed?,
        };
        let (mut training, splits) = match resumed {
            Some(resumed) => resumed,
            None => {
                let Created { learner, splits } = self.blueprint.create(seed, true, &self.splits)?;
                (TrainingState { learner, position: TrainingPosition::start(identity) }, splits)
            }
        };
        // A training that is at its end writes no more checkpoints.
        if training.position.complete_epochs() < config.epochs {
            space.check(&*training.learner)?;
        }
        let training_loop = TrainingLoop {
            config,
            seed,
            train: &splits.train,
            val: &splits.val,
            folder: &folder,
            description: &self.description,
            name: &name,
            stop,
        };
        let rows = match training_loop.run_epochs(&mut training)? {
            TrainingEnd::Finished(rows) => rows,
            TrainingEnd::Interrupted => return Err(Failure::Interrupted),
        };
        Ok(folder.complete(|dir| self.manifest(dir, output, &rows))?)
    }

    /// Restores the model of an interrupted training.
    fn resume(
        &self,
        mut saved: SavedTraining,
        identity: &Identity,
        seed: u64,
        name: &str,
    ) -> Result<(TrainingState, Splits), Error> {
        let TrainingPosition { epoch, batches, .. } = saved.position;
        progress::line(&format!(
            "train: {name} resumes from `{}`, epoch {epoch} after {batches} batches",
            saved.path().display()
        ));
        saved.position.upgrade(identity);
        let Created { learner, splits } = self.blueprint.create(seed, false, &self.splits)?;
        Ok((saved.restore(learner)?, splits))
    }

    fn manifest(&self, dir: &Path, output: &Output, rows: &[Epoch]) -> Result<Manifest, Error> {
        let seconds = rows.iter().map(|row| row.train_seconds + row.val_seconds).sum();
        Ok(Manifest {
            config: output.config.clone(),
            inputs: self.request.inputs.clone(),
            seconds,
            device: self.device.to_string(),
            summary: self.summary(rows)?,
            ..Manifest::of(dir, names::TRAIN, self.request.code.clone())?
        })
    }

    /// Returns the summary for the manifest of a run. The report shows it.
    fn summary(&self, rows: &[Epoch]) -> Result<Value, Error> {
        let best = rows.iter().rfind(|row| row.best);
        let images: f64 = (rows.len() * self.splits.train.len()) as f64;
        let seconds: f64 = rows.iter().map(|row| row.train_seconds).sum();
        let (weights, weights_hash) = self.blueprint.pretrained()?;
        Ok(json!({
            "best_by": self.request.config.select(),
            "best_epoch": best.map(|row| row.epoch),
            "best_val_accuracy": best.map(|row| row.val_accuracy),
            "best_val_loss": best.map(|row| row.val_loss),
            "best_val_roc_auc": best.and_then(|row| row.val_roc_auc),
            "epochs": rows.len(),
            "steps": rows.last().map(|row| row.step),
            "train_images": self.splits.train.len(),
            "val_images": self.splits.val.len(),
            "images_per_second": images / seconds.max(1e-9),
            "weights": weights,
            "weights_blake3": weights_hash,
        }))
    }
}

/// Returns the content of `config.json` and `preprocessor_config.json`.
fn describe(model: ModelConfig, train: &Shards, recipe: &Recipe) -> Description {
    let [height, width] = train.size();
    let Normalisation { mean, std } = Normalisation::default();
    Description {
        model,
        preprocessor: PreprocessorConfig { size: ImageSize { height, width }, ..recipe.preprocessor_config(mean, std) },
    }
}
