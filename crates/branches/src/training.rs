//! All that is trained of a detector: the heads of the frozen branches, and the networks of the others.

use std::collections::BTreeMap;

use candle_core::Tensor;
use model::StepOutput;
use model::device::Device;
use model::weights::LoadReport;

use crate::batch::{FeatureBatch, Margins};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::fusion::{Fusion, FusionWeight, StepOptions, to_logits};
use crate::inputs::TrainedInputs;
use crate::pretrained::{PretrainedFiles, TrainedBranches};
use crate::trained_branch::TrainedBranch;

/// A detector in the course of a training.
#[derive(Debug)]
pub struct Training {
    config: ModelConfig,
    fusion: Fusion,
    trained: TrainedBranches,
    /// The heads with averaged weights, since [`Training::start_validation`].
    averaged: Option<Fusion>,
    steps: u64,
}

/// The tensor with the number of steps in a checkpoint.
const STEPS: &str = "steps";

impl Training {
    /// Creates an untrained detector. `fusion` has untrained heads. Convolutional networks compute on the processor: in
    /// the precision of `device`, or in f32 if that is a card.
    ///
    /// # Errors
    /// A file cannot be read, or memory cannot be allocated.
    pub fn new(
        config: &ModelConfig,
        fusion: Fusion,
        files: &PretrainedFiles,
        device: &Device,
        seed: u64,
    ) -> Result<Training> {
        let trained = TrainedBranches::create(config, files, device, seed)?;
        Ok(Training { config: config.clone(), fusion, trained, averaged: None, steps: 0 })
    }

    /// What was loaded from the file of the ResNet's initial weights.
    pub fn loaded_resnet(&self) -> Option<&LoadReport> {
        self.trained.iter().find_map(TrainedBranch::loaded)
    }

    /// The number of optimiser steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The branches with their weights in the fused margin, in the order of [`Margins::branches`].
    pub fn fusion_weights(&self) -> Vec<FusionWeight> {
        self.fusion.weights()
    }

    /// Runs one training step. `features` are projected ([`Fusion::project`]). `labels` holds class indices, `[n]`;
    /// `weights`, `[n]`, the weight of each image in the loss. Returns the mean of the branches' cross-entropies, and the
    /// fused logits before the step.
    ///
    /// # Errors
    /// A computation failed.
    pub fn train_step(
        &mut self,
        (features, inputs): (&FeatureBatch, &TrainedInputs),
        labels: &[u8],
        weights: &[f32],
        options: StepOptions,
    ) -> Result<StepOutput> {
        let smoothing = self.config.fusion.label_smoothing as f32;
        let target = |&label: &u8| f32::from(label) * (1.0 - smoothing) + 0.5 * smoothing;
        let targets: Vec<f32> = labels.iter().map(target).collect();
        let heads = self.fusion.train_step(features, &targets, weights, options)?;
        let (mut losses, mut margins) = (heads.losses, heads.margins);
        for ((_, branch), inputs) in self.trained.iter_mut().zip(&inputs.branches) {
            let (loss, own) = branch.train_step(inputs, &targets, weights, options)?;
            losses.push(loss);
            margins.push(own);
        }
        self.steps += 1;
        let loss = losses.iter().sum::<f32>() / losses.len() as f32;
        Ok(StepOutput { loss, logits: to_logits(&self.fusion.fuse(margins).fused) })
    }

    /// Takes the averaged weights of the heads for the following [`Training::margins`].
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub fn start_validation(&mut self) -> Result<()> {
        self.averaged = Some(self.fusion.averaged(&self.config)?);
        Ok(())
    }

    /// Computes the margins of images with the weights of the last [`Training::start_validation`].
    ///
    /// # Errors
    /// A computation failed.
    pub fn margins(&mut self, features: &FeatureBatch, inputs: &TrainedInputs) -> Result<Margins> {
        let trained = self.trained.margins(inputs)?;
        self.averaged.as_ref().unwrap_or(&self.fusion).margins(features, trained)
    }

    /// The tensors of `model.safetensors`.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = self.fusion.tensors()?;
        for branch in self.trained.iter() {
            tensors.extend(branch.tensors()?);
        }
        Ok(tensors)
    }

    /// The state of the optimisers for a checkpoint.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub fn optimiser_state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = self.fusion.optimiser_state()?;
        for branch in self.trained.iter() {
            state.extend(branch.optimiser_state()?);
        }
        state.insert(STEPS.to_owned(), Tensor::new(self.steps as u32, &candle_core::Device::Cpu)?);
        Ok(state)
    }

    /// Bounds the bytes of the tensors that only a first step adds to [`Training::tensors`].
    pub fn later_bytes(&self) -> u64 {
        self.trained.iter().map(|branch| branch.later_bytes()).sum()
    }

    /// Restores a training from [`Training::optimiser_state`] and [`Training::tensors`].
    ///
    /// # Errors
    /// [`crate::Error::OptimiserState`] names a tensor that is missing or has another shape.
    pub fn restore(&mut self, state: &BTreeMap<String, Tensor>, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        self.fusion.restore(state, tensors)?;
        for (_, branch) in self.trained.iter_mut() {
            branch.restore(state, tensors)?;
        }
        self.steps = match state.get(STEPS) {
            Some(steps) => steps.to_scalar::<u32>()?.into(),
            // Checkpoints of earlier versions have heads only, which count their steps themselves.
            None => self.fusion.steps().into(),
        };
        Ok(())
    }
}
