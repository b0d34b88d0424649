//! Branches that are convolutional networks: `patches`, a small ResNet on windows at native resolution, and the ResNets
//! on the whole image.
//!
//! The network turns each window into features, from which a linear head computes two numbers: an attention logit and
//! the window's evidence. The margin of an image is the mean of the evidence over its windows, weighted with the softmax
//! of the attention logits. The contribution of each window to the margin is therefore known exactly. For a ResNet on the
//! whole image, there is one window, and its attention is 1.

use std::collections::BTreeMap;
use std::path::PathBuf;

use artifacts::random;
use candle_core::{Device, Tensor, Var};
use model::device::Device as NetworkDevice;
use model::weights::LoadReport;
use model::{Adam, AdamConfig, HeatMap, Network, NetworkConfig, Normalisation, PixelBatch};
use pixels::{Filter, Fit, RgbImage, resize};
use signals::patches;

use crate::attention_pooling::{WindowEvidence, pooled, softmax, spread};
use crate::config::{BranchName, PatchesConfig, ResnetConfig};
use crate::cross_entropy::cross_entropy;
use crate::error::{Error, OfBranch, Result};
use crate::fusion::StepOptions;
use crate::inputs::Windows;
use crate::parameters::{Parameters, StepSettings, normal_tensor};
use crate::trained_branch::{TrainedBranch, prefixed, without_prefix};

/// The architecture of the network of the branch `patches`.
const PATCHES_ARCHITECTURE: &str = "resnet14_patch";
/// The largest number of windows of one inference.
const WINDOWS: usize = 128;
/// The largest number of windows in a row and in a column of the map of the branch `patches`.
const MAP_WINDOWS: u32 = 16;
/// The layer of a ResNet whose activations its map shows.
const MAP_LAYER: &str = "layer4";
/// Names of the head's tensors.
const WEIGHT: &str = "weight";
const BIAS: &str = "bias";

/// A network with its head and its optimisers.
#[derive(Debug)]
pub(crate) struct NetworkBranch {
    name: BranchName,
    /// The windows of the branch `patches`. `None`: the network sees the whole image.
    patches: Option<PatchesConfig>,
    settings: Settings,
    network: Network,
    adam: Adam,
    head: Parameters,
    /// `[2, features]`: the rows of the attention logit and of the evidence.
    weight: Var,
    /// `[2]`.
    bias: Var,
    /// Whether the network has the current head, which inference needs.
    head_installed: bool,
    /// What was loaded from a file of initial weights.
    loaded: Option<LoadReport>,
}

/// The settings that all networks have.
#[derive(Clone, Copy, Debug)]
struct Settings {
    /// The side of the input in pixels.
    side: usize,
    /// The learning rate of the first step.
    learning_rate: f64,
    /// Weight decay of the head.
    weight_decay: f64,
}

/// The initial weights of a ResNet.
#[derive(Clone, Debug)]
pub struct ResnetWeights {
    /// The safetensors file.
    pub path: PathBuf,
    /// Prefixes of the names of tensors that the file may lack. They start with random weights.
    pub allow_missing: Vec<String>,
}

