//! The stage: each run that is not up to date is trained, or resumed, in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use artifacts::failure::chain;
use artifacts::hash::{self, Digest, Hash};
use artifacts::schema::{Epoch, ImageSize, ModelConfig, PreprocessorConfig};
use artifacts::shard::{ShardSet, Shards};
use artifacts::stage::{Failure, Job, Output, Stage};
use artifacts::{Code, Label, Manifest, RunDir, Split, names, progress};
use model::device::{Device, DeviceChoice};
use model::weights::{self, Source};
use model::{Adam, Network, NetworkConfig};
use serde_json::{Value, json};

use crate::aside;
use crate::checkpoint::{Description, Identity, Position, Saved, Training};
use crate::config::Config;
use crate::error::Error;
use crate::folder::{RunFolder, Wanted};
use crate::interrupt::InterruptFlag;
use crate::training_loop::{TrainingEnd, TrainingLoop};

/// The stage `train`.
#[derive(Debug)]
pub struct Train;

impl Stage for Train {
    const NAME: &'static str = names::TRAIN;
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Failure> {
        config.validate().map_err(Failure::usage)?;
        // Told now, and not when ingest has run for hours.
        if let Source::Path(path) = &config.weights {
            fs::metadata(path).map_err(|source| Error::Weights { path: path.clone(), source })?;
            weights::check(path).map_err(|error| Failure::input(format!("train.weights: {}", chain(&error))))?;
        }
        if let DeviceChoice::Cuda(_) = config.device {
            config.device.open(config.precision).map_err(Error::from)?;
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
                    advice: "give the source one, or let ingest make it from the training images with \
                             ingest.val_fraction, and run `cargo xtask ingest`"
                        .to_owned(),
                }
                .into());
            }
            inputs.insert(format!("ingest/{split}"), set.digest(split));
        }
        if let Some(weights) = weights_digest(&config.weights)? {
            inputs.insert("weights".to_owned(), weights);
        }
        Ok(inputs)
    }

    fn outputs(run: &RunDir, config: &Config) -> Vec<Output> {
        let output = |k| Output { dir: run.train_run(k), config: config.of_run(k) };
        (0..config.runs).map(output).collect()
    }

    fn notices(_run: &RunDir, config: &Config) -> Vec<String> {
        let Source::Hub(name) = &config.weights else { return Vec::new() };
        match weights::hub::size(name) {
            Ok(Some(0)) => Vec::new(),
            Ok(Some(bytes)) => {
                let size = progress::bytes(bytes);
                vec![format!("downloads the weights {name} ({size}) into the Hugging Face cache")]
            }
            Ok(None) => vec![format!("downloads the weights {name}, of unknown size, into the Hugging Face cache")],
            // The stage will fail for the same reason.
            Err(error) => vec![error.to_string()],
        }
    }

    fn run(job: &Job<Config>) -> Result<(), Failure> {
        let interrupt = InterruptFlag::install().map_err(Error::Signals)?;
        let Job { run, config, inputs, code, force, .. } = job;
        train(&Work { run, config, inputs, code, force: *force, stop: &|_| interrupt.is_set() })
    }
}

/// What is to be trained, and until when.
pub(crate) struct Work<'a> {
    /// The run it works in.
    pub(crate) run: &'a RunDir,
    /// Its resolved configuration.
    pub(crate) config: &'a Config,
    /// Digests of what it reads.
    pub(crate) inputs: &'a BTreeMap<String, Hash>,
    /// The program.
    pub(crate) code: &'a Code,
    /// Whether complete runs are made again.
    pub(crate) force: bool,
    /// Whether to save and end after the step of this number.
    pub(crate) stop: &'a dyn Fn(u64) -> bool,
}

