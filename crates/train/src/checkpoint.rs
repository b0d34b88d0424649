//! Writes the checkpoints `best` and `last`, and resumes a training from `last`.
//!
//! A checkpoint depends on the settings, the data and the position in the training, and not on the clock, the number of
//! threads or the executable. Equal trainings therefore have equal checkpoints, byte for byte.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use artifacts::Checkpoint;
use artifacts::atomic::{self, DirWriter};
use artifacts::schema::{ModelConfig, PreprocessorConfig};
use candle_core::safetensors::Load;
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::Criterion;
use crate::error::Error;
use crate::identity::{Identity, RecordedIdentity};
use crate::learner::Learner;

/// Version of [`TrainingPosition`]. Training states of version 1 can still be resumed. Their identity is a digest, see
/// [`RecordedIdentity`].
const SCHEMA_VERSION: u32 = 2;
/// The key of [`TrainingPosition`] in the metadata of `training_state.safetensors`. There is only one key, because the
/// order in which several keys are written is undefined.
const POSITION: &str = "candling.position";
/// The longest header that the safetensors format allows.
const MAX_HEADER: u64 = 100_000_000;

/// The state of a training besides the weights and Adam's moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainingPosition {
    schema_version: u32,
    /// The settings, data and device of the training.
    pub(crate) identity: RecordedIdentity,
    /// The epoch being trained, counted from 1.
    pub(crate) epoch: usize,
    /// The number of finished batches of that epoch.
    pub(crate) batches: usize,
    /// Optimiser steps since the start of the training.
    pub(crate) step: u64,
    /// Sums over the finished batches of that epoch.
    pub(crate) sums: EpochTotals,
    /// The best epoch so far.
    pub(crate) best: Option<Best>,
    /// Length of the TensorBoard events file in bytes.
    pub(crate) events_len: u64,
    /// The numbers of processes that trained, in order. Empty if it was always one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) processes: Vec<usize>,
}

/// Sums over the batches of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EpochTotals {
    /// Cross-entropy over the images, in nats.
    pub(crate) loss: f64,
    /// The number of images classified correctly in the forward passes of training.
    pub(crate) correct: u64,
    /// The number of images.
    pub(crate) images: u64,
    /// Wall-clock seconds.
    pub(crate) seconds: f64,
}

/// The epoch whose weights are in `best`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    /// The epoch, counted from 1.
    pub(crate) epoch: usize,
    /// Accuracy on the validation split.
    pub(crate) accuracy: f64,
    /// Mean cross-entropy on the validation split.
    pub(crate) loss: f64,
    /// ROC-AUC on the validation split. Training states of older programs lack it.
    #[serde(default)]
    pub(crate) roc_auc: Option<f64>,
}

impl Best {
    /// Returns whether this epoch is better than the earlier epoch `other`: it has a higher value of the criterion, or
    /// an equal value and a lower loss.
    pub(crate) fn beats(&self, other: Option<&Best>, criterion: Criterion) -> bool {
        let value = |best: &Best| match criterion {
            Criterion::Accuracy => Some(best.accuracy),
            Criterion::RocAuc => best.roc_auc,
            Criterion::Loss => None,
        };
        other.is_none_or(|other| value(self) > value(other) || (value(self) == value(other) && self.loss < other.loss))
    }
}

impl TrainingPosition {
    /// The position before the first step.
    pub(crate) fn start(identity: Identity) -> TrainingPosition {
        TrainingPosition {
            schema_version: SCHEMA_VERSION,
            identity: RecordedIdentity::Full(identity),
            epoch: 1,
            batches: 0,
            step: 0,
            sums: EpochTotals::default(),
            best: None,
            events_len: 0,
            processes: Vec::new(),
        }
    }

    /// Records the number of processes that train from here on. Returns the number before, if it was another one.
    pub(crate) fn note_processes(&mut self, world: usize) -> Option<usize> {
        let former = self.processes.last().copied().or((self.step > 0).then_some(1));
        if former == Some(world) || (former.is_none() && world == 1) {
            return None;
        }
        if self.processes.is_empty() {
            self.processes.extend(former);
        }
        self.processes.push(world);
        former
    }

