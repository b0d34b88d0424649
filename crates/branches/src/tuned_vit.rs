//! The branch `vit` with a vision transformer that is trained: LoRA, or all of its parameters.
//!
//! The head is linear in the features of each part of an image. The features are standardised with mean and deviation over
//! the images of the first training step. The margin of an image is the mean over its parts.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use artifacts::random;
use candle_core::{Device, Tensor, Var};
use model::HeatMap;
use pixels::RgbImage;
use vision::{FineTuning, LoraConfig, Precision, Tower, TowerTensors, TrainableTower};

use crate::config::{BranchName, Tuning, VitConfig};
use crate::cross_entropy::cross_entropy;
use crate::error::{Error, Result};
use crate::fusion::{FeatureGradient, StepOptions};
use crate::head_tensors::HeadTensors;
use crate::inputs::Windows;
use crate::moments::Moments;
use crate::parameters::{Gradients, Parameters, StepSettings, normal_tensor};
use crate::trained_branch::{TrainedBranch, prefixed, without_prefix};
use crate::vit::{VitInput, layers, patch_contributions, width_of_part};

/// The number of images of a forward and backward pass. A step adds the gradients of several passes, because a pass on a
/// whole batch would take many gigabytes.
const IMAGES_AT_ONCE: usize = 4;
/// Names of tensors.
const WEIGHT: &str = "weight";
const BIAS: &str = "bias";
const MEAN: &str = "vit.standardisation.mean";
const SCALE: &str = "vit.standardisation.scale";
/// Prefixes of tensor names in checkpoints.
const TOWER: &str = "vit.tower.";
const HEAD: &str = "vit.head.";
const TOWER_STATE: &str = "vit.tower_state.";
const HEAD_STATE: &str = "vit.head_state.";

/// A transformer with its head and its optimisers.
pub(crate) struct TunedVit {
    config: VitConfig,
    tower: TrainableTower,
    input: VitInput,
    /// Blocks, counted from 0.
    layers: Vec<usize>,
    tower_parameters: Parameters,
    head: Parameters,
    /// `[features of a part, 1]`.
    weight: Var,
    /// `[1]`.
    bias: Var,
    /// Mean and inverse deviation of each feature of a part, once there was a training step.
    standardisation: Option<(Vec<f32>, Vec<f32>)>,
    /// The transformer for inference, if its weights are the current ones.
    merged: Option<Tower>,
}

impl fmt::Debug for TunedVit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TunedVit").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What is trained of the transformer.
fn method(config: &VitConfig) -> FineTuning {
    match config.tuning {
        Tuning::Full => FineTuning::Full,
        Tuning::Frozen | Tuning::Lora => FineTuning::Lora(LoraConfig {
            rank: config.lora_rank,
            alpha: config.lora_alpha as f32,
            ..LoraConfig::default()
        }),
    }
}

impl TunedVit {
    /// Opens the transformer in a file. Its head has weights of zero, so that the first margins are 0.
    ///
    /// # Errors
    /// The file cannot be read, is not a vision transformer, or lacks a configured block.
    pub(crate) fn open(config: &VitConfig, path: &Path, seed: u64) -> Result<TunedVit> {
        let tower = TrainableTower::open(path, &method(config), seed)?;
        let mut tower_parameters = Parameters::default();
        for (name, var) in tower.parameters() {
            // Weight decay applies to matrices, not to biases and the parameters of normalisations.
            tower_parameters.add_variable(name, var.clone(), var.dims().len() > 1)?;
        }
        let layers = layers(config, tower.config().depth)?;
        let width = width_of_part(tower.config(), &layers);
        let mut head = Parameters::default();
        let weight = head.add(WEIGHT, Tensor::from_vec(vec![0.0_f32; width], (width, 1), &Device::Cpu)?, true)?;
        let bias = head.add(BIAS, Tensor::new(&[0.0_f32], &Device::Cpu)?, false)?;
        let input = VitInput { preprocessing: *tower.preprocessing(), crops: config.crops };
        Ok(TunedVit {
            config: config.clone(),
            tower,
            input,
            layers,
            tower_parameters,
            head,
            weight,
            bias,
            standardisation: None,
            merged: None,
        })
    }

    /// The number of features of a part.
    fn width(&self) -> usize {
        width_of_part(self.tower.config(), &self.layers)
    }

