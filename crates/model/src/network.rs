//! A network: its layers, and the back end that owns its weights and computes with them.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::rc::Rc;

use candle_core::{Tensor, Var};
use exchange::Exchange;

use crate::architecture::Architecture;
use crate::backend::{Backend, Edit, Moments, Targets, TensorSet};
use crate::backends;
use crate::batch::{HeatMap, InputError, Logits, PixelBatch, StepOutput};
use crate::config::NetworkConfig;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::flat_tensors::FlatTensors;
use crate::layers::LayerList;
use crate::named_tensors::flatten;
use crate::shapes::LayerShapes;
use crate::weights::{self, LoadReport, initial};

/// An image classifier that can be trained.
///
/// Workspaces are allocated at the first batch of a shape and reused from then on.
#[derive(Debug)]
pub struct Network {
    config: NetworkConfig,
    device: Device,
    layers: Rc<LayerList>,
    backend: Box<dyn Backend>,
    /// The number of images of the last [`Network::forward_features`]. `None` once another pass has overwritten its
    /// activations.
    images_of_features: Option<usize>,
    /// Whether batch norm uses the statistics of the slices of all processes.
    synchronised: bool,
    /// Results of steps that were collected from the back end but not yet returned.
    steps: VecDeque<StepOutput>,
    /// The same for inferences.
    inferences: VecDeque<Logits>,
}

impl Network {
    /// Builds a network with the weights of [`Network::initialise`] for seed 0.
    ///
    /// # Errors
    /// The architecture is unknown, the number of classes or the normalisation is invalid, or the device has too little
    /// memory.
    pub fn new(config: &NetworkConfig, device: &Device) -> Result<Self> {
        let mut network = Self::zeros(config, device)?;
        network.initialise(0)?;
        Ok(network)
    }

