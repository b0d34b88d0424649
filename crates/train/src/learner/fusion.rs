//! A detector of branches.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use artifacts::failure::chain;
use artifacts::{Checkpoint, atomic};
use branches::{StepOptions, Training, to_logits};
use candle_core::Tensor;
use model::{Logits, StepOutput};

use super::Learner;
use crate::disk_space::tensor_bytes;
use crate::error::Error;
use crate::loader::Batch;

/// The trained parts of a detector of branches.
pub(crate) struct FusionLearner {
    training: Training,
    /// The learning rate that schedules begin with.
    base_rate: f64,
    /// Seed of the dropout.
    seed: u64,
    steps: Vec<StepOutput>,
    inferences: Vec<Logits>,
}

impl FusionLearner {
    /// Creates a learner. `base_rate` is the learning rate that the schedule begins with.
    pub(crate) fn new(training: Training, base_rate: f64, seed: u64) -> FusionLearner {
        FusionLearner { training, base_rate, seed, steps: Vec::new(), inferences: Vec::new() }
    }
}

impl Learner for FusionLearner {
    fn start_batch(&mut self, batch: &Batch, learning_rate: Option<f64>) -> Result<(), Error> {
        let Some(learning_rate) = learning_rate else {
            unreachable!("the configuration rejects train.accumulate for a detector of branches");
        };
        let options = StepOptions { learning_rate, schedule: learning_rate / self.base_rate, seed: self.seed };
        let inputs = (batch.features(), batch.inputs());
        self.steps.push(self.training.train_step(inputs, batch.labels(), batch.weights(), options)?);
        Ok(())
    }

    fn finished_batches(&mut self) -> Result<Vec<StepOutput>, Error> {
        Ok(std::mem::take(&mut self.steps))
    }

    fn start_validation(&mut self) -> Result<(), Error> {
        Ok(self.training.start_validation()?)
    }

    fn finish_validation(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn start_inference(&mut self, batch: &Batch) -> Result<(), Error> {
        self.inferences.push(to_logits(&self.training.margins(batch.features(), batch.inputs())?.fused));
        Ok(())
    }

    fn finished_inferences(&mut self) -> Result<Vec<Logits>, Error> {
        Ok(std::mem::take(&mut self.inferences))
    }

    fn weights(&self) -> Result<BTreeMap<String, Tensor>, Error> {
        Ok(self.training.tensors()?)
    }

    fn save(&self, path: &Path) -> Result<(), Error> {
        let tensors = self.training.tensors()?;
        let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let bytes = safetensors::serialize(&tensors, Some(format)).map_err(branches::Error::from)?;
        Ok(atomic::write_file(path, &bytes)?)
    }

    fn optimiser_state(&self) -> Result<BTreeMap<String, Tensor>, Error> {
        Ok(self.training.optimiser_state()?)
    }

    fn checkpoint_bytes(&self) -> Result<u64, Error> {
        let bytes = tensor_bytes(&self.weights()?) + tensor_bytes(&self.optimiser_state()?);
        Ok(bytes + self.training.later_bytes())
    }

    fn restore(&mut self, checkpoint: &Checkpoint, state: &BTreeMap<String, Tensor>) -> Result<(), Error> {
        let path = checkpoint.weights();
        let damaged = |error: branches::Error| Error::DamagedCheckpoint { path: path.clone(), detail: chain(&error) };
        let tensors = branches::read_tensors(&path).map_err(damaged)?;
        self.training.restore(state, &tensors).map_err(damaged)
    }

    fn steps(&self) -> u64 {
        self.training.steps()
    }
}
