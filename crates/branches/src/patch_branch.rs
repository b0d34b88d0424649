//! The branch `patches`: a small ResNet on residuals of windows at native resolution, trained from scratch.
//!
//! The network turns each window into features, from which a linear head computes two numbers: an attention logit and
//! the window's evidence. The margin of an image is the mean of the evidence over its windows, weighted with the softmax
//! of the attention logits (additive attention pooling; Javed et al. 2022, arXiv 2206.01794). The contribution of each
//! window to the margin is therefore known exactly.

use std::collections::BTreeMap;

use artifacts::random::{self, StandardNormal};
use candle_core::{D, Device, Tensor, Var};
use model::device::Device as NetworkDevice;
use model::{Adam, AdamConfig, Network, NetworkConfig, Normalisation, PixelBatch};

use crate::config::PatchesConfig;
use crate::cross_entropy::cross_entropy;
use crate::error::{Error, Result};
use crate::parameters::{Parameters, StepSettings};
use crate::windows::Windows;

/// The architecture of the network.
const ARCHITECTURE: &str = "resnet14_patch";
/// The largest number of windows of one inference.
const WINDOWS: usize = 128;
/// Prefixes of tensor names in checkpoints.
const NETWORK: &str = "patches.network.";
const HEAD: &str = "patches.head.";
const NETWORK_STATE: &str = "patches.network_state.";
const HEAD_STATE: &str = "patches.head_state.";
const WEIGHT: &str = "weight";
const BIAS: &str = "bias";
/// Added to the attention logits of places that hold no window.
const NO_WINDOW: f32 = -1e9;

/// The network with its head and its optimisers.
#[derive(Debug)]
pub struct PatchBranch {
    config: PatchesConfig,
    network: Network,
    adam: Adam,
    head: Parameters,
    /// `[2, features]`: the rows of the attention logit and of the evidence.
    weight: Var,
    /// `[2]`.
    bias: Var,
    /// Whether the network has the current head, which inference needs.
    head_installed: bool,
}

/// What a window contributes to the margin of its image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowEvidence {
    /// The share of the window in the margin, from 0 to 1. The windows of an image have the sum 1.
    pub attention: f32,
    /// The window's own margin.
    pub margin: f32,
}