    /// The transformer for inference, with the current weights.
    fn merged(&mut self) -> Result<&Tower> {
        let tower = match self.merged.take() {
            Some(tower) => tower,
            None => self.tower.merged(Precision::F32)?,
        };
        Ok(self.merged.insert(tower))
    }

    /// Computes the features of parts, `[n, features]`, without gradients.
    fn features(&mut self, pixels: &[u8], n: usize) -> Result<Vec<f32>> {
        let layers = self.layers.clone();
        Ok(self.merged()?.features(pixels, n, &layers)?.layers)
    }

    /// The factor of standardised features by which their vectors have a length of about 1.
    fn unit_length(&self) -> f32 {
        1.0 / (self.width() as f32).sqrt()
    }

    /// The slope of a part's margin in each feature, and the mean of each feature.
    fn slope(&self) -> Result<(Vec<f32>, Vec<f32>)> {
        let width = self.width();
        let (mean, scale) = self.standardisation.clone().unwrap_or((vec![0.0; width], vec![1.0; width]));
        let weight: Vec<f32> = self.weight.flatten_all()?.to_vec1()?;
        let slope = weight.iter().zip(&scale).map(|(weight, scale)| weight * self.unit_length() * scale);
        Ok((slope.collect(), mean))
    }

    /// The head in a form for other programs.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub(crate) fn head_tensors(&self) -> Result<HeadTensors> {
        let width = self.width();
        let (mean, scale) = self.standardisation.clone().unwrap_or((vec![0.0; width], vec![1.0; width]));
        Ok(HeadTensors {
            mean,
            scale,
            has_unit_vectors: false,
            kernel: None,
            centre: vec![0.0; width],
            factor: self.unit_length(),
            weight: self.weight.flatten_all()?.to_vec1()?,
            bias: self.bias.get(0)?.to_scalar()?,
        })
    }

    /// The transformer in a form for other programs. `path` is its file, and `tensors` the result of
    /// [`TrainedBranch::tensors`].
    ///
    /// # Errors
    /// The file cannot be read, or the tensors do not fit it.
    pub(crate) fn tower_tensors(&self, path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<TowerTensors> {
        Ok(TowerTensors::read(path, &method(&self.config), &without_prefix(TOWER, tensors))?)
    }

    /// Runs a forward and a backward pass on some images, and adds the gradients. Returns the sum of the weighted losses, and
    /// the margins.
    fn pass(
        &self,
        pixels: &[u8],
        (targets, weights): (&[f32], &[f32]),
        [of_tower, of_head]: [&mut Gradients; 2],
    ) -> Result<(f32, Vec<f32>)> {
        let (images, parts, width) = (targets.len(), self.input.count(), self.width());
        let features = self.tower.forward(pixels, images * parts, &self.layers)?.layers;
        let mut features = features.reshape((images * parts, width))?;
        if let Some((mean, scale)) = &self.standardisation {
            let tensor = |values: &[f32]| Tensor::from_slice(values, width, &Device::Cpu);
            features = features.broadcast_sub(&tensor(mean)?)?.broadcast_mul(&tensor(scale)?)?;
        }
        let features = (features * f64::from(self.unit_length()))?;
        let margins = features.matmul(&self.weight)?.broadcast_add(&self.bias)?.reshape((images, parts))?.mean(1)?;
        let tensor = |values: &[f32]| Tensor::from_slice(values, images, &Device::Cpu);
        let loss = (cross_entropy(&margins, &tensor(targets)?)? * tensor(weights)?)?.sum_all()?;
        let gradients = loss.backward()?;
        self.tower_parameters.add_gradients(&gradients, of_tower)?;
        self.head.add_gradients(&gradients, of_head)?;
        Ok((loss.to_scalar()?, margins.to_vec1()?))
    }
}