    /// Converts the position of a training that is resumed to the current schema version.
    pub(crate) fn upgrade(&mut self, wanted: &Identity) {
        self.schema_version = SCHEMA_VERSION;
        self.identity.upgrade(wanted);
    }

    /// The number of complete epochs.
    pub(crate) fn complete_epochs(&self) -> usize {
        self.epoch - 1
    }

    /// Returns whether a training of `epochs` epochs passes this position or ends there.
    pub(crate) fn is_within(&self, epochs: usize) -> bool {
        self.complete_epochs() < epochs || (self.complete_epochs() == epochs && self.batches == 0)
    }
}

/// A model with its optimiser in the course of a training.
pub(crate) struct TrainingState {
    /// The model and its optimiser.
    pub(crate) learner: Box<dyn Learner>,
    /// The position in the training, with the metrics so far.
    pub(crate) position: TrainingPosition,
}

/// The JSON files of a checkpoint. They are equal for all checkpoints of a run.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    /// `config.json`.
    pub(crate) model: ModelConfig,
    /// `preprocessor_config.json`.
    pub(crate) preprocessor: PreprocessorConfig,
}

impl Description {
    /// Writes the checkpoint `last` of the folder `run` under a temporary name. [`DirWriter::publish`] renames it to
    /// `last`.
    pub(crate) fn write_last(&self, run: &Path, training: &TrainingState) -> Result<DirWriter, Error> {
        let writer = DirWriter::create(Checkpoint::last(run).path())?;
        let files = Checkpoint::new(writer.path());
        training.learner.save(&files.weights())?;
        write_state(&files.training_state(), training)?;
        copy_permissions(&files.training_state(), &files.weights())?;
        atomic::write_json(&files.model_config(), &self.model)?;
        atomic::write_json(&files.preprocessor_config(), &self.preprocessor)?;
        Ok(writer)
    }
}

/// Publishes the files of the unpublished checkpoint `last` as `best`. Uses hard links where the file system supports
/// them, which is safe because files of a checkpoint are never changed in place.
pub(crate) fn publish_as_best(run: &Path, last: &DirWriter) -> Result<(), Error> {
    let writer = DirWriter::create(Checkpoint::best(run).path())?;
    for entry in fs::read_dir(last.path()).map_err(artifacts::Error::io("list", last.path()))? {
        let entry = entry.map_err(artifacts::Error::io("list", last.path()))?;
        let copy = writer.path().join(entry.file_name());
        fs::hard_link(entry.path(), &copy)
            .or_else(|_| fs::copy(entry.path(), &copy).map(|_| ()))
            .map_err(artifacts::Error::io("write", &copy))?;
    }
    Ok(writer.publish()?)
}

fn write_state(path: &Path, training: &TrainingState) -> Result<(), Error> {
    let failed = |detail: String| artifacts::Error::io("write", path)(std::io::Error::other(detail));
    let position = serde_json::to_string(&training.position).map_err(|e| failed(e.to_string()))?;
    let metadata = HashMap::from([(POSITION.to_owned(), position)]);
    safetensors::serialize_to_file(training.learner.optimiser_state()?, Some(metadata), path)
        .map_err(|e| failed(e.to_string()))?;
    Ok(())
}

/// Sets the permissions of the file `path` to those of `like`. safetensors creates files that only their owner can
/// read, but everyone who can read the weights should be able to read the training state.
fn copy_permissions(path: &Path, like: &Path) -> Result<(), artifacts::Error> {
    let permissions = fs::metadata(like).map_err(artifacts::Error::io("read", like))?.permissions();
    fs::set_permissions(path, permissions).map_err(artifacts::Error::io("change the permissions of", path))
}

/// A checkpoint that a training can be resumed from.
pub(crate) struct SavedTraining {
    checkpoint: Checkpoint,
    state: Vec<u8>,
    /// The position of the training.
    pub(crate) position: TrainingPosition,
}