/// What the first weights are, for the up-to-date check. A file counts by its content; a name on the hub counts as it
/// stands, so that clearing the cache, or the hub's being away, does not make a training stale: pin it with `@revision`.
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
pub(crate) fn train(work: &Work<'_>) -> Result<(), Failure> {
    let session = Session::open(work)?;
    for (k, output) in Train::outputs(work.run, work.config).iter().enumerate() {
        if work.force || output.stale(work.inputs, work.code)?.is_some() {
            session.train(k, output)?;
        }
    }
    set_aside_stale_runs(work)
}

/// Runs beyond the last configured one must not be averaged with the others where they are not what would be trained now.
fn set_aside_stale_runs(work: &Work<'_>) -> Result<(), Failure> {
    for k in work.config.runs.. {
        let output = Output { dir: work.run.train_run(k), config: work.config.of_run(k) };
        if !output.dir.exists() {
            return Ok(());
        }
        if let Some(reason) = output.stale(work.inputs, work.code)? {
            let aside = aside::set_aside(&output.dir, &output.dir)?;
            progress::line(&format!(
                "train: `{}` is more than train.runs asks for and not up to date, because {reason}; {}",
                output.dir.display(),
                aside::kept(&output.dir, &aside)
            ));
        }
    }
    Ok(())
}

/// What all runs share.
struct Session<'a> {
    work: &'a Work<'a>,
    train: Arc<Shards>,
    val: Arc<Shards>,
    device: Device,
    network: NetworkConfig,
    description: Description,
    weights: Option<PathBuf>,
}

