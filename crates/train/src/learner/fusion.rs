//! A detector of frozen branches: the fusion, trained on features.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use artifacts::failure::chain;
use artifacts::{Checkpoint, atomic};
use branches::{Fusion, ModelConfig, StepOptions, to_logits};
use candle_core::Tensor;
use model::{Logits, StepOutput};

use super::Learner;
use crate::error::Error;
use crate::loader::Batch;

/// A fusion with AdamW.
pub(crate) struct FusionLearner {
    model: ModelConfig,
    fusion: Fusion,
    /// Seed of the dropout.
    seed: u64,
    /// The fusion with averaged weights, for the current validation.
    averaged: Option<Fusion>,
    steps: Vec<StepOutput>,
    inferences: Vec<Logits>,
}

impl FusionLearner {
    /// Creates a learner for a fusion of the branches in `model`.
    pub(crate) fn new(model: &ModelConfig, fusion: Fusion, seed: u64) -> FusionLearner {
        let model = model.clone();
        FusionLearner { model, fusion, seed, averaged: None, steps: Vec::new(), inferences: Vec::new() }
    }
}

impl Learner for FusionLearner {
    fn start_step(&mut self, batch: &Batch, learning_rate: f64) -> Result<(), Error> {
        let options = StepOptions { learning_rate, seed: self.seed };
        self.steps.push(self.fusion.train_step(batch.features(), batch.labels(), batch.weights(), options)?);
        Ok(())
    }

    fn finished_steps(&mut self) -> Result<Vec<StepOutput>, Error> {
        Ok(std::mem::take(&mut self.steps))
    }

    fn start_validation(&mut self) -> Result<(), Error> {
        self.averaged = Some(self.fusion.averaged(&self.model)?);
        Ok(())
    }

    fn start_inference(&mut self, batch: &Batch) -> Result<(), Error> {
        let fusion = self.averaged.as_ref().unwrap_or(&self.fusion);
        self.inferences.push(to_logits(&fusion.margins(batch.features())?.fused));
        Ok(())
    }

    fn finished_inferences(&mut self) -> Result<Vec<Logits>, Error> {
        Ok(std::mem::take(&mut self.inferences))
    }

    fn weights(&self) -> Result<BTreeMap<String, Tensor>, Error> {
        Ok(self.fusion.tensors()?)
    }

    fn save(&self, path: &Path) -> Result<(), Error> {
        let tensors = self.fusion.tensors()?;
        let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let bytes = safetensors::serialize(&tensors, Some(format)).map_err(branches::Error::from)?;
        Ok(atomic::write_file(path, &bytes)?)
    }

    fn optimiser_state(&self) -> Result<BTreeMap<String, Tensor>, Error> {
        Ok(self.fusion.optimiser_state()?)
    }

    fn restore(&mut self, checkpoint: &Checkpoint, state: &BTreeMap<String, Tensor>) -> Result<(), Error> {
        let path = checkpoint.weights();
        let damaged = |error: branches::Error| Error::DamagedCheckpoint { path: path.clone(), detail: chain(&error) };
        let tensors = branches::read_tensors(&path).map_err(damaged)?;
        self.fusion.restore(state, &tensors).map_err(damaged)
    }

    fn steps(&self) -> u64 {
        self.fusion.steps().into()
    }
}