impl SavedTraining {
    /// Reads `last` of the folder `run`; `None` if it does not exist.
    pub(crate) fn find(run: &Path) -> Result<Option<SavedTraining>, Error> {
        let checkpoint = Checkpoint::last(run);
        atomic::recover(checkpoint.path())?;
        let path = checkpoint.training_state();
        if !path.exists() {
            return Ok(None);
        }
        let state = fs::read(&path).map_err(artifacts::Error::io("read", &path))?;
        match parse_header(&state) {
            Ok((position, end)) if end == state.len() as u64 => Ok(Some(SavedTraining { checkpoint, state, position })),
            Ok((_, end)) => {
                Err(Error::DamagedCheckpoint { path, detail: format!("it has {} bytes instead of {end}", state.len()) })
            }
            Err(detail) => Err(Error::DamagedCheckpoint { path, detail }),
        }
    }

    /// Reads only the position of `last` of the folder `run`, without changing anything on disk; `None` if there is no
    /// training state or it is damaged.
    pub(crate) fn peek(run: &Path) -> Option<TrainingPosition> {
        let mut file = File::open(Checkpoint::last(run).training_state()).ok()?;
        let length = file.metadata().ok()?.len();
        let mut state = vec![0; 8];
        file.read_exact(&mut state).ok()?;
        let header = header_length(&state)?;
        file.take(header.min(length)).read_to_end(&mut state).ok()?;
        let (position, end) = parse_header(&state).ok()?;
        (end == length).then_some(position)
    }

    /// The checkpoint's folder.
    pub(crate) fn path(&self) -> &Path {
        self.checkpoint.path()
    }