impl<'a> Session<'a> {
    fn open(work: &'a Work<'a>) -> Result<Session<'a>, Failure> {
        let set = ShardSet::open(&work.run.ingest())?;
        let [train, val] = [set.split(Split::Train)?, set.split(Split::Val)?].map(Arc::new);
        if train.len() < 2 {
            return Err(Error::TooFewImages { images: train.len() }.into());
        }
        let classes: BTreeSet<Label> = train.samples().iter().map(|sample| sample.label).collect();
        if let (1, Some(only)) = (classes.len(), classes.first()) {
            return Err(Error::OneClass { only: *only }.into());
        }
        let device = work.config.device.open(work.config.precision).map_err(Error::from)?;
        progress::line(&format!(
            "train: {} training and {} validation images of {}x{}, on {device}",
            train.len(),
            val.len(),
            train.size()[1],
            train.size()[0],
        ));
        let weights = work.config.weights.resolve().map_err(Error::from)?;
        let network = NetworkConfig::default();
        let description = describe(&network, &train, &set.manifest().config);
        Ok(Session { work, train, val, device, network, description, weights })
    }

    /// Trains run `k` to its end.
    fn train(&self, k: usize, output: &Output) -> Result<(), Failure> {
        let config = self.work.config;
        let identity = self.identity(&output.config);
        let wanted = Wanted { identity: &identity, epochs: config.epochs, force: self.work.force };
        let (folder, saved) = RunFolder::open(&output.dir, wanted)?;
        let name = output.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let seed = config.run_seed(k);
        let resumed = match saved.map(|saved| self.resume(saved, &name)).transpose() {
            Err(Error::State { detail, .. }) if self.work.force => {
                folder.start_afresh(&detail)?;
                None
            }
            resumed => resumed?,
        };
        let mut training = match resumed {
            Some(training) => training,
            None => self.start(seed, identity)?,
        };
        let training_loop = TrainingLoop {
            config,
            seed,
            train: &self.train,
            val: &self.val,
            folder: &folder,
            description: &self.description,
            name: &name,
            stop: self.work.stop,
        };
        let rows = match training_loop.run_epochs(&mut training)? {
            TrainingEnd::Finished(rows) => rows,
            TrainingEnd::Interrupted => return Err(Failure::Interrupted),
        };
        Ok(folder.complete(|dir| self.manifest(dir, output, &rows))?)
    }

    /// What a checkpoint must have been trained with to be resumed from.
    fn identity(&self, run_config: &Value) -> Identity {
        let mut config = run_config.clone();
        if let Some(keys) = config.as_object_mut() {
            // More epochs continue the same training.
            keys.remove("epochs");
        }
        let inputs =
            self.work.inputs.iter().fold(Digest::default(), |digest, (name, hash)| digest.part(name, hash.as_bytes()));
        Identity {
            settings: inputs.part("config", config.to_string().as_bytes()).finish(),
            code: self.work.code.clone(),
            device: self.device.kind().to_owned(),
        }
    }

    /// A network before its first step.
    fn start(&self, seed: u64, identity: Identity) -> Result<Training, Error> {
        let mut network = Network::new(&self.network, &self.device)?;
        network.initialise(seed)?;
        if let Some(path) = &self.weights {
            let report = weights::load_into(&mut network, path, &self.work.config.allow_missing)?;
            let drawn = report.missing.len();
            progress::line(&format!(
                "train: {} tensors from {}{}{}",
                report.loaded,
                String::from(self.work.config.weights.clone()),
                if drawn > 0 { format!(", {drawn} missing ones drawn freshly") } else { String::new() },
                if report.head_replaced { ", a new head" } else { "" }
            ));
        } else {
            network.zero_init_residual()?;
        }
        let adam = Adam::new(self.work.config.adam(), &network)?;
        Ok(Training { network, adam, position: Position::start(identity) })
    }

    /// The network of an interrupted training.
    fn resume(&self, saved: Saved, name: &str) -> Result<Training, Error> {
        let Position { epoch, batches, .. } = saved.position;
        progress::line(&format!(
            "train: {name} resumes from `{}`, epoch {epoch} after {batches} batches",
            saved.path().display()
        ));
        saved.restore(Network::new(&self.network, &self.device)?, self.work.config.adam())
    }

    fn manifest(&self, dir: &Path, output: &Output, rows: &[Epoch]) -> Result<Manifest, Error> {
        let work = self.work;
        let seconds = rows.iter().map(|row| row.train_seconds + row.val_seconds).sum();
        Ok(Manifest {
            config: output.config.clone(),
            inputs: work.inputs.clone(),
            seconds,
            device: self.device.to_string(),
            summary: self.summary(rows)?,
            ..Manifest::of(dir, names::TRAIN, work.code.clone())?
        })
    }

    /// What the report says of a run.
    fn summary(&self, rows: &[Epoch]) -> Result<Value, Error> {
        let best = rows.iter().rfind(|row| row.best);
        let images: f64 = (rows.len() * self.train.len()) as f64;
        let seconds: f64 = rows.iter().map(|row| row.train_seconds).sum();
        Ok(json!({
            "best_epoch": best.map(|row| row.epoch),
            "best_val_accuracy": best.map(|row| row.val_accuracy),
            "best_val_loss": best.map(|row| row.val_loss),
            "best_val_roc_auc": best.and_then(|row| row.val_roc_auc),
            "epochs": rows.len(),
            "steps": rows.last().map(|row| row.step),
            "train_images": self.train.len(),
            "val_images": self.val.len(),
            "images_per_second": images / seconds.max(1e-9),
            "weights": String::from(self.work.config.weights.clone()),
            "weights_blake3": self.weights.as_deref().map(hash::file).transpose()?,
        }))
    }
}

fn describe(network: &NetworkConfig, train: &Shards, ingest: &Value) -> Description {
    let text = |key: &str| ingest.get(key).and_then(Value::as_str).map(str::to_owned);
    let [height, width] = train.size();
    Description {
        model: ModelConfig::detector(&network.arch),
        preprocessor: PreprocessorConfig {
            do_resize: true,
            size: ImageSize { height, width },
            filter: text("filter"),
            fit: text("fit"),
            reencode: ingest.get("reencode").and_then(|reencode| serde_json::from_value(reencode.clone()).ok()),
            do_rescale: true,
            rescale_factor: 1.0 / 255.0,
            do_normalize: true,
            image_mean: network.normalisation.mean,
            image_std: network.normalisation.std,
        },
    }
}