impl PatchBranch {
    /// Creates an untrained branch. Its weights depend on the seed only.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub fn new(config: &PatchesConfig, seed: u64) -> Result<PatchBranch> {
        let normalisation = Normalisation { mean: [0.5; 3], std: [0.25; 3] };
        let network = NetworkConfig { arch: ARCHITECTURE.to_owned(), classes: 2, normalisation };
        let mut network = Network::new(&network, &NetworkDevice::Cpu)?;
        network.initialise(seed)?;
        let adam = Adam::new(AdamConfig::default(), &network)?;
        let features = network.features();
        let mut random = random::stream(seed, "head of the branch patches", &[]);
        let deviation = (1.0 / features as f32).sqrt();
        let values: Vec<f32> =
            (0..features).flat_map(|_| f32::draw_pair(&mut random)).map(|value| value * deviation).collect();
        let mut head = Parameters::default();
        let weight = head.add(WEIGHT, Tensor::from_vec(values, (2, features), &Device::Cpu)?, true)?;
        let bias = head.add(BIAS, Tensor::new(&[0.0_f32; 2], &Device::Cpu)?, false)?;
        Ok(PatchBranch { config: config.clone(), network, adam, head, weight, bias, head_installed: false })
    }

    /// Runs one training step. `targets`, `[n]`, are 1 for fake and 0 for real; `weights`, `[n]`, the share of each image
    /// in the loss. Returns the loss, and the margin of each image before the step; `None` for images without windows.
    ///
    /// # Errors
    /// A computation failed.
    pub fn train_step(
        &mut self,
        windows: &Windows,
        targets: &[f32],
        weights: &[f32],
        learning_rate: f64,
    ) -> Result<(f32, Vec<Option<f32>>)> {
        let present: Vec<usize> = (0..windows.counts.len()).filter(|&image| windows.counts[image] > 0).collect();
        if present.is_empty() {
            return Ok((0.0, vec![None; windows.counts.len()]));
        }
        let n = windows.counts.iter().sum();
        let side = self.config.side;
        let batch = PixelBatch { data: &windows.pixels, n, height: side, width: side };
        let features = self.network.forward_features(&batch)?; // [windows, features]
        let scores = features.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)?; // [windows, 2]
        let margins = pooled(&scores, &windows.counts)?; // [images with windows]
        let of_present = |values: &[f32]| -> Result<Tensor> {
            let values: Vec<f32> = present.iter().map(|&image| values[image]).collect();
            Ok(Tensor::from_vec(values, present.len(), &Device::Cpu)?)
        };
        let total: f32 = weights.iter().sum();
        let losses = (cross_entropy(&margins, &of_present(targets)?)? * of_present(weights)?)?;
        let loss = (losses.sum_all()? / f64::from(total.max(f32::MIN_POSITIVE)))?;
        let gradients = loss.backward()?;
        if let Some(gradient) = gradients.get(features.as_tensor()) {
            self.network.backward_features(gradient)?;
            self.adam.config.lr = learning_rate;
            self.adam.step(&mut self.network)?;
        }
        let settings = StepSettings { learning_rate, weight_decay: self.config.weight_decay, average: 0.0 };
        self.head.step(&gradients, settings)?;
        self.head_installed = false;
        Ok((loss.to_scalar()?, spread(&margins.to_vec1()?, &windows.counts)))
    }

    /// Computes the margin of each image; `None` for images without windows.
    ///
    /// # Errors
    /// A computation failed.
    pub fn margins(&mut self, windows: &Windows) -> Result<Vec<Option<f32>>> {
        let margin = |evidence: Vec<WindowEvidence>| {
            let sum = evidence.iter().map(|window| window.attention * window.margin).sum();
            (!evidence.is_empty()).then_some(sum)
        };
        Ok(self.evidence(windows)?.into_iter().map(margin).collect())
    }

    /// Computes what each window of each image contributes to its margin.
    ///
    /// # Errors
    /// A computation failed.
    pub fn evidence(&mut self, windows: &Windows) -> Result<Vec<Vec<WindowEvidence>>> {
        if !self.head_installed {
            self.network.set_head(&self.weight, &self.bias)?;
            self.head_installed = true;
        }
        let side = self.config.side;
        let bytes = side * side * 3;
        let mut scores: Vec<[f32; 2]> = Vec::new();
        for chunk in windows.pixels.chunks(WINDOWS * bytes) {
            let batch = PixelBatch { data: chunk, n: chunk.len() / bytes, height: side, width: side };
            scores.extend(self.network.infer(&batch)?.rows().map(|row| [row[0], row[1]]));
        }
        let mut rest = scores.as_slice();
        let mut take = |count: usize| {
            let (own, others) = rest.split_at(count);
            rest = others;
            softmax(own)
        };
        Ok(windows.counts.iter().map(|&count| take(count)).collect())
    }

    /// The tensors of `model.safetensors`.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = prefixed(HEAD, self.head.averages()?);
        let network = self.network.parameters()?.into_iter().chain(self.network.statistics()?);
        tensors.extend(prefixed(NETWORK, network));
        Ok(tensors)
    }

    /// The state of the optimisers for a checkpoint.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub fn optimiser_state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = prefixed(NETWORK_STATE, self.adam.state()?);
        state.extend(prefixed(HEAD_STATE, self.head.state()?));
        Ok(state)
    }

    /// Restores a training from [`PatchBranch::optimiser_state`] and [`PatchBranch::tensors`].
    ///
    /// # Errors
    /// [`Error::OptimiserState`] names a tensor that is missing or has another shape.
    pub fn restore(&mut self, state: &BTreeMap<String, Tensor>, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        self.load(tensors)?;
        self.head.restore(&without_prefix(HEAD_STATE, state), &without_prefix(HEAD, tensors))?;
        let state = without_prefix(NETWORK_STATE, state);
        self.adam = Adam::from_state(AdamConfig::default(), &self.network, &state).map_err(unfit)?;
        Ok(())
    }

    /// Loads the result of [`PatchBranch::tensors`] for inference.
    ///
    /// # Errors
    /// [`Error::OptimiserState`] names a tensor that is missing or has another shape.
    pub fn load(&mut self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        self.network.set_tensors(&without_prefix(NETWORK, tensors)).map_err(unfit)?;
        self.head.load(&without_prefix(HEAD, tensors))?;
        self.head_installed = false;
        Ok(())
    }
}