impl NetworkBranch {
    /// Creates an untrained branch `patches`. Its weights depend on the seed only.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub(crate) fn patches(config: &PatchesConfig, device: &NetworkDevice, seed: u64) -> Result<NetworkBranch> {
        let normalisation = Normalisation { mean: [0.5; 3], std: [0.25; 3] };
        let network = NetworkConfig { arch: PATCHES_ARCHITECTURE.to_owned(), classes: 2, normalisation };
        let PatchesConfig { side, learning_rate, weight_decay, .. } = *config;
        let settings = Settings { side, learning_rate, weight_decay };
        let mut network = Network::zeros(&network, device).of_branch(BranchName::Patches)?;
        network.initialise(seed).of_branch(BranchName::Patches)?;
        NetworkBranch::new(BranchName::Patches, Some(config.clone()), settings, network, seed)
    }

    /// Creates a ResNet on whole images with the weights in a file, or with random ones.
    ///
    /// # Errors
    /// The file cannot be read or has other tensors, or memory cannot be allocated.
    pub(crate) fn resnet(
        name: BranchName,
        config: &ResnetConfig,
        weights: Option<&ResnetWeights>,
        device: &NetworkDevice,
        seed: u64,
    ) -> Result<NetworkBranch> {
        let &ResnetConfig { size: side, learning_rate, weight_decay } = config;
        let settings = Settings { side, learning_rate, weight_decay };
        let network = NetworkConfig { arch: name.name().to_owned(), ..NetworkConfig::default() };
        let mut network = Network::zeros(&network, device).of_branch(name)?;
        network.initialise(seed).of_branch(name)?;
        let mut loaded = None;
        match weights {
            Some(ResnetWeights { path, allow_missing }) => {
                loaded = Some(network.load(path, allow_missing).of_branch(name)?);
            }
            None => network.zero_init_residual().of_branch(name)?,
        }
        Ok(NetworkBranch { loaded, ..NetworkBranch::new(name, None, settings, network, seed)? })
    }

    fn new(
        name: BranchName,
        patches: Option<PatchesConfig>,
        settings: Settings,
        network: Network,
        seed: u64,
    ) -> Result<NetworkBranch> {
        let adam = Adam::new(AdamConfig::default(), &network).of_branch(name)?;
        let mut head = Parameters::default();
        let features = network.features();
        let weight = head.add(WEIGHT, random_head(name, features, seed)?, true)?;
        let bias = head.add(BIAS, Tensor::new(&[0.0_f32; 2], &Device::Cpu)?, false)?;
        Ok(NetworkBranch {
            name,
            patches,
            settings,
            network,
            adam,
            head,
            weight,
            bias,
            head_installed: false,
            loaded: None,
        })
    }

    /// The error for tensors of a checkpoint that do not fit.
    fn unfit(&self, error: model::Error) -> Error {
        Error::OptimiserState(format!("branch `{}`: {error}", self.name))
    }

    /// The prefixes of the names of tensors in checkpoints: network, head, and the states of their optimisers.
    fn prefixes(&self) -> [String; 4] {
        ["network", "head", "network_state", "head_state"].map(|part| format!("{}.{part}.", self.name))
    }

    /// The prefix of the names of the network's tensors in checkpoints.
    pub(crate) fn network_prefix(&self) -> String {
        let [network, ..] = self.prefixes();
        network
    }

    /// The row of the head that gives the evidence: its weight, `[features]`, and its bias.
    ///
    /// # Errors
    /// Memory cannot be allocated.
    pub(crate) fn evidence_head(&self) -> Result<(Vec<f32>, f32)> {
        Ok((self.weight.get(1)?.to_vec1()?, self.bias.get(1)?.to_scalar()?))
    }

    /// Computes what each window of each image contributes to its margin.
    fn evidence(&mut self, windows: &Windows) -> Result<Vec<Vec<WindowEvidence>>> {
        self.install_head()?;
        let side = self.settings.side;
        let bytes = side * side * 3;
        let mut scores: Vec<[f32; 2]> = Vec::new();
        for chunk in windows.pixels.chunks(WINDOWS * bytes) {
            let batch = PixelBatch { data: chunk, n: chunk.len() / bytes, height: side, width: side };
            let logits = self.network.infer(&batch).of_branch(self.name)?;
            scores.extend(logits.rows().map(|row| [row[0], row[1]]));
        }
        let mut rest = scores.as_slice();
        let mut take = |count: usize| {
            let (own, others) = rest.split_at(count);
            rest = others;
            softmax(own)
        };
        Ok(windows.counts.iter().map(|&count| take(count)).collect())
    }

    /// Puts the head into the network. If there is one window, whose attention logit has no effect, the first output is the
    /// negative evidence, so that the outputs are the evidence for each class.
    fn install_head(&mut self) -> Result<()> {
        if self.head_installed {
            return Ok(());
        }
        let (mut weight, mut bias) = (self.weight.as_tensor().clone(), self.bias.as_tensor().clone());
        if self.patches.is_none() {
            let evidence = (weight.narrow(0, 1, 1)?, bias.narrow(0, 1, 1)?);
            weight = Tensor::cat(&[&evidence.0.neg()?, &evidence.0], 0)?;
            bias = Tensor::cat(&[&evidence.1.neg()?, &evidence.1], 0)?;
        }
        self.network.set_head(&weight, &bias).of_branch(self.name)?;
        self.head_installed = true;
        Ok(())
    }

    /// The margins of windows all over the image, times their shares of the attention.
    fn window_map(&mut self, config: &PatchesConfig, image: &RgbImage) -> Result<Option<(HeatMap, RgbImage)>> {
        let (columns, windows) = patches::grid(image, config.side as u32, MAP_WINDOWS);
        if windows.is_empty() {
            return Ok(None);
        }
        let all = Windows { pixels: config.residuals(&windows), counts: vec![windows.len()] };
        let evidence = self.evidence(&all)?.into_iter().flatten();
        let values = evidence.map(|window| window.attention * window.margin).collect();
        Ok(Some((HeatMap { values, height: windows.len() / columns, width: columns }, image.clone())))
    }

    /// Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391): the map of fake minus the map of real.
    fn grad_cam(&mut self, image: &RgbImage) -> Result<(HeatMap, RgbImage)> {
        self.install_head()?;
        let side = self.settings.side;
        let input = resize(image, side as u32, Filter::Bicubic, Fit::Crop).map_err(vision::Error::from)?;
        let data = input.data().repeat(2);
        let batch = PixelBatch { data: &data, n: 2, height: side, width: side };
        let (maps, _) = self.network.grad_cam(&batch, &[0, 1], MAP_LAYER).of_branch(self.name)?;
        let [real, fake] = [&maps[0], &maps[1]];
        let values = fake.values.iter().zip(&real.values).map(|(fake, real)| fake - real).collect();
        Ok((HeatMap { values, ..fake.clone() }, input))
    }
}

