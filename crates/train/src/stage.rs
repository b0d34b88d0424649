//! The stage `train`: trains or resumes each run that is not up to date.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use artifacts::command;
use artifacts::failure::chain;
use artifacts::hash::{self, Hash};
use artifacts::schema::{Epoch, ImageSize, ModelConfig, PreprocessorConfig};
use artifacts::shard::{ShardSet, Shards};
use artifacts::stage::{Failure, Job, Output, Stage, Warning};
use artifacts::{Code, Label, Manifest, RunDir, Split, names, progress};
use branches::BranchName;
use exchange::{Alone, Exchange};
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
use crate::orders::{Order, send};
use crate::recorded::{self, output_of_run};
use crate::records::Records;
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
        // Earlier versions computed branches in f32 in spite of this setting, and wrote no such input.
        if !config.model.is_resnet() && config.precision.is_bf16() {
            inputs.insert("precision of branches".to_owned(), Hash::of(b"bf16"));
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
        // An error is an obstacle.
        download_notices(config).filter_map(|notice| notice.ok().flatten()).collect()
    }

    fn obstacles(_run: &RunDir, config: &Config) -> Vec<String> {
        download_notices(config).filter_map(Result::err).map(|error| error.to_string()).collect()
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
        let (free_space, exchange) = (&disk_space::free_space, &exchange::current());
        train_stale_runs(&TrainingRequest { run, config, inputs, code, force: *force, exchange, stop, free_space })
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
    /// The processes that train together. This is the first one.
    pub(crate) exchange: &'a Rc<dyn Exchange>,
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

/// Describes the downloads of initial weights.
fn download_notices(config: &Config) -> impl Iterator<Item = Result<Option<String>, hub::Error>> {
    let names = initial_weights(config).into_iter().filter_map(|(_, source)| match source {
        Source::Hub(name) => Some(name),
        Source::None | Source::Path(_) => None,
    });
    names.map(|name| hub::download_notice("weights", &name))
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
    let TrainingRequest { run, config, exchange, stop, .. } = *request;
    let trainer = Trainer::open(run, config, exchange, stop)?;
    for (k, output) in Train::outputs(request.run, request.config).iter().enumerate() {
        if request.force || recorded::stale(output, request.inputs, request.code.version)?.is_some() {
            trainer.train_run(request, k, output)?;
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
pub(crate) struct Trainer<'a> {
    config: &'a Config,
    /// The processes that train a network together.
    exchange: Rc<dyn Exchange>,
    stop: &'a dyn Fn(u64) -> bool,
    splits: Splits,
    device: Device,
    blueprint: Box<dyn Blueprint + 'a>,
    description: Description,
}

impl<'a> Trainer<'a> {
    /// Opens the shards of a run, finds the initial weights, and computes the features of frozen branches. The first process
    /// makes the others do so.
    pub(crate) fn open(
        run: &'a RunDir,
        config: &'a Config,
        exchange: &'a Rc<dyn Exchange>,
        stop: &'a dyn Fn(u64) -> bool,
    ) -> Result<Trainer<'a>, Failure> {
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
        check_processes(config, &device, exchange.world())?;
        let size = if config.model.is_resnet() {
            let [height, width] = train.size();
            format!(" of {width}x{height}")
        } else {
            let names: Vec<&str> = config.model.branches.iter().map(|branch| branch.name()).collect();
            format!(" at native resolution for the branches {}", names.join(", "))
        };
        progress::line(&format!(
            "train: {} training and {} validation images{size}, on {device}{}",
            train.len(),
            val.len(),
            describe_processes(exchange.world()),
        ));
        let blueprint: Box<dyn Blueprint> = if config.model.is_resnet() {
            Box::new(Baseline::open(config, device.clone(), Rc::clone(exchange))?)
        } else {
            Box::new(BranchSet::open(config, run, device.clone(), Rc::clone(exchange))?)
        };
        let recipe = Recipe::deserialize(&set.manifest().config).map_err(|error| {
            Failure::input(format!(
                "failed to read the configuration in the ingest manifest ({error}); run ingest again"
            ))
        })?;
        let description = describe(blueprint.model_config(), &train, &recipe);
        if exchange.is_first() {
            let folder = std::path::absolute(run.path()).map_err(artifacts::Error::io("find", run.path()))?;
            send(&**exchange, &Order::Open { run: folder, config: Box::new(config.clone()) })?;
        }
        let prepare = |shards| match blueprint.images(shards, &|| stop(0))? {
            Some(images) => Ok(Arc::new(images)),
            None => Err(Failure::Interrupted),
        };
        let splits = Splits { train: prepare(train)?, val: prepare(val)? };
        // The heads of a detector of branches take little time: the first process trains them alone.
        let exchange = if config.model.is_resnet() { Rc::clone(exchange) } else { Rc::new(Alone) };
        Ok(Trainer { config, exchange, stop, splits, device, blueprint, description })
    }

    /// Trains run `k` to its last epoch, together with the other processes.
    fn train_run(&self, request: &TrainingRequest<'_>, k: usize, output: &Output) -> Result<(), Failure> {
        let TrainingRequest { config, inputs, code, force, stop, free_space, .. } = *request;
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
        let resumed = match saved.map(|saved| self.resume(saved, Some(&identity), seed, &name)).transpose() {
            Err(Error::DamagedCheckpoint { detail, .. }) if force => {
                folder.start_afresh(&detail)?;
                None
            }
            resumed => resumed?,
        };
        let resume_from = resumed.is_some().then(|| std::path::absolute(folder.path())).transpose();
        let resume_from = resume_from.map_err(artifacts::Error::io("find", folder.path()))?;
        let (mut training, splits) = match resumed {
            Some(resumed) => resumed,
            None => self.start(identity, seed)?,
        };
        if let Some(former) = training.position.note_processes(self.exchange.world()) {
            let world = self.exchange.world();
            progress::line(&format!(
                "train: the number of processes of {name} changes from {former} to {world}; the result may differ from that \
                 of an uninterrupted training"
            ));
        }
        // A training that is at its end writes no more checkpoints.
        if training.position.complete_epochs() < config.epochs {
            space.check(&*training.learner)?;
        }
        let mut records = Records::open(&folder, &self.description, &training)?;
        send(&*self.exchange, &Order::Train { run: k, resume_from })?;
        let rows = match self.training_loop(seed, &splits, &name).run_epochs(&mut training, &mut records)? {
            TrainingEnd::Finished(rows) => rows,
            TrainingEnd::Interrupted => return Err(Failure::Interrupted),
        };
        let processes = &training.position.processes;
        Ok(folder.complete(|dir| self.manifest(request, dir, output, &rows, processes))?)
    }

    /// Trains run `k` together with the first process, which writes the results. `resume_from` is the folder with the
    /// checkpoint `last`.
    pub(crate) fn join_run(&self, k: usize, resume_from: Option<&Path>) -> Result<(), Error> {
        let seed = self.config.run_seed(k);
        let identity = Identity::new(&self.config.of_run(k), &BTreeMap::new(), Train::VERSION, self.device.kind());
        let (mut training, splits) = match resume_from {
            None => self.start(identity, seed)?,
            Some(folder) => {
                let missing = || Error::DamagedCheckpoint {
                    path: folder.to_owned(),
                    detail: "another process of this training finds no checkpoint there".to_owned(),
                };
                self.resume(SavedTraining::find(folder)?.ok_or_else(missing)?, None, seed, "")?
            }
        };
        self.training_loop(seed, &splits, "").run_epochs(&mut training, &mut Records::of_other_process())?;
        Ok(())
    }

    /// Creates the model of a training that starts.
    fn start(&self, identity: Identity, seed: u64) -> Result<(TrainingState, Splits), Error> {
        let Created { learner, splits } = self.blueprint.create(seed, true, &self.splits)?;
        Ok((TrainingState { learner, position: TrainingPosition::start(identity) }, splits))
    }

    fn training_loop<'b>(&'b self, seed: u64, splits: &'b Splits, name: &'b str) -> TrainingLoop<'b> {
        let Trainer { config, stop, .. } = *self;
        TrainingLoop { config, seed, train: &splits.train, val: &splits.val, exchange: &*self.exchange, name, stop }
    }

    /// Restores the model of an interrupted training. With an identity, its position is converted to the current schema
    /// version.
    fn resume(
        &self,
        mut saved: SavedTraining,
        identity: Option<&Identity>,
        seed: u64,
        name: &str,
    ) -> Result<(TrainingState, Splits), Error> {
        let TrainingPosition { epoch, batches, .. } = saved.position;
        progress::line(&format!(
            "train: {name} resumes from `{}`, epoch {epoch} after {batches} batches",
            saved.path().display()
        ));
        if let Some(identity) = identity {
            saved.position.upgrade(identity);
        }
        let Created { learner, splits } = self.blueprint.create(seed, false, &self.splits)?;
        Ok((saved.restore(learner)?, splits))
    }

    fn manifest(
        &self,
        request: &TrainingRequest<'_>,
        dir: &Path,
        output: &Output,
        rows: &[Epoch],
        processes: &[usize],
    ) -> Result<Manifest, Error> {
        let seconds = rows.iter().map(|row| row.train_seconds + row.val_seconds).sum();
        Ok(Manifest {
            config: output.config.clone(),
            inputs: request.inputs.clone(),
            seconds,
            device: self.device.to_string(),
            summary: self.summary(rows, processes)?,
            ..Manifest::of(dir, names::TRAIN, request.code.clone())?
        })
    }

    /// Returns the summary for the manifest of a run. The report shows it.
    fn summary(&self, rows: &[Epoch], processes: &[usize]) -> Result<Value, Error> {
        let best = rows.iter().rfind(|row| row.best);
        let images: f64 = (rows.len() * self.splits.train.len()) as f64;
        let seconds: f64 = rows.iter().map(|row| row.train_seconds).sum();
        let (weights, weights_hash) = self.blueprint.pretrained()?;
        let mut summary = json!({
            "best_by": self.config.select(),
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
        });
        if !processes.is_empty() {
            summary["processes"] = json!(processes);
        }
        Ok(summary)
    }
}

/// Checks that several processes can do this training.
fn check_processes(config: &Config, device: &Device, processes: usize) -> Result<(), Error> {
    let reason = if processes == 1 {
        return Ok(());
    } else if !config.model.is_resnet() && config.model.trained_branches().next().is_some() {
        "only one process trains a detector with a branch that is a network to be trained"
    } else if !device.is_cpu() {
        "several processes train on processors only (--device cpu)"
    } else {
        return Ok(());
    };
    Err(Error::OneProcess { processes, reason })
}

/// `, in 2 processes`, for messages. Empty for one process.
fn describe_processes(processes: usize) -> String {
    if processes == 1 { String::new() } else { format!(", in {processes} processes") }
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