fn unfit(error: model::Error) -> Error {
    Error::OptimiserState(format!("branch `patches`: {error}"))
}

fn prefixed(prefix: &str, tensors: impl IntoIterator<Item = (String, Tensor)>) -> BTreeMap<String, Tensor> {
    tensors.into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect()
}

fn without_prefix(prefix: &str, tensors: &BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let own = tensors.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone())));
    own.collect()
}

/// Pools the scores of windows, `[windows, 2]`, to a margin for each image that has windows.
fn pooled(scores: &Tensor, counts: &[usize]) -> Result<Tensor> {
    let counts: Vec<usize> = counts.iter().copied().filter(|&count| count > 0).collect();
    let longest = counts.iter().copied().max().unwrap_or(0);
    let (mut places, mut mask) = (Vec::new(), Vec::new());
    let mut first = 0;
    for &count in &counts {
        places.extend((0..longest).map(|place| (first + place.min(count - 1)) as u32));
        mask.extend((0..longest).map(|place| if place < count { 0.0 } else { NO_WINDOW }));
        first += count;
    }
    let shape = (counts.len(), longest);
    let places = Tensor::from_vec(places, counts.len() * longest, &Device::Cpu)?;
    let column = |index: usize| scores.narrow(1, index, 1)?.contiguous()?.index_select(&places, 0)?.reshape(shape);
    let logits = (column(0)? + Tensor::from_vec(mask, shape, &Device::Cpu)?)?;
    let exps = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let sums = exps.sum(1)?;
    Ok(((exps * column(1)?)?.sum(1)? / sums)?)
}

/// Returns a margin for each image, from those of the images that have windows.
fn spread(margins: &[f32], counts: &[usize]) -> Vec<Option<f32>> {
    let mut margins = margins.iter().copied();
    counts.iter().map(|&count| if count > 0 { margins.next() } else { None }).collect()
}

