//! The trained heads of a detector's frozen branches: a linear head on each branch's projected features, and the weights
//! of the branches.
//!
//! The head of branch `b` gives each part of an image the margin `w_b · x + c_b`; the branch's margin is the mean over
//! the parts. The fused margin is the weighted mean over the branches that have features of the image and take part in
//! the fusion. Each head is trained on its own, so that a strong branch cannot hide a weak one, and the contribution of
//! a branch to the fused margin is known exactly. The weights of the branches are fitted to predictions for held-out
//! generators ([`crate::fit_weights`]): on training images, the branch that overfits most would get the most weight.

use std::collections::BTreeMap;

use artifacts::random;
use candle_core::{DType, Device, Tensor};
use model::Logits;
use rand::RngExt;

use crate::batch::{FeatureBatch, Margins, weighted_mean};
use crate::config::{BranchName, FusionConfig, ModelConfig};
use crate::cross_entropy::cross_entropy;
use crate::error::{Error, Result};
use crate::head::Head;
use crate::head_tensors::HeadTensors;
use crate::parameters::{Parameters, StepSettings, normal_tensor};
use crate::projection::Projection;

/// The smallest sum of the images' weights that the loss is divided by.
const TINY: f64 = 1e-12;

/// The heads of all branches with their optimiser.
#[derive(Debug)]
pub struct Fusion {
    config: FusionConfig,
    heads: Vec<Head>,
    /// The trained branches, whose margins come from networks of their own, and their weights.
    trained: Vec<(BranchName, f64)>,
    parameters: Parameters,
}

/// The weight of a branch in the fused margin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FusionWeight {
    /// The branch.
    pub branch: BranchName,
    /// Its weight. The fused margin is the weighted mean over the branches that have features of an image.
    pub weight: f64,
    /// Whether the branch takes part in the fusion.
    pub fused: bool,
}

/// What changes from one training step to the next.
#[derive(Clone, Copy, Debug)]
pub struct StepOptions {
    /// The learning rate of the heads.
    pub learning_rate: f64,
    /// The share of the initial learning rate that the schedule leaves, for branches with a learning rate of their own.
    pub schedule: f64,
    /// Seed of the dropout. Together with the number of the step, it determines all random draws.
    pub seed: u64,
}

/// The result of a training step of the heads, one entry for each branch with features.
#[derive(Clone, Debug)]
pub struct HeadsOutput {
    /// The mean cross-entropy of each branch.
    pub losses: Vec<f32>,
    /// The margins of each branch before the step, `[n]`; `None` for images without features.
    pub margins: Vec<Vec<Option<f32>>>,
}

/// How a branch's margin depends on its features of one part of an image, to first order.
#[derive(Clone, Debug)]
pub(crate) struct FeatureGradient<'a> {
    /// The derivative of the margin with respect to each feature.
    pub(crate) gradient: Vec<f32>,
    /// The mean of each feature over the training images.
    pub(crate) mean: &'a [f32],
}

