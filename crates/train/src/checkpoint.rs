//! Checkpoints: what `best` and `last` hold, how they are written, and how a training goes on from one.
//!
//! A checkpoint depends on the seed and the position alone, not on the clock or the number of threads, so equal trainings
//! have equal checkpoints, byte for byte.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use artifacts::atomic::{self, DirWriter};
use artifacts::failure::chain;
use artifacts::hash::Hash;
use artifacts::schema::{ModelConfig, PreprocessorConfig};
use artifacts::{Checkpoint, Code};
use candle_core::safetensors::Load;
use candle_core::{Device, Tensor};
use model::{Adam, AdamConfig, Network, weights};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Version of [`Position`]; another one is not resumed from.
const SCHEMA_VERSION: u32 = 1;
/// Where [`Position`] stands among the metadata of `training_state.safetensors`. One key only: the format does not say in
/// which order several are written.
const POSITION: &str = "candling.position";

/// What must be the same for a training to go on with the result it would have had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Digest of the run's configuration, but for the number of epochs, and of its inputs.
    pub(crate) settings: Hash,
    /// The program.
    pub(crate) code: Code,
    /// The kind of device, see [`model::device::Device::kind`].
    pub(crate) device: String,
}

/// Where a training stands, besides the weights and Adam's moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    schema_version: u32,
    /// What is being trained.
    pub(crate) identity: Identity,
    /// The epoch being trained, counted from 1.
    pub(crate) epoch: usize,
    /// Batches of it that have been trained on.
    pub(crate) batches: usize,
    /// Optimiser steps taken since the start.
    pub(crate) step: u64,
    /// Sums over those batches.
    pub(crate) sums: Sums,
    /// The best epoch so far.
    pub(crate) best: Option<Best>,
    /// Length of the events file.
    pub(crate) events_len: u64,
}

/// Sums over the batches of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sums {
    /// Cross-entropy over the images, in nats.
    pub(crate) loss: f64,
    /// Images classified correctly while they were trained on.
    pub(crate) correct: u64,
    /// Images.
    pub(crate) images: u64,
    /// Wall-clock seconds.
    pub(crate) seconds: f64,
}

/// The epoch whose weights are in `best`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    /// Counted from 1.
    pub(crate) epoch: usize,
    /// Accuracy on the validation split.
    pub(crate) accuracy: f64,
    /// Mean cross-entropy on the validation split.
    pub(crate) loss: f64,
}

impl Best {
    /// Whether this beats `other`: by accuracy, then by the lower loss. The earlier of two equals stays.
    pub(crate) fn beats(&self, other: Option<&Best>) -> bool {
        other.is_none_or(|other| {
            self.accuracy > other.accuracy || (self.accuracy == other.accuracy && self.loss < other.loss)
        })
    }
}

impl Position {
    /// Before the first step.
    pub(crate) fn start(identity: Identity) -> Position {
        Position {
            schema_version: SCHEMA_VERSION,
            identity,
            epoch: 1,
            batches: 0,
            step: 0,
            sums: Sums::default(),
            best: None,
            events_len: 0,
        }
    }

    /// Epochs that are complete.
    pub(crate) fn complete_epochs(&self) -> usize {
        self.epoch - 1
    }

    /// Whether a training of `epochs` passes by here.
    pub(crate) fn is_within(&self, epochs: usize) -> bool {
        self.complete_epochs() < epochs || (self.complete_epochs() == epochs && self.batches == 0)
    }
}

/// A network in training.
pub(crate) struct Training {
    /// Weights and running statistics.
    pub(crate) network: Network,
    /// Adam's moments.
    pub(crate) adam: Adam,
    /// Everything else.
    pub(crate) position: Position,
}

/// What a checkpoint says of itself, the same throughout a run.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    /// `config.json`.
    pub(crate) model: ModelConfig,
    /// `preprocessor_config.json`.
    pub(crate) preprocessor: PreprocessorConfig,
}

impl Description {
    /// Fills `last` of the folder `run` under a temporary name; [`DirWriter::publish`] makes it appear.
    pub(crate) fn write_last(&self, run: &Path, training: &Training) -> Result<DirWriter, Error> {
        let writer = DirWriter::create(Checkpoint::last(run).path())?;
        let files = Checkpoint::new(writer.path());
        let format = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        training.network.save(&files.weights(), &format)?;
        write_state(&files.training_state(), &training.adam, &training.position)?;
        open_to_readers(&files.training_state(), &files.weights())?;
        atomic::write_json(&files.model_config(), &self.model)?;
        atomic::write_json(&files.preprocessor_config(), &self.preprocessor)?;
        Ok(writer)
    }
}

/// Publishes as `best` what `last` is about to be. The files are links to the same content: they are never changed in
/// place.
pub(crate) fn publish_as_best(run: &Path, last: &DirWriter) -> Result<(), Error> {
    let writer = DirWriter::create(Checkpoint::best(run).path())?;
    for entry in fs::read_dir(last.path()).map_err(artifacts::Error::io("list", last.path()))? {
        let entry = entry.map_err(artifacts::Error::io("list", last.path()))?;
        let copy = writer.path().join(entry.file_name());
        // Not every file system has links.
        fs::hard_link(entry.path(), &copy)
            .or_else(|_| fs::copy(entry.path(), &copy).map(|_| ()))
            .map_err(artifacts::Error::io("write", &copy))?;
    }
    Ok(writer.publish()?)
}