impl TrainedBranch for TunedVit {
    fn train_step(
        &mut self,
        inputs: &Windows,
        targets: &[f32],
        weights: &[f32],
        options: StepOptions,
    ) -> Result<(f32, Vec<Option<f32>>)> {
        if self.standardisation.is_none() {
            let features = self.features(&inputs.pixels, inputs.counts.iter().sum())?;
            let mut moments = Moments::new(self.width());
            features.chunks_exact(self.width()).for_each(|part| moments.add(part));
            self.standardisation = Some(moments.finish());
        }
        let side = self.input.preprocessing.size;
        let bytes = self.input.count() * side * side * 3;
        let total = weights.iter().sum::<f32>().max(f32::MIN_POSITIVE);
        let shares: Vec<f32> = weights.iter().map(|weight| weight / total).collect();
        let (mut of_tower, mut of_head) = (Gradients::new(), Gradients::new());
        let (mut loss, mut margins) = (0.0, Vec::with_capacity(targets.len()));
        let images = targets.chunks(IMAGES_AT_ONCE).zip(shares.chunks(IMAGES_AT_ONCE));
        for (pixels, images) in inputs.pixels.chunks(IMAGES_AT_ONCE * bytes).zip(images) {
            let (own, of_images) = self.pass(pixels, images, [&mut of_tower, &mut of_head])?;
            loss += own;
            margins.extend(of_images.into_iter().map(Some));
        }
        let weight_decay = self.config.weight_decay;
        let learning_rate = self.config.learning_rate * options.schedule;
        self.tower_parameters.apply(&of_tower, StepSettings { learning_rate, weight_decay, average: 0.0 })?;
        let learning_rate = options.learning_rate;
        self.head.apply(&of_head, StepSettings { learning_rate, weight_decay, average: 0.0 })?;
        self.merged = None;
        Ok((loss, margins))
    }

    fn margins(&mut self, inputs: &Windows) -> Result<Vec<Option<f32>>> {
        let (parts, width) = (self.input.count(), self.width());
        let features = self.features(&inputs.pixels, inputs.counts.iter().sum())?;
        let (slope, mean) = self.slope()?;
        let bias: f32 = self.bias.get(0)?.to_scalar()?;
        let of_part = |row: &[f32]| -> f32 {
            row.iter().zip(&mean).zip(&slope).map(|((value, mean), slope)| slope * (value - mean)).sum()
        };
        let margin = |image: &[f32]| image.chunks_exact(width).map(of_part).sum::<f32>() / parts as f32 + bias;
        Ok(features.chunks_exact(width * parts).map(|image| Some(margin(image))).collect())
    }

    fn evidence_map(&mut self, image: &RgbImage) -> Result<Option<(HeatMap, RgbImage)>> {
        let (mut gradient, mean) = self.slope()?;
        // The margin is the mean over the parts.
        let parts = self.input.count() as f32;
        gradient.iter_mut().for_each(|value| *value /= parts);
        let layers = self.layers.clone();
        patch_contributions(self.merged()?, &layers, image, |_| Ok(Some(FeatureGradient { gradient, mean: &mean })))
    }

    fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = prefixed(TOWER, self.tower_parameters.averages()?);
        tensors.extend(prefixed(HEAD, self.head.averages()?));
        if let Some((mean, scale)) = &self.standardisation {
            for (name, values) in [(MEAN, mean), (SCALE, scale)] {
                tensors.insert(name.to_owned(), Tensor::new(values.as_slice(), &Device::Cpu)?);
            }
        }
        Ok(tensors)
    }

    /// Mean and scale of each feature, with their entries in the header.
    fn later_bytes(&self) -> u64 {
        let tensor = self.width() * size_of::<f32>() + 256;
        if self.standardisation.is_none() { 2 * tensor as u64 } else { 0 }
    }

    fn optimiser_state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = prefixed(TOWER_STATE, self.tower_parameters.state()?);
        state.extend(prefixed(HEAD_STATE, self.head.state()?));
        Ok(state)
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        self.load(tensors)?;
        self.tower_parameters.restore(&without_prefix(TOWER_STATE, state), &without_prefix(TOWER, tensors))?;
        self.head.restore(&without_prefix(HEAD_STATE, state), &without_prefix(HEAD, tensors))
    }

    fn load(&mut self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        self.tower_parameters.load(&without_prefix(TOWER, tensors))?;
        self.head.load(&without_prefix(HEAD, tensors))?;
        let width = self.width();
        let read = |name: &str| -> Result<Option<Vec<f32>>> {
            let Some(tensor) = tensors.get(name) else { return Ok(None) };
            if tensor.dims() != [width] {
                let detail = format!("{name} has shape {:?} instead of [{width}]", tensor.dims());
                return Err(Error::OptimiserState(detail));
            }
            Ok(Some(tensor.to_vec1()?))
        };
        self.standardisation = read(MEAN)?.zip(read(SCALE)?);
        self.merged = None;
        Ok(())
    }

    /// Replaces the head.
    fn randomise(&mut self, seed: u64) -> Result<()> {
        let mut random = random::stream(seed, &format!("head of the branch {}", BranchName::Vit), &[]);
        Ok(self.weight.set(&normal_tensor(&mut random, (self.width(), 1))?)?)
    }
}