    /// Builds a network whose weights are zero, for [`Network::initialise`], [`Network::load`] or
    /// [`Network::set_tensors`]. Drawing random weights takes longer than loading a file.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn zeros(config: &NetworkConfig, device: &Device) -> Result<Self> {
        Self::zeros_of(&config.architecture()?, config, device)
    }

    /// Builds a network of any architecture with the weights of [`Network::initialise`] for seed 0. Tests use small
    /// ones.
    #[cfg(test)]
    pub(crate) fn with_architecture(
        architecture: &Architecture,
        config: &NetworkConfig,
        device: &Device,
    ) -> Result<Self> {
        let mut network = Self::zeros_of(architecture, config, device)?;
        network.initialise(0)?;
        Ok(network)
    }

    fn zeros_of(architecture: &Architecture, config: &NetworkConfig, device: &Device) -> Result<Self> {
        config.check()?;
        let layers = Rc::new(LayerList::new(architecture, config.classes));
        let backend = backends::create(device, &layers, config.normalisation)?;
        Ok(Self {
            config: config.clone(),
            device: device.clone(),
            layers,
            backend,
            images_of_features: None,
            synchronised: false,
            steps: VecDeque::new(),
            inferences: VecDeque::new(),
        })
    }

    /// Moves the weights to another back end, such as an emulated device.
    #[cfg(test)]
    pub(crate) fn moved_to<B: Backend + 'static>(mut self, create: impl FnOnce(Rc<LayerList>) -> B) -> Self {
        let mut backend = create(self.layers.clone());
        let old = [TensorSet::Parameters, TensorSet::Statistics].map(|set| self.backend.tensors(set).unwrap());
        let mut copy = |parameters: &mut [f32], statistics: &mut [f32]| {
            old[0].read(|values| parameters.copy_from_slice(values)).unwrap();
            old[1].read(|values| statistics.copy_from_slice(values)).unwrap();
        };
        backend.edit_weights(Edit::Overwrite, &mut copy).unwrap();
        self.backend = Box::new(backend);
        self
    }

    /// The configuration that the network was built from.
    #[must_use]
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// The device that the network computes on.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The layers.
    pub(crate) fn layers(&self) -> &LayerList {
        &self.layers
    }

    /// Draws new weights from the distributions of torchvision and `torch.nn.Linear`: Kaiming normal (fan out, gain of
    /// ReLU) for convolutions, scale 1 and shift 0 for batch norm, uniform in +-1/sqrt(inputs) for the head.
    ///
    /// # Errors
    /// The device failed.
    pub fn initialise(&mut self, seed: u64) -> Result<()> {
        let layers = &self.layers;
        self.backend.edit_weights(Edit::Overwrite, &mut |parameters, statistics| {
            initial::draw(layers, parameters, statistics, seed);
        })
    }

    /// Sets the scale of each residual block's last batch norm to zero, so that each block initially returns its
    /// shortcut. This makes training from random weights more stable (Goyal et al., arXiv 1706.02677, section 5.1;
    /// `zero_init_residual` of torchvision's ResNet).
    ///
    /// # Errors
    /// The device failed.
    pub fn zero_init_residual(&mut self) -> Result<()> {
        let last = self.layers.blocks.iter().filter_map(|block| block.main.last());
        let scales: Vec<_> = last.map(|layer| layer.scale.range()).collect();
        self.edit_weights(&mut |parameters, _| {
            scales.iter().for_each(|scale| parameters[scale.clone()].fill(0.0));
        })
    }

    /// Lets `change` edit the parameters and the running statistics in host memory.
    pub(crate) fn edit_weights(&mut self, change: &mut dyn FnMut(&mut [f32], &mut [f32])) -> Result<()> {
        // The activations of the last forward pass belong to the former weights.
        self.images_of_features = None;
        self.backend.edit_weights(Edit::Update, change)
    }

    /// Reads the weights and running statistics of `path`: safetensors under torchvision's or timm's names, of type
    /// F32, F16 or BF16.
    ///
    /// The network keeps its own head if the file has none, or one with another number of classes. The file may lack
    /// tensors whose names start with one of the prefixes in `allow_missing`, such as `layer4.`. A prefix that all names of
    /// the file have, such as `module.`, is left out.
    ///
    /// # Errors
    /// The file cannot be read, a tensor has a value that is NaN or infinite, or other tensors are missing, mis-shaped or
    /// unexpected. The error lists the first of them, and the network is unchanged.
    pub fn load(&mut self, path: &Path, allow_missing: &[String]) -> Result<LoadReport> {
        let LayerList { parameters, statistics, .. } = &*self.layers;
        let (tensors, report) = weights::load(path, [parameters, statistics], allow_missing)?;
        self.edit_weights(&mut |parameters, statistics| tensors.copy_to([parameters, statistics]))?;
        Ok(report)
    }

    /// The number of features per image, which are the input of the head.
    #[must_use]
    pub fn features(&self) -> usize {
        self.layers.head.inputs
    }

    /// Replaces the head. `weight` is `[classes, features]`, `bias` is `[classes]`.
    ///
    /// # Errors
    /// [`InputError::Shape`], or the device failed.
    pub fn set_head(&mut self, weight: &Tensor, bias: &Tensor) -> Result<()> {
        let (classes, head) = (self.config.classes, self.layers.head.clone());
        let read = |what: &str, tensor: &Tensor, expected: &[usize]| -> Result<Vec<f32>> {
            if tensor.dims() == expected {
                return Ok(tensor.flatten_all()?.to_vec1()?);
            }
            let (expected, actual) = (expected.to_vec(), tensor.dims().to_vec());
            Err(InputError::Shape { what: what.to_owned(), expected, actual }.into())
        };
        let weight = read("weight of the head", weight, &[classes, head.inputs])?;
        let bias = read("bias of the head", bias, &[classes])?;
        self.edit_weights(&mut |parameters, _| {
            parameters[head.weight.range()].copy_from_slice(&weight);
            parameters[head.bias.range()].copy_from_slice(&bias);
        })
    }

    /// Replaces all parameters and running statistics by the tensors of [`Network::parameters`] and
    /// [`Network::statistics`]. Other tensors are ignored.
    ///
    /// # Errors
    /// [`Error::Tensors`] with the name of a tensor that is missing or has another shape; the network is then unchanged.
    /// Or the device failed.
    pub fn set_tensors(&mut self, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        let parameters = flatten(tensors, "", &self.layers.parameters).map_err(Error::Tensors)?;
        let statistics = flatten(tensors, "", &self.layers.statistics).map_err(Error::Tensors)?;
        self.edit_weights(&mut |to_parameters, to_statistics| {
            to_parameters.copy_from_slice(&parameters);
            to_statistics.copy_from_slice(&statistics);
        })
    }

    /// Writes parameters, running statistics and torchvision's batch counters to a safetensors file with `metadata`.
    /// The file appears atomically. torchvision loads it with `strict=True`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path, metadata: &BTreeMap<String, String>) -> Result<()> {
        Ok(weights::save(path, self.parameters()?, self.statistics()?, metadata)?)
    }

    /// Runs one forward and backward pass in training mode. Updates the running statistics, and stores the gradients of
    /// the mean cross-entropy for [`crate::Adam::step`]. `labels` holds one class index per image.
    ///
    /// # Errors
    /// The batch is invalid, or a label is out of range; the network is then unchanged. Or the device failed.
    pub fn train_step(&mut self, batch: &PixelBatch<'_>, labels: &[u8]) -> Result<StepOutput> {
        self.start_step(batch, labels)?;
        self.steps.extend(self.backend.finished_steps()?);
        self.steps.pop_back().ok_or(Error::NoResult)
    }

    /// Starts a [`Network::train_step`]. A card computes it asynchronously, so that the caller can prepare the next
    /// batch meanwhile. [`crate::Adam::step`] may follow at once. [`Network::finished_steps`] returns the results.
    ///
    /// # Errors
    /// The same as [`Network::train_step`].
    pub fn start_step(&mut self, batch: &PixelBatch<'_>, labels: &[u8]) -> Result<()> {
        batch.check()?;
        self.check_classes(batch, labels.iter().map(|&label| usize::from(label)))?;
        self.check_trainable(batch)?;
        self.images_of_features = None;
        self.backend.start_step(batch, Targets::Classes(labels))
    }

    /// Starts a training step like [`Network::start_step`] whose loss compares the logits with distributions. `targets`
    /// is `[n, classes]`, row by row: a distribution over the classes, times the weight of the image. The loss of an
    /// image is `-sum(target * ln(softmax))`, and the step minimises the mean over the images.
    ///
    /// On a card, the loss is computed in host memory, so that the call waits for the forward pass.
    ///
    /// # Errors
    /// The batch is invalid, [`InputError::Shape`] for another number of targets, or the device failed.
    pub fn start_soft_step(&mut self, batch: &PixelBatch<'_>, targets: &[f32]) -> Result<()> {
        batch.check()?;
        self.check_trainable(batch)?;
        let (expected, what) = (vec![batch.n, self.config.classes], "targets".to_owned());
        if targets.len() != batch.n * self.config.classes {
            return Err(InputError::Shape { what, expected, actual: vec![targets.len()] }.into());
        }
        self.images_of_features = None;
        self.backend.start_step(batch, Targets::Distributions(targets))
    }

    /// Lets batch norm use the statistics of the slices of all processes in the next steps. All processes must then call
    /// the training methods together.
    ///
    /// # Errors
    /// [`Error::NotSynchronised`] on a card.
    pub fn synchronise_batch_norm(&mut self, exchange: Rc<dyn Exchange>) -> Result<()> {
        self.backend.synchronise(exchange)?;
        self.synchronised = true;
        Ok(())
    }

    /// Lets `change` edit the gradients of the last step in host memory.
    pub(crate) fn edit_gradients(&mut self, change: &mut dyn FnMut(&mut [f32])) -> Result<()> {
        self.backend.edit_gradients(change)
    }

    /// Returns parameters and running statistics, as views or copies like [`Network::parameters`].
    pub(crate) fn flat_weights(&self) -> Result<[FlatTensors; 2]> {
        Ok([self.backend.tensors(TensorSet::Parameters)?, self.backend.tensors(TensorSet::Statistics)?])
    }

    /// Rejects batches whose statistics a batch norm cannot compute, on every device.
    fn check_trainable(&self, batch: &PixelBatch<'_>) -> Result<()> {
        if self.synchronised {
            // A slice may have one image, because the statistics are those of all slices.
            return Ok(());
        }
        Ok(LayerShapes::new(&self.layers, batch.shape()).check_trainable(&self.layers)?)
    }

    /// Waits for all steps that [`Network::start_step`] started since the last call, and returns their results in
    /// order.
    ///
    /// # Errors
    /// The device failed.
    pub fn finished_steps(&mut self) -> Result<Vec<StepOutput>> {
        self.steps.extend(self.backend.finished_steps()?);
        Ok(self.steps.drain(..).collect())
    }

    /// Computes the input of the head, `[n, features]`, in training mode. Returns it as a variable in host memory, so
    /// that another head can be trained with candle's autograd. Pass the variable's gradient to
    /// [`Network::backward_features`].
    ///
    /// # Errors
    /// The batch is invalid, or the device failed.
    pub fn forward_features(&mut self, batch: &PixelBatch<'_>) -> Result<Var> {
        batch.check()?;
        self.check_trainable(batch)?;
        self.images_of_features = None;
        let features = self.backend.forward_features(batch)?;
        self.images_of_features = Some(batch.n);
        Ok(Var::from_vec(features, (batch.n, self.layers.head.inputs), &candle_core::Device::Cpu)?)
    }

    /// Computes the gradients of all parameters below the head. `gradient` is that of the features which the last
    /// [`Network::forward_features`] returned, `[n, features]`. The gradients of this network's own head become zero.
    ///
    /// # Errors
    /// [`InputError::Shape`], or [`Error::NoForward`] if another pass has overwritten the activations.
    pub fn backward_features(&mut self, gradient: &Tensor) -> Result<()> {
        let images = self.images_of_features.ok_or(Error::NoForward)?;
        let expected = [images, self.layers.head.inputs];
        if gradient.dims() != expected {
            return Err(InputError::Shape {
                what: "gradient of the features".to_owned(),
                expected: expected.to_vec(),
                actual: gradient.dims().to_vec(),
            }
            .into());
        }
        self.backend.backward_features(&gradient.flatten_all()?.to_vec1::<f32>()?)
    }

    /// Computes class scores in evaluation mode, with the running statistics.
    ///
    /// # Errors
    /// The batch is invalid, or the device failed.
    pub fn infer(&mut self, batch: &PixelBatch<'_>) -> Result<Logits> {
        self.start_inference(batch)?;
        self.inferences.extend(self.backend.finished_inferences()?);
        self.inferences.pop_back().ok_or(Error::NoResult)
    }

    /// Starts a [`Network::infer`]. A card computes it asynchronously, so that the caller can prepare the next batch
    /// meanwhile. [`Network::finished_inferences`] returns the scores.
    ///
    /// # Errors
    /// The same as [`Network::infer`].
    pub fn start_inference(&mut self, batch: &PixelBatch<'_>) -> Result<()> {
        batch.check()?;
        self.images_of_features = None;
        self.backend.start_inference(batch)
    }

    /// Waits for all inferences that [`Network::start_inference`] started since the last call, and returns their scores
    /// in order.
    ///
    /// # Errors
    /// The device failed.
    pub fn finished_inferences(&mut self) -> Result<Vec<Logits>> {
        self.inferences.extend(self.backend.finished_inferences()?);
        Ok(self.inferences.drain(..).collect())
    }

    /// Computes Grad-CAM (arXiv 1610.02391) in evaluation mode. Returns one heat map per image, and the logits. Image
    /// `i`'s map shows which positions of the output of `layer` are evidence for class `classes[i]`. `layer` is one of
    /// `layer1` to `layer4`, usually `layer4`.
    ///
    /// # Errors
    /// The layer is unknown, a class is out of range, the number of classes is not that of images, or the batch is
    /// invalid.
    pub fn grad_cam(
        &mut self,
        batch: &PixelBatch<'_>,
        classes: &[usize],
        layer: &str,
    ) -> Result<(Vec<HeatMap>, Logits)> {
        batch.check()?;
        self.check_classes(batch, classes.iter().copied())?;
        let block = self.layers.last_block_of(layer)?;
        // There are at most 256 classes, so each index fits into a byte.
        let classes: Vec<u8> = classes.iter().map(|&class| class as u8).collect();
        self.images_of_features = None;
        self.backend.grad_cam(batch, &classes, block)
    }

    /// Checks that [`Network::grad_cam`] accepts a layer.
    ///
    /// # Errors
    /// [`crate::ArchitectureError::UnknownLayer`], which lists the known layers.
    pub fn check_layer(&self, layer: &str) -> Result<()> {
        self.layers.last_block_of(layer)?;
        Ok(())
    }

    /// Checks that there is one class per image, and that the head has these classes.
    fn check_classes(&self, batch: &PixelBatch<'_>, classes: impl ExactSizeIterator<Item = usize>) -> Result<()> {
        if classes.len() != batch.n {
            return Err(InputError::LabelCount { images: batch.n, labels: classes.len() }.into());
        }
        match classes.enumerate().find(|&(_, class)| class >= self.config.classes) {
            Some((index, label)) => Err(InputError::LabelRange { index, label, classes: self.config.classes }.into()),
            None => Ok(()),
        }
    }

    /// Returns the parameters under torchvision's names. On the CPU, the tensors share memory with the network, so
    /// later steps change them. From a card, they are copies.
    ///
    /// # Errors
    /// The device failed.
    pub fn parameters(&self) -> Result<BTreeMap<String, Tensor>> {
        Ok(self.backend.tensors(TensorSet::Parameters)?.views()?)
    }

    /// Returns the gradients of the last training step under the parameters' names. They are views or copies, as for
    /// [`Network::parameters`].
    ///
    /// # Errors
    /// The device failed.
    pub fn gradients(&self) -> Result<BTreeMap<String, Tensor>> {
        Ok(self.backend.tensors(TensorSet::Gradients)?.views()?)
    }

    /// Returns the running means and variances under torchvision's names. They are views or copies, as for
    /// [`Network::parameters`].
    ///
    /// # Errors
    /// The device failed.
    pub fn statistics(&self) -> Result<BTreeMap<String, Tensor>> {
        Ok(self.backend.tensors(TensorSet::Statistics)?.views()?)
    }

    /// Allocates Adam's moments for the parameters, filled with zeros.
    pub(crate) fn new_moments(&self) -> Result<Box<dyn Moments>> {
        self.backend.new_moments()
    }
}