fn write_state(path: &Path, adam: &Adam, position: &Position) -> Result<(), Error> {
    let failed = |detail: String| artifacts::Error::io("write", path)(std::io::Error::other(detail));
    let position = serde_json::to_string(position).map_err(|e| failed(e.to_string()))?;
    let metadata = HashMap::from([(POSITION.to_owned(), position)]);
    safetensors::serialize_to_file(adam.state()?, Some(metadata), path).map_err(|e| failed(e.to_string()))?;
    Ok(())
}

/// safetensors makes files that only their owner may read; whoever may read the weights may read the state too.
fn open_to_readers(path: &Path, like: &Path) -> Result<(), artifacts::Error> {
    let permissions = fs::metadata(like).map_err(artifacts::Error::io("read", like))?.permissions();
    fs::set_permissions(path, permissions).map_err(artifacts::Error::io("change the permissions of", path))
}

/// A checkpoint that a training can go on from.
pub(crate) struct Saved {
    checkpoint: Checkpoint,
    state: Vec<u8>,
    /// Where it stands.
    pub(crate) position: Position,
}

impl Saved {
    /// Reads `last` of the folder `run`, if there is one.
    pub(crate) fn find(run: &Path) -> Result<Option<Saved>, Error> {
        let checkpoint = Checkpoint::last(run);
        atomic::recover(checkpoint.path())?;
        let path = checkpoint.training_state();
        if !path.exists() {
            return Ok(None);
        }
        let state = fs::read(&path).map_err(artifacts::Error::io("read", &path))?;
        let position = read_position(&state).map_err(|detail| Error::State { path, detail })?;
        Ok(Some(Saved { checkpoint, state, position }))
    }

    /// Its folder.
    pub(crate) fn path(&self) -> &Path {
        self.checkpoint.path()
    }

    /// Puts weights, statistics, moments and position back.
    ///
    /// # Errors
    /// [`Error::State`] if the checkpoint is damaged. Any other, such as that of a card that is full, says nothing of it.
    pub(crate) fn restore(self, mut network: Network, config: AdamConfig) -> Result<Training, Error> {
        let path: PathBuf = self.checkpoint.training_state();
        let bad = |detail: String| Error::State { path: path.clone(), detail };
        let weights = self.checkpoint.weights();
        let report = network.load(&weights, &[]).map_err(|error| damage_or_failure(&weights, error))?;
        if report.head_replaced {
            return Err(bad("its weights have no head for this network".to_owned()));
        }
        let file = SafeTensors::deserialize(&self.state).map_err(|e| bad(e.to_string()))?;
        let tensors = file
            .tensors()
            .into_iter()
            .map(|(name, view)| Ok((name, view.load(&Device::Cpu)?)))
            .collect::<candle_core::Result<BTreeMap<String, Tensor>>>()
            .map_err(|e| bad(e.to_string()))?;
        let adam = Adam::from_state(config, &network, &tensors).map_err(|error| damage_or_failure(&path, error))?;
        if u64::from(adam.steps()) != self.position.step {
            return Err(bad(format!("Adam has taken {} steps, the training {}", adam.steps(), self.position.step)));
        }
        Ok(Training { network, adam, position: self.position })
    }
}

/// What an error of the model's about a file of a checkpoint means: damage where the content of the file is at fault, and
/// otherwise something that may pass, such as a full card or a failing disk.
fn damage_or_failure(path: &Path, error: model::Error) -> Error {
    use model::Error as Model;
    use model::weights::Error as Weights;
    let damaged = match &error {
        Model::Weights(Weights::SafeTensors { .. } | Weights::Mismatch { .. } | Weights::Type { .. })
        | Model::OptimiserState(_)
        // candle holds what was read from the file, in the processor's memory.
        | Model::Candle(_) => true,
        Model::Weights(Weights::Read { source, .. }) => source.kind() == ErrorKind::NotFound,
        _ => false,
    };
    if damaged { Error::State { path: path.to_owned(), detail: chain(&error) } } else { error.into() }
}

fn read_position(state: &[u8]) -> Result<Position, String> {
    let (_, metadata) = SafeTensors::read_metadata(state).map_err(|e| e.to_string())?;
    let text = metadata.metadata().as_ref().and_then(|metadata| metadata.get(POSITION));
    let text = text.ok_or("it does not say where the training stands; Candling did not write it")?;
    let position: Position = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if position.schema_version != SCHEMA_VERSION {
        return Err(format!("it has schema version {}, this build {SCHEMA_VERSION}", position.schema_version));
    }
    Ok(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_is_the_highest_accuracy_then_the_lowest_loss_then_the_first() {
        let epochs = [(0.7, 0.5), (0.8, 0.6), (0.8, 0.6), (0.8, 0.55), (0.8, 0.7), (0.75, 0.1)];
        let mut best: Option<Best> = None;
        let mut chosen = Vec::new();
        for (i, (accuracy, loss)) in epochs.into_iter().enumerate() {
            let candidate = Best { epoch: i + 1, accuracy, loss };
            if candidate.beats(best.as_ref()) {
                best = Some(candidate);
                chosen.push(candidate.epoch);
            }
        }
        assert_eq!(chosen, [1, 2, 4]);
    }

    #[test]
    fn a_training_passes_by_its_own_end_but_not_beyond() {
        let identity = Identity { settings: Hash::of(b""), code: Code::current().unwrap(), device: "cpu".to_owned() };
        let at = |epoch, batches| Position { epoch, batches, ..Position::start(identity.clone()) };
        assert!(at(1, 0).is_within(2) && at(2, 5).is_within(2) && at(3, 0).is_within(2));
        assert!(!at(3, 1).is_within(2) && !at(4, 0).is_within(2));
    }
}