/// The random initial weights of a head, `[2, features]`.
fn random_head(name: BranchName, features: usize, seed: u64) -> Result<Tensor> {
    let mut random = random::stream(seed, &format!("head of the branch {name}"), &[]);
    let deviation = (1.0 / features as f32).sqrt();
    Ok((normal_tensor(&mut random, (2, features))? * f64::from(deviation))?)
}

impl TrainedBranch for NetworkBranch {
    fn train_step(
        &mut self,
        windows: &Windows,
        targets: &[f32],
        weights: &[f32],
        options: StepOptions,
    ) -> Result<(f32, Vec<Option<f32>>)> {
        let present: Vec<usize> = (0..windows.counts.len()).filter(|&image| windows.counts[image] > 0).collect();
        if present.is_empty() {
            return Ok((0.0, vec![None; windows.counts.len()]));
        }
        let n = windows.counts.iter().sum();
        let Settings { side, learning_rate, weight_decay } = self.settings;
        let batch = PixelBatch { data: &windows.pixels, n, height: side, width: side };
        // [windows, features]
        let features = self.network.forward_features(&batch).of_branch(self.name)?;
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
        let learning_rate = learning_rate * options.schedule;
        if let Some(gradient) = gradients.get(features.as_tensor()) {
            self.network.backward_features(gradient).of_branch(self.name)?;
            self.adam.config.lr = learning_rate;
            self.adam.step(&mut self.network).of_branch(self.name)?;
        }
        self.head.step(&gradients, StepSettings { learning_rate, weight_decay, average: 0.0 })?;
        self.head_installed = false;
        Ok((loss.to_scalar()?, spread(&margins.to_vec1()?, &windows.counts)))
    }

    fn margins(&mut self, windows: &Windows) -> Result<Vec<Option<f32>>> {
        let margin = |evidence: Vec<WindowEvidence>| {
            let sum = evidence.iter().map(|window| window.attention * window.margin).sum();
            (!evidence.is_empty()).then_some(sum)
        };
        Ok(self.evidence(windows)?.into_iter().map(margin).collect())
    }

    fn loaded(&self) -> Option<&LoadReport> {
        self.loaded.as_ref()
    }

    fn evidence_map(&mut self, image: &RgbImage) -> Result<Option<(HeatMap, RgbImage)>> {
        match self.patches.clone() {
            Some(config) => self.window_map(&config, image),
            None => self.grad_cam(image).map(Some),
        }
    }

    fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let [of_network, of_head, ..] = self.prefixes();
        let mut tensors = prefixed(&of_head, self.head.averages()?);
        let statistics = self.network.statistics().of_branch(self.name)?;
        let network = self.network.parameters().of_branch(self.name)?.into_iter().chain(statistics);
        tensors.extend(prefixed(&of_network, network));
        Ok(tensors)
    }

    fn optimiser_state(&self) -> Result<BTreeMap<String, Tensor>> {
        let [.., of_network, of_head] = self.prefixes();
        let mut state = prefixed(&of_network, self.adam.state().of_branch(self.name)?);
        state.extend(prefixed(&of_head, self.head.state()?));
        Ok(state)
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        self.load(tensors)?;
        let [_, of_head, of_network_state, of_head_state] = self.prefixes();
        self.head.restore(&without_prefix(&of_head_state, state), &without_prefix(&of_head, tensors))?;
        let state = without_prefix(&of_network_state, state);
        let adam = Adam::from_state(AdamConfig::default(), &self.network, &state);
        self.adam = adam.map_err(|error| self.unfit(error))?;
        Ok(())
    }

    fn load(&mut self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        let [of_network, of_head, ..] = self.prefixes();
        let loaded = self.network.set_tensors(&without_prefix(&of_network, tensors));
        loaded.map_err(|error| self.unfit(error))?;
        self.head.load(&without_prefix(&of_head, tensors))?;
        self.head_installed = false;
        Ok(())
    }

    fn randomise(&mut self, seed: u64) -> Result<()> {
        self.network.initialise(seed).of_branch(self.name)?;
        self.weight.set(&random_head(self.name, self.network.features(), seed)?)?;
        self.head_installed = false;
        Ok(())
    }
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

    fn train(branch: &mut NetworkBranch, steps: usize) -> f32 {
        let (windows, targets) = windows();
        let options = StepOptions { learning_rate: 1.0, schedule: 1.0, seed: 1 };
        let step = |_| branch.train_step(&windows, &targets, &[1.0; 6], options).unwrap().0;
        (0..steps).map(step).last().unwrap()
    }

    #[test]
    fn learns_windows_and_says_nothing_about_images_without_any() {
        // A processor without bf16 instructions computes in f32 on both devices.
        for device in [NetworkDevice::Cpu, NetworkDevice::CpuBf16] {
            learns_windows(NetworkBranch::patches(&config(), &device, 1).unwrap());
        }
    }

    fn learns_windows(mut branch: NetworkBranch) {
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
        let mut whole = NetworkBranch::patches(&config(), &NetworkDevice::Cpu, 1).unwrap();
        train(&mut whole, 3);
        let copy = |tensors: BTreeMap<String, Tensor>| -> BTreeMap<String, Tensor> {
            tensors.into_iter().map(|(name, tensor)| (name, tensor.copy().unwrap())).collect()
        };
        let (state, tensors) = (copy(whole.optimiser_state().unwrap()), copy(whole.tensors().unwrap()));
        let mut resumed = NetworkBranch::patches(&config(), &NetworkDevice::Cpu, 2).unwrap();
        resumed.restore(&state, &tensors).unwrap();
        assert_eq!(train(&mut whole, 2), train(&mut resumed, 2));
        let mut loaded = NetworkBranch::patches(&config(), &NetworkDevice::Cpu, 3).unwrap();
        loaded.load(&whole.tensors().unwrap()).unwrap();
        assert_eq!(loaded.margins(&windows().0).unwrap(), resumed.margins(&windows().0).unwrap());
        let missing = loaded.load(&BTreeMap::new()).unwrap_err().to_string();
        assert!(missing.contains("conv1.weight"), "{missing}");
    }

    #[test]
    fn resnet_takes_a_file_that_lacks_allowed_tensors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        let config = ResnetConfig { size: 64, ..ResnetConfig::default() };
        let create = |weights: Option<&ResnetWeights>| {
            NetworkBranch::resnet(BranchName::Resnet18, &config, weights, &NetworkDevice::Cpu, 1)
        };
        let network = create(None).unwrap().network;
        let tensors = network.parameters().unwrap().into_iter().chain(network.statistics().unwrap());
        let kept: BTreeMap<String, Tensor> = tensors.filter(|(name, _)| !name.starts_with("layer4.")).collect();
        std::fs::write(&path, safetensors::serialize(&kept, None).unwrap()).unwrap();
        let mut weights = ResnetWeights { path, allow_missing: Vec::new() };
        assert!(create(Some(&weights)).is_err());
        weights.allow_missing = vec!["layer4.".to_owned()];
        let branch = create(Some(&weights)).unwrap();
        let report = branch.loaded().unwrap();
        assert!(report.missing.iter().all(|name| name.starts_with("layer4.")) && !report.missing.is_empty());
    }

    /// The map of a ResNet on whole images is evidence for either class, and its only window has all attention.
    #[test]
    fn resnet_on_whole_images_learns_and_has_a_map() {
        let config = ResnetConfig { size: 64, learning_rate: 1e-3, ..ResnetConfig::default() };
        let mut branch = NetworkBranch::resnet(BranchName::Resnet18, &config, None, &NetworkDevice::Cpu, 1).unwrap();
        let mut inputs = Windows::default();
        let pixel = |image: usize, i: usize| {
            if (i / 3 / (1 + image % 2)).is_multiple_of(2) { 100 } else { 150 + (i % 7) as u8 }
        };
        for image in 0..6 {
            inputs.push(&(0..64 * 64 * 3).map(|i| pixel(image, i)).collect::<Vec<u8>>(), 1);
        }
        let options = StepOptions { learning_rate: 1.0, schedule: 1.0, seed: 1 };
        let targets = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
        let losses: Vec<f32> =
            (0..12).map(|_| branch.train_step(&inputs, &targets, &[1.0; 6], options).unwrap().0).collect();
        assert!(losses[11] < 0.5 * losses[0], "{losses:?}");
        assert!(branch.margins(&inputs).unwrap().iter().all(Option::is_some));
        let image = RgbImage::from_fn(80, 70, |x, y| [(x * 3) as u8, (y * 3) as u8, 90]);
        let (map, input) = branch.evidence_map(&image).unwrap().unwrap();
        assert_eq!([input.width(), input.height()], [64, 64]);
        assert!(map.values.iter().any(|value| *value != 0.0));
    }
}