impl Fusion {
    /// Creates the heads of the configured branches. `projections` has one entry for each branch. All weights are zero,
    /// so that the first margins are 0 and no random draw influences the result. All branches have the same share.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub fn new(config: &ModelConfig, projections: Vec<Projection>) -> Result<Fusion> {
        let mut parameters = Parameters::default();
        let fused: Vec<BranchName> = config.fused_branches().collect();
        let mut heads = Vec::new();
        for (name, projection) in config.frozen_branches().zip(projections) {
            let mut add = |part: &str, shape: &[usize], decays| {
                let zeros = Tensor::zeros(shape, DType::F32, &Device::Cpu)?;
                parameters.add(&format!("{name}.head.{part}"), zeros, decays)
            };
            heads.push(Head {
                name,
                fused: fused.contains(&name),
                weight: add("weight", &[projection.outputs_of_part(), 1], true)?,
                bias: add("bias", &[1], false)?,
                share: 1.0,
                projection,
            });
        }
        let trained = config.trained_branches().map(|branch| (branch, 1.0)).collect();
        Ok(Fusion { config: config.fusion.clone(), heads, trained, parameters })
    }

    /// Sets the weight of each branch in the fused margin, in the order of [`Fusion::branches`].
    pub fn set_weights(&mut self, weights: &[f64]) {
        let shares =
            self.heads.iter_mut().map(|head| &mut head.share).chain(self.trained.iter_mut().map(|(_, share)| share));
        for (share, &weight) in shares.zip(weights) {
            *share = weight;
        }
    }

    /// Projects features of the extractor, for [`Fusion::train_step`] and [`Fusion::margins`].
    ///
    /// # Errors
    /// The features are those of other branches.
    pub fn project(&self, features: &FeatureBatch) -> Result<FeatureBatch> {
        if features.branches.len() != self.heads.len() {
            let (found, wanted) = (features.branches.len(), self.heads.len());
            return Err(Error::Features(format!("there are features of {found} branches instead of {wanted}")));
        }
        let branches = self.heads.iter().zip(&features.branches);
        let branches = branches.map(|(head, features)| head.projection.apply(features)).collect::<Result<_>>()?;
        Ok(FeatureBatch { branches })
    }

    /// The branches, in the order of [`Margins::branches`].
    pub fn branches(&self) -> impl Iterator<Item = BranchName> {
        self.heads.iter().map(|head| head.name).chain(self.trained.iter().map(|(name, _)| *name))
    }

    /// The weight of each branch in the fused margin.
    pub fn weights(&self) -> Vec<FusionWeight> {
        let weight = |head: &Head| FusionWeight { branch: head.name, weight: head.share, fused: head.fused };
        let trained = |&(branch, weight): &(BranchName, f64)| FusionWeight { branch, weight, fused: true };
        self.heads.iter().map(weight).chain(self.trained.iter().map(trained)).collect()
    }

    /// Returns the gradient of a branch's margin with respect to its features of one part of an image, which `part` holds.
    /// `None` if there is no such head.
    ///
    /// # Errors
    /// `part` has another length, or memory cannot be allocated.
    pub(crate) fn feature_gradient(&self, branch: BranchName, part: &[f32]) -> Result<Option<FeatureGradient<'_>>> {
        let Some(Head { projection, weight, .. }) = self.heads.iter().find(|head| head.name == branch) else {
            return Ok(None);
        };
        let mean = projection.mean();
        if part.len() != mean.len() {
            let (found, wanted) = (part.len(), mean.len());
            let detail = format!("the branch `{branch}` has {found} features of a part instead of {wanted}");
            return Err(Error::Features(detail));
        }
        let weight: Vec<f32> = weight.flatten_all()?.to_vec1()?;
        let mut gradient = projection.gradient(part, &weight)?;
        // The margin is the mean over the parts.
        gradient.iter_mut().for_each(|value| *value /= projection.parts() as f32);
        Ok(Some(FeatureGradient { gradient, mean }))
    }

    /// The projection and the head of a branch in a form for other programs. `None` if there is no such head.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub(crate) fn head_tensors(&self, branch: BranchName) -> Result<Option<HeadTensors>> {
        self.heads.iter().find(|head| head.name == branch).map(Head::tensors).transpose()
    }

    /// A copy whose heads have random weights, for the sanity check of heat maps.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub fn randomised(&self, config: &ModelConfig, seed: u64) -> Result<Fusion> {
        let copy = self.copy(config)?;
        for (index, head) in copy.heads.iter().enumerate() {
            let mut random = random::stream(seed, "random head", &[index as u64]);
            let width = head.projection.outputs_of_part();
            head.weight.set(&normal_tensor(&mut random, (width, 1))?)?;
        }
        Ok(copy)
    }

    /// A copy without the trained weights.
    fn copy(&self, config: &ModelConfig) -> Result<Fusion> {
        let mut copy = Fusion::new(config, self.heads.iter().map(|head| head.projection.clone()).collect())?;
        copy.set_weights(&self.weights().iter().map(|branch| branch.weight).collect::<Vec<_>>());
        Ok(copy)
    }

    /// The number of features of each branch, before the projection.
    pub fn inputs(&self) -> Vec<usize> {
        self.heads.iter().map(|head| head.projection.inputs()).collect()
    }

    /// The number of optimiser steps so far.
    pub fn steps(&self) -> u32 {
        self.parameters.steps()
    }

    /// Runs one training step of the heads on a batch of projected features. `targets`, `[n]`, are the probabilities of
    /// fake that the loss aims at; `weights`, `[n]`, the weight of each image in the loss.
    ///
    /// # Errors
    /// A computation failed.
    pub fn train_step(
        &mut self,
        batch: &FeatureBatch,
        targets: &[f32],
        weights: &[f32],
        options: StepOptions,
    ) -> Result<HeadsOutput> {
        let n = targets.len();
        let targets = Tensor::from_slice(targets, (n, 1), &Device::Cpu)?;
        let dropout = self.draw_dropout(options.seed);
        let mut total: Option<Tensor> = None;
        let mut output = HeadsOutput { losses: Vec::new(), margins: Vec::new() };
        for (index, (head, features)) in self.heads.iter().zip(&batch.branches).enumerate() {
            let of_parts = head.margins(features, dropout.get(index))?; // [n, parts]
            let margins = of_parts.mean(1)?.to_vec1::<f32>()?.into_iter().zip(&features.present);
            output.margins.push(margins.map(|(margin, present)| present.then_some(margin)).collect());
            let present = features.present.iter().zip(weights);
            let present: Vec<f32> = present.map(|(&present, weight)| if present { *weight } else { 0.0 }).collect();
            let losses = cross_entropy(&of_parts, &targets.broadcast_as(of_parts.dims())?)?.mean(1)?;
            let losses = (losses * Tensor::from_vec(present, n, &Device::Cpu)?)?.sum_all()?;
            let own = (losses / weights.iter().map(|&weight| f64::from(weight)).sum::<f64>().max(TINY))?;
            output.losses.push(own.to_scalar::<f32>()?);
            let own = (own + (head.weight.as_tensor().sqr()?.sum_all()? * (0.5 * self.config.l2))?)?;
            total = Some(match total {
                Some(total) => (total + own)?,
                None => own,
            });
        }
        if let Some(total) = total {
            let settings = StepSettings {
                learning_rate: options.learning_rate,
                weight_decay: self.config.weight_decay,
                average: self.config.average,
            };
            self.parameters.step(&total.backward()?, settings)?;
        }
        Ok(output)
    }

    /// Computes the margins of a batch of projected features, with the current weights. After [`Fusion::load`], these are
    /// the averages of the training. `trained` has the margins of each trained branch.
    ///
    /// # Errors
    /// A computation failed.
    pub fn margins(&self, batch: &FeatureBatch, trained: Vec<Vec<Option<f32>>>) -> Result<Margins> {
        let mut branches: Vec<Vec<Option<f32>>> = Vec::new();
        for (head, features) in self.heads.iter().zip(&batch.branches) {
            let margins = head.margins(features, None)?.mean(1)?.to_vec1::<f32>()?;
            let own = margins.into_iter().zip(&features.present).map(|(margin, &present)| present.then_some(margin));
            branches.push(own.collect());
        }
        branches.extend(trained);
        Ok(self.fuse(branches))
    }

    /// Fuses the margins of all branches, in the order of [`Fusion::branches`]. The fused margin of an image is 0 if no
    /// branch has a margin.
    pub(crate) fn fuse(&self, branches: Vec<Vec<Option<f32>>>) -> Margins {
        let weights = self.weights();
        let images = branches.first().map_or(0, Vec::len);
        let of_image = |image: usize| {
            let fused = weights.iter().zip(&branches).filter(|(weight, _)| weight.fused);
            weighted_mean(fused.map(|(weight, margins)| (weight.weight, margins[image]))) as f32
        };
        Margins { fused: (0..images).map(of_image).collect(), branches }
    }

    /// A copy with the averaged weights, for validation and inference.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub fn averaged(&self, config: &ModelConfig) -> Result<Fusion> {
        let mut copy = self.copy(config)?;
        copy.parameters.load(&self.parameters.averages()?)?;
        Ok(copy)
    }

    /// The tensors of `model.safetensors`: the averaged weights, and projection and weight of each branch.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = self.parameters.averages()?;
        for head in &self.heads {
            head.projection.write(head.name.name(), &mut tensors)?;
        }
        for FusionWeight { branch, weight, .. } in self.weights() {
            tensors.insert(share_name(branch), Tensor::new(&[weight as f32], &Device::Cpu)?);
        }
        Ok(tensors)
    }

    /// The state of the optimiser for a checkpoint.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub fn optimiser_state(&self) -> Result<BTreeMap<String, Tensor>> {
        self.parameters.state()
    }

    /// Restores a training from [`Fusion::optimiser_state`] and [`Fusion::tensors`].
    ///
    /// # Errors
    /// [`Error::OptimiserState`] names a tensor that is missing or has another shape.
    pub fn restore(&mut self, state: &BTreeMap<String, Tensor>, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        self.parameters.restore(state, tensors)
    }

    /// Creates a detector for inference from the result of [`Fusion::tensors`].
    ///
    /// # Errors
    /// [`Error::OptimiserState`] names a tensor that is missing or has another shape.
    pub fn load(config: &ModelConfig, tensors: &BTreeMap<String, Tensor>) -> Result<Fusion> {
        let read = |branch: BranchName| Projection::read(branch.name(), tensors);
        let projections = config.frozen_branches().map(read).collect::<Result<Vec<_>>>()?;
        let mut fusion = Fusion::new(config, projections)?;
        let weight = |branch: BranchName| -> Result<f64> {
            let name = share_name(branch);
            let share = tensors.get(&name).ok_or_else(|| Error::OptimiserState(format!("{name} is missing")))?;
            Ok(f64::from(share.flatten_all()?.get(0)?.to_scalar::<f32>()?))
        };
        let weights = fusion.branches().map(weight).collect::<Result<Vec<_>>>()?;
        fusion.set_weights(&weights);
        fusion.parameters.load(tensors)?;
        Ok(fusion)
    }

    /// Draws, for each branch, a factor of each projected feature. The same features are dropped for all images of a
    /// batch, which needs few draws. Empty without dropout.
    fn draw_dropout(&self, seed: u64) -> Vec<Vec<f32>> {
        let rate = self.config.feature_dropout;
        if rate == 0.0 {
            return Vec::new();
        }
        let mut random = random::stream(seed, "fusion dropout", &[u64::from(self.parameters.steps())]);
        let kept = (1.0 / (1.0 - rate)) as f32;
        let mut draw = |width: usize| (0..width).map(|_| if random.random_bool(rate) { 0.0 } else { kept }).collect();
        self.heads.iter().map(|head| draw(head.projection.outputs_of_part())).collect()
    }
}