/// Returns the evidence of the windows of one image. `scores` holds attention logit and margin of each.
fn softmax(scores: &[[f32; 2]]) -> Vec<WindowEvidence> {
    let largest = scores.iter().map(|[logit, _]| *logit).fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f32> = scores.iter().map(|[logit, _]| (logit - largest).exp()).collect();
    let sum: f32 = exps.iter().sum();
    scores.iter().zip(exps).map(|([_, margin], exp)| WindowEvidence { attention: exp / sum, margin: *margin }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> PatchesConfig {
        PatchesConfig { side: 32, count: 3, ..PatchesConfig::default() }
    }

    /// Images whose windows have stripes of one or of two pixels. The third image has no windows.
    fn windows() -> (Windows, Vec<f32>) {
        let mut windows = Windows::default();
        let counts = [3, 2, 0, 3, 1, 3];
        for (image, count) in counts.into_iter().enumerate() {
            let period = 1 + image % 2;
            let pixels: Vec<u8> = (0..count * 32 * 32 * 3)
                .map(|i| if i / 3 / period % 2 == 0 { 100 } else { 150 + (i % 7) as u8 })
                .collect();
            windows.push(&pixels, count);
        }
        (windows, (0..counts.len()).map(|image| (image % 2) as f32).collect())
    }

    fn train(branch: &mut PatchBranch, steps: usize) -> f32 {
        let (windows, targets) = windows();
        let step = |_| branch.train_step(&windows, &targets, &[1.0; 6], 1e-3).unwrap().0;
        (0..steps).map(step).last().unwrap()
    }

    #[test]
    fn learns_windows_and_says_nothing_about_images_without_any() {
        let mut branch = PatchBranch::new(&config(), 1).unwrap();
        let first = train(&mut branch, 1);
        assert!(train(&mut branch, 30) < 0.3 * first);
        let (windows, _) = windows();
        let margins = branch.margins(&windows).unwrap();
        assert_eq!(margins.iter().map(Option::is_none).collect::<Vec<_>>(), [false, false, true, false, false, false]);
        for evidence in branch.evidence(&windows).unwrap().iter().filter(|evidence| !evidence.is_empty()) {
            assert!((evidence.iter().map(|window| window.attention).sum::<f32>() - 1.0).abs() < 1e-5);
        }
        assert_eq!(branch.margins(&Windows::default()).unwrap(), []);
    }

    #[test]
    fn resumed_training_continues_with_the_same_bits() {
        let mut whole = PatchBranch::new(&config(), 1).unwrap();
        train(&mut whole, 3);
        let copy = |tensors: BTreeMap<String, Tensor>| -> BTreeMap<String, Tensor> {
            tensors.into_iter().map(|(name, tensor)| (name, tensor.copy().unwrap())).collect()
        };
        let (state, tensors) = (copy(whole.optimiser_state().unwrap()), copy(whole.tensors().unwrap()));
        let mut resumed = PatchBranch::new(&config(), 2).unwrap();
        resumed.restore(&state, &tensors).unwrap();
        assert_eq!(train(&mut whole, 2), train(&mut resumed, 2));
        let mut loaded = PatchBranch::new(&config(), 3).unwrap();
        loaded.load(&whole.tensors().unwrap()).unwrap();
        assert_eq!(loaded.margins(&windows().0).unwrap(), resumed.margins(&windows().0).unwrap());
        let missing = loaded.load(&BTreeMap::new()).unwrap_err().to_string();
        assert!(missing.contains("conv1.weight"), "{missing}");
    }

    /// Pooling equals its definition, and its gradient equals central differences.
    #[test]
    fn pooling_and_its_gradient_equal_definition() {
        let counts = [2, 0, 3];
        let values = [0.3_f32, -1.0, 2.0, 0.5, -0.7, 1.5, 0.1, -2.0, 1.1, 0.4];
        let of = |values: &[f32]| {
            let rows = values.as_chunks::<2>().0;
            let mean = |rows: &[[f32; 2]]| -> f32 { softmax(rows).iter().map(|w| w.attention * w.margin).sum() };
            [mean(&rows[..2]), mean(&rows[2..])]
        };
        let var = Var::from_slice(&values, (5, 2), &Device::Cpu).unwrap();
        let margins = pooled(&var, &counts).unwrap();
        for (found, expected) in margins.to_vec1::<f32>().unwrap().into_iter().zip(of(&values)) {
            assert!((found - expected).abs() < 1e-6);
        }
        assert_eq!(spread(&[1.0, 2.0], &counts), [Some(1.0), None, Some(2.0)]);
        let gradients = margins.sum_all().unwrap().backward().unwrap();
        let found = gradients.get(var.as_tensor()).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (index, found) in found.into_iter().enumerate() {
            let moved = |by: f32| {
                let mut moved = values;
                moved[index] += by;
                of(&moved).iter().sum::<f32>()
            };
            let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((found - expected).abs() < 1e-3, "{index}: {found} {expected}");
        }
    }
}
