//! What a training loop needs of the model that it trains.

mod fusion;
mod network;

use std::collections::BTreeMap;
use std::path::Path;

use artifacts::Checkpoint;
use candle_core::Tensor;
use model::{Logits, StepOutput};

use crate::error::Error;
use crate::loader::Batch;

pub(crate) use fusion::FusionLearner;
pub(crate) use network::NetworkLearner;

/// A model with its optimiser in the course of a training.
pub(crate) trait Learner {
    /// Starts a forward and a backward pass on a batch. With a learning rate, the batch is the last of a step, and an
    /// update of the weights follows. Without one, the gradients are added to those of the next batches. A GPU computes it
    /// asynchronously. Logits are `[n, 2]`, and the loss is the mean cross-entropy.
    fn start_batch(&mut self, batch: &Batch, learning_rate: Option<f64>) -> Result<(), Error>;

    /// Waits for the batches that were started since the last call, and returns their results in order.
    fn finished_batches(&mut self) -> Result<Vec<StepOutput>, Error>;

    /// Prepares for the inferences of a validation. Called once before them.
    fn start_validation(&mut self) -> Result<(), Error>;

    /// Ends a validation. Called once after the inferences.
    fn finish_validation(&mut self) -> Result<(), Error>;

    /// Starts to compute the logits of a batch, in evaluation mode.
    fn start_inference(&mut self, batch: &Batch) -> Result<(), Error>;

    /// Waits for the inferences that were started since the last call, and returns their logits in order.
    fn finished_inferences(&mut self) -> Result<Vec<Logits>, Error>;

    /// The trained tensors, which must be finite.
    fn weights(&self) -> Result<BTreeMap<String, Tensor>, Error>;

    /// Writes `model.safetensors` of a checkpoint.
    fn save(&self, path: &Path) -> Result<(), Error>;

    /// The tensors of the training state, besides those that [`Learner::save`] writes.
    fn optimiser_state(&self) -> Result<BTreeMap<String, Tensor>, Error>;

    /// Bounds the bytes of the files that [`Learner::save`] and [`Learner::optimiser_state`] make, at any step.
    fn checkpoint_bytes(&self) -> Result<u64, Error>;

    /// Restores the weights of a checkpoint and the state of the optimiser, `state`.
    ///
    /// # Errors
    /// [`Error::DamagedCheckpoint`] if the content of a file is invalid. Other errors do not mean damage.
    fn restore(&mut self, checkpoint: &Checkpoint, state: &BTreeMap<String, Tensor>) -> Result<(), Error>;

    /// The number of optimiser steps so far.
    fn steps(&self) -> u64;
}