/// The name of the tensor with the weight of a branch in the fusion.
fn share_name(branch: BranchName) -> String {
    format!("{branch}.fusion_weight")
}

/// The logits `[-m / 2, m / 2]` of each margin, whose difference is the margin.
pub fn to_logits(margins: &[f32]) -> Logits {
    Logits { values: margins.iter().flat_map(|margin| [-0.5 * margin, 0.5 * margin]).collect(), classes: 2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::BranchFeatures;

    fn config() -> ModelConfig {
        let mut config =
            ModelConfig { branches: vec![BranchName::Vit, BranchName::Frequency], ..ModelConfig::default() };
        config.fusion.l2 = 1e-4;
        config
    }

    fn fusion(config: &ModelConfig) -> Fusion {
        let (batch, _) = batch(24);
        let parts = [2, 1];
        let projections = batch.branches.iter().zip(parts);
        let projections = projections.map(|(features, parts)| Projection::fit(features, parts, None, &[]).unwrap());
        Fusion::new(config, projections.collect()).unwrap()
    }

    /// The first feature of each part shows the class. The first branch has two parts. Every third image has no features
    /// of the second branch.
    fn batch(n: usize) -> (FeatureBatch, Vec<u8>) {
        let mut batch = FeatureBatch { branches: vec![BranchFeatures::new(4), BranchFeatures::new(2)] };
        let labels: Vec<u8> = (0..n).map(|i| (i % 2) as u8).collect();
        for (i, &label) in labels.iter().enumerate() {
            let sign = if label == 1 { 1.0 } else { -1.0 };
            let noise = (i as f32 * 0.7).sin();
            batch.branches[0].push(Some(&[sign, noise, sign, -noise]));
            batch.branches[1].push((i % 3 != 0).then_some(&[2.0 * sign, noise][..]));
        }
        (batch, labels)
    }

    fn train(fusion: &mut Fusion, steps: usize) -> f32 {
        let (batch, labels) = batch(24);
        let batch = fusion.project(&batch).unwrap();
        let targets: Vec<f32> = labels.iter().map(|&label| label.into()).collect();
        let options = StepOptions { learning_rate: 0.01, schedule: 1.0, seed: 1 };
        let step =
            |_| fusion.train_step(&batch, &targets, &[1.0; 24], options).unwrap().losses.iter().sum::<f32>() / 2.0;
        (0..steps).map(step).last().unwrap()
    }

    fn margins(fusion: &Fusion, n: usize) -> Margins {
        fusion.margins(&fusion.project(&batch(n).0).unwrap(), Vec::new()).unwrap()
    }

    #[test]
    fn learns_and_reports_the_margin_of_each_branch() {
        let mut fusion = fusion(&config());
        assert!(train(&mut fusion, 60) < 0.2);
        let margins = margins(&fusion, 12);
        for i in 0..12 {
            assert_eq!(margins.fused[i] > 0.0, i % 2 == 1);
            assert_eq!(margins.branches[1][i].is_none(), i % 3 == 0);
            if i % 3 == 0 {
                // Only the first branch has features, so that it alone decides.
                assert!((margins.fused[i] - margins.branches[0][i].unwrap()).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn fused_margin_is_the_weighted_mean() {
        let mut fusion = fusion(&config());
        train(&mut fusion, 20);
        fusion.set_weights(&[3.0, 1.0]);
        let Margins { fused, branches } = margins(&fusion, 2);
        let expected = 0.75 * branches[0][1].unwrap() + 0.25 * branches[1][1].unwrap();
        assert!((fused[1] - expected).abs() < 1e-5);
        let loaded = Fusion::load(&config(), &fusion.tensors().unwrap()).unwrap();
        assert_eq!(loaded.weights(), fusion.weights());
    }

    #[test]
    fn image_without_features_has_margin_zero() {
        let mut fusion = fusion(&config());
        train(&mut fusion, 20);
        let mut batch = FeatureBatch { branches: vec![BranchFeatures::new(4), BranchFeatures::new(2)] };
        batch.branches.iter_mut().for_each(|branch| branch.push(None));
        let margins = fusion.margins(&fusion.project(&batch).unwrap(), Vec::new()).unwrap();
        assert_eq!((margins.fused, margins.branches), (vec![0.0], vec![vec![None], vec![None]]));
    }

    #[test]
    fn branch_outside_the_fusion_has_its_own_margin_only() {
        let mut config = config();
        config.branches = vec![BranchName::Vit, BranchName::Metadata];
        let mut fusion = fusion(&config);
        train(&mut fusion, 50);
        let margins = margins(&fusion, 4);
        for i in 0..4 {
            assert!((margins.fused[i] - margins.branches[0][i].unwrap()).abs() < 1e-5);
        }
        assert!(margins.branches[1][1].unwrap() > 0.0);
    }

    #[test]
    fn resumed_training_continues_with_the_same_bits() {
        let mut config = config();
        config.fusion.feature_dropout = 0.3;
        let mut whole = fusion(&config);
        train(&mut whole, 7);
        let (state, tensors) = (whole.optimiser_state().unwrap(), whole.tensors().unwrap());
        let mut resumed = fusion(&config);
        resumed.restore(&state, &tensors).unwrap();
        assert_eq!(train(&mut whole, 5), train(&mut resumed, 5));
        let loaded = Fusion::load(&config, &whole.tensors().unwrap()).unwrap();
        assert_eq!(margins(&loaded, 5), margins(&whole.averaged(&config).unwrap(), 5));
    }
}