    /// Loads the tensors of the optimiser state.
    fn tensors(&self) -> Result<BTreeMap<String, Tensor>, String> {
        let file = SafeTensors::deserialize(&self.state).map_err(|e| e.to_string())?;
        let load = |(name, view): (String, TensorView<'_>)| Ok((name, view.load(&Device::Cpu)?));
        let tensors: candle_core::Result<_> = file.tensors().into_iter().map(load).collect();
        tensors.map_err(|e| e.to_string())
    }

    /// Loads weights and optimiser state into `learner`.
    ///
    /// # Errors
    /// [`Error::DamagedCheckpoint`] if the checkpoint is damaged. Other errors, such as a GPU without free memory, do
    /// not mean damage.
    pub(crate) fn restore(self, mut learner: Box<dyn Learner>) -> Result<TrainingState, Error> {
        let path: PathBuf = self.checkpoint.training_state();
        let bad = |detail: String| Error::DamagedCheckpoint { path: path.clone(), detail };
        let tensors = self.tensors().map_err(bad)?;
        learner.restore(&self.checkpoint, &tensors)?;
        if learner.steps() != self.position.step {
            return Err(bad(format!(
                "the optimiser has taken {} steps, but the training {}",
                learner.steps(),
                self.position.step
            )));
        }
        Ok(TrainingState { learner, position: self.position })
    }
}

/// Reads the training state of the checkpoint `last` in the folder `run`, as resuming does before it needs the model.
///
/// # Errors
/// There is none, or it is damaged.
pub fn check_training_state(run: &Path) -> Result<(), Error> {
    let path = Checkpoint::last(run).training_state();
    let damaged = |detail: String| Error::DamagedCheckpoint { path, detail };
    match SavedTraining::find(run)? {
        Some(saved) => saved.tensors().map(drop).map_err(damaged),
        None => Err(damaged("it does not exist".to_owned())),
    }
}

/// Parses the header of a training state. Returns the position of the training, and the length that the whole file must
/// have. `state` may end after the header.
fn parse_header(state: &[u8]) -> Result<(TrainingPosition, u64), String> {
    let length = header_length(state).ok_or("it has no valid header")?;
    let header = usize::try_from(length).ok().and_then(|length| state.get(8..8 + length));
    let header: Value = serde_json::from_slice(header.ok_or("its header is cut off")?).map_err(|e| e.to_string())?;
    let text = header["__metadata__"][POSITION].as_str();
    let text = text.ok_or("it has no training position; it was not written by Candling")?;
    let position: TrainingPosition = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if !(1..=SCHEMA_VERSION).contains(&position.schema_version) {
        let found = position.schema_version;
        return Err(format!("it has schema version {found}, but this program reads versions up to {SCHEMA_VERSION}"));
    }
    if position.epoch == 0 {
        return Err("its epoch is 0, but epochs are counted from 1".to_owned());
    }
    let tensors = header.as_object().into_iter().flat_map(|header| header.values());
    let data = tensors.filter_map(|tensor| tensor["data_offsets"][1].as_u64()).max().unwrap_or(0);
    Ok((position, data.saturating_add(8 + length)))
}

/// Reads the length of the JSON header of a safetensors file from its first 8 bytes. Returns `None` if there are fewer
/// bytes or the length exceeds the limit of the format.
fn header_length(state: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(*state.first_chunk()?)).filter(|length| *length <= MAX_HEADER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_epoch_has_highest_accuracy_then_lowest_loss_then_is_first() {
        let epochs = [(0.7, 0.5), (0.8, 0.6), (0.8, 0.6), (0.8, 0.55), (0.8, 0.7), (0.75, 0.1)];
        let mut best: Option<Best> = None;
        let mut chosen = Vec::new();
        for (i, (accuracy, loss)) in epochs.into_iter().enumerate() {
            let candidate = Best { epoch: i + 1, accuracy, loss, roc_auc: None };
            if candidate.beats(best.as_ref(), Criterion::Accuracy) {
                best = Some(candidate);
                chosen.push(candidate.epoch);
            }
        }
        assert_eq!(chosen, [1, 2, 4]);
    }

    #[test]
    fn roc_auc_chooses_if_it_is_the_criterion() {
        let [first, second] = [(0.9, 0.7), (0.8, 0.75)].map(|(accuracy, roc_auc)| Best {
            epoch: 1,
            accuracy,
            loss: 0.5,
            roc_auc: Some(roc_auc),
        });
        assert!(second.beats(Some(&first), Criterion::RocAuc) && !second.beats(Some(&first), Criterion::Accuracy));
        let lower = Best { loss: 0.4, ..second };
        assert!(lower.beats(Some(&first), Criterion::Loss) && !first.beats(Some(&lower), Criterion::Loss));
    }

    #[test]
    fn numbers_of_processes_are_noted_unless_it_was_always_one() {
        let mut position = TrainingPosition::start(Identity::for_test());
        assert_eq!((position.note_processes(1), position.processes.len()), (None, 0));
        position.step = 5;
        assert_eq!((position.note_processes(1), position.processes.len()), (None, 0));
        assert_eq!((position.note_processes(2), &position.processes), (Some(1), &vec![1, 2]));
        assert_eq!((position.note_processes(2), &position.processes), (None, &vec![1, 2]));
        assert_eq!((position.note_processes(1), &position.processes), (Some(2), &vec![1, 2, 1]));
        let mut position = TrainingPosition::start(Identity::for_test());
        assert_eq!((position.note_processes(4), &position.processes), (None, &vec![4]));
    }

    #[test]
    fn position_is_within_training_up_to_its_end() {
        let identity = Identity::for_test();
        let at = |epoch, batches| TrainingPosition { epoch, batches, ..TrainingPosition::start(identity.clone()) };
        assert!(at(1, 0).is_within(2) && at(2, 5).is_within(2) && at(3, 0).is_within(2));
        assert!(!at(3, 1).is_within(2) && !at(4, 0).is_within(2));
    }

    #[test]
    fn rejects_truncated_header_newer_version_and_epoch_0() {
        let state = |position: &str| {
            let header = serde_json::json!({ "__metadata__": { POSITION: position } }).to_string();
            [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()
        };
        let position = TrainingPosition::start(Identity::for_test());
        let text = serde_json::to_string(&position).unwrap();
        assert_eq!(parse_header(&state(&text)).unwrap(), (position.clone(), state(&text).len() as u64));
        assert!(parse_header(&state(&text)[..40]).unwrap_err().contains("cut off"));
        assert!(parse_header(&[0; 3]).is_err() && parse_header(&[255; 16]).is_err());
        let newer = serde_json::to_string(&TrainingPosition { schema_version: 9, ..position.clone() }).unwrap();
        assert!(parse_header(&state(&newer)).unwrap_err().contains("schema version 9"));
        let zero = serde_json::to_string(&TrainingPosition { epoch: 0, ..position }).unwrap();
        assert!(parse_header(&state(&zero)).unwrap_err().contains("epoch is 0"));
    }
}
