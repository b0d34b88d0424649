//! A network: its layers, its parameters, and the back end that computes with them.

use std::collections::{BTreeMap, VecDeque};

use candle_core::{Tensor, Var};

use crate::accelerator::{Accelerator, Moments, Outcome, Values};
use crate::architecture::{Architecture, Plan};
use crate::batch::{HeatMap, Logits, Normalisation, PixelBatch, StepOutput};
use crate::cpu::Processor;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::parameters::{Buffers, Flat};
use crate::weights::initial;

/// What a network is, apart from its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkConfig {
    /// The name of an architecture: `resnet50`.
    pub arch: String,
    /// Classes of the head.
    pub classes: usize,
    /// How pixels are normalised before the first layer.
    pub normalisation: Normalisation,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self { arch: "resnet50".to_owned(), classes: 2, normalisation: Normalisation::default() }
    }
}

/// A classifier of images that can be trained.
///
/// All buffers are planned at the first batch of a shape and reused from then on.
#[derive(Debug)]
pub struct Network {
    config: NetworkConfig,
    device: Device,
    plan: Plan,
    buffers: Buffers,
    processor: Processor,
    /// The accelerator, unless the processor computes; its parameters and statistics are the authoritative ones then.
    accelerator: Option<Box<dyn Accelerator>>,
    /// Whether the host's buffers have changed since the accelerator took them over.
    changed_on_host: bool,
    /// Images of the last features, while the activations behind them are there.
    images_of_features: Option<usize>,
    /// Results of steps that nobody has asked for yet.
    finished: VecDeque<StepOutput>,
    /// The same of inferences.
    inferred: VecDeque<Logits>,
}

impl Network {
    /// Plans a network; its weights are those of [`Network::initialise`] with seed 0.
    ///
    /// # Errors
    /// An unknown architecture, an impossible number of classes or normalisation, or a device without a back end.
    pub fn new(config: &NetworkConfig, device: &Device) -> Result<Self> {
        let architecture = Architecture::by_name(&config.arch)?;
        Self::with_architecture(&architecture, config, device)
    }

    /// A network of any architecture; tests use small ones.
    pub(crate) fn with_architecture(
        architecture: &Architecture,
        config: &NetworkConfig,
        device: &Device,
    ) -> Result<Self> {
        if !(2..=256).contains(&config.classes) {
            return Err(Error::Classes(config.classes));
        }
        config.normalisation.check()?;
        let plan = Plan::new(architecture, config.classes);
        let mut network = Self {
            config: config.clone(),
            device: device.clone(),
            buffers: Buffers::zeros(&plan)?,
            processor: Processor::new(device.isa(), config.normalisation),
            accelerator: device.accelerator(&plan, &config.normalisation)?,
            changed_on_host: true,
            images_of_features: None,
            finished: VecDeque::new(),
            inferred: VecDeque::new(),
            plan,
        };
        network.initialise(0)?;
        Ok(network)
    }

    /// The same network on another accelerator; the tests' emulation is one.
    #[cfg(all(test, feature = "emulation"))]
    pub(crate) fn on_accelerator(mut self, accelerator: impl FnOnce(&Plan) -> Box<dyn Accelerator>) -> Self {
        self.accelerator = Some(accelerator(&self.plan));
        self.changed_on_host = true;
        self
    }

    /// The same network computed with other instructions; the tests' references are some.
    #[cfg(test)]
    pub(crate) fn with_isa(mut self, isa: kernels::cpu::Isa) -> Self {
        self.processor = self.processor.with_isa(isa);
        self
    }

    /// What the network was made from.
    #[must_use]
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Where the network computes.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Draws new weights: Kaiming's normal distribution (fan out, gain of ReLU) for convolutions, one and zero for batch
    /// norm, uniform in +-1/sqrt(inputs) for the head, as torchvision and `torch.nn.Linear` do.
    ///
    /// # Errors
    /// Those of the device.
    pub fn initialise(&mut self, seed: u64) -> Result<()> {
        self.processor.forget_weights();
        self.changed_on_host = true;
        initial::draw(&self.plan, &mut self.buffers.parameters, &mut self.buffers.statistics, seed)
    }

    /// Makes each residual block start as its shortcut alone: the scale of its last batch norm becomes zero. Drawn weights
    /// are trained more steadily from there (Goyal et al., arXiv 1706.02677, section 5.1; `zero_init_residual` of
    /// torchvision's ResNet).
    ///
    /// # Errors
    /// Those of the device.
    pub fn zero_init_residual(&mut self) -> Result<()> {
        let last = self.plan.blocks.iter().filter_map(|block| block.main.last());
        let scales: Vec<_> = last.map(|layer| layer.scale.range()).collect();
        let (parameters, _) = self.buffers_mut()?;
        parameters.write(|values| scales.into_iter().for_each(|scale| values[scale].fill(0.0)))
    }

    /// One forward and backward pass in training mode: the running statistics move on, and the gradients of the mean
    /// cross-entropy are left for [`crate::Adam::step`]. `labels` holds one class index per image.
    ///
    /// # Errors
    /// A batch that does not fit, or a label out of range. The network is unchanged then.
    pub fn train_step(&mut self, batch: &PixelBatch<'_>, labels: &[u8]) -> Result<StepOutput> {
        self.start_step(batch, labels)?;
        self.collect()?;
        self.finished.pop_back().ok_or(Error::NoResult)
    }

    /// As [`Network::train_step`], but on an accelerator without waiting for it, so that the next batch can be made ready;
    /// [`crate::Adam::step`] may follow at once. The results wait for [`Network::finished_steps`].
    ///
    /// # Errors
    /// Those of [`Network::train_step`].
    pub fn start_step(&mut self, batch: &PixelBatch<'_>, labels: &[u8]) -> Result<()> {
        batch.check()?;
        self.check_classes(batch, labels.iter().map(|&label| usize::from(label)))?;
        self.send_changes()?;
        // Its activations take the place of those behind the last features.
        self.images_of_features = None;
        match &mut self.accelerator {
            Some(accelerator) => accelerator.start_step(&self.plan, batch, labels),
            None => {
                let outcome = self.processor.step(&self.plan, batch, labels, &mut self.buffers)?;
                self.finished.push_back(self.output(outcome));
                Ok(())
            }
        }
    }

    /// The results of all steps that [`Network::start_step`] began since the last call, in their order. Waits for them.
    ///
    /// # Errors
    /// Those of the device.
    pub fn finished_steps(&mut self) -> Result<Vec<StepOutput>> {
        self.collect()?;
        Ok(self.finished.drain(..).collect())
    }

    /// Waits for what the accelerator has begun.
    fn collect(&mut self) -> Result<()> {
        if let Some(accelerator) = &mut self.accelerator {
            for outcome in accelerator.outcomes()? {
                self.finished.push_back(self.output(outcome));
            }
        }
        Ok(())
    }

    /// Has the accelerator take over what changed on the host.
    fn send_changes(&mut self) -> Result<()> {
        let Self { accelerator: Some(accelerator), buffers, changed_on_host: true, .. } = self else {
            return Ok(());
        };
        let Buffers { parameters, statistics, .. } = buffers;
        parameters.read(|parameters| statistics.read(|statistics| accelerator.upload(parameters, statistics)))???;
        self.changed_on_host = false;
        Ok(())
    }

    fn output(&self, (loss, values): Outcome) -> StepOutput {
        StepOutput { loss, logits: self.logits(values) }
    }

    fn logits(&self, values: Vec<f32>) -> Logits {
        Logits { values, classes: self.config.classes }
    }

    /// The features before the head, `[n, features]`, in training mode, as a variable that another head on candle's
    /// autograd can stand behind: in host memory, wherever the network computes. Once that has its gradient,
    /// [`Network::backward_features`] takes it on.
    ///
    /// # Errors
    /// A batch that does not fit, or those of the device.
    pub fn forward_features(&mut self, batch: &PixelBatch<'_>) -> Result<Var> {
        batch.check()?;
        self.send_changes()?;
        self.images_of_features = None;
        let features = match &mut self.accelerator {
            Some(accelerator) => accelerator.forward_features(&self.plan, batch)?,
            None => self.processor.forward_features(&self.plan, batch, &mut self.buffers)?,
        };
        self.images_of_features = Some(batch.n);
        Ok(Var::from_vec(features, (batch.n, self.plan.head.inputs), &candle_core::Device::Cpu)?)
    }

    /// From the gradient of the last [`Network::forward_features`], `[n, features]`, to the gradients of all parameters
    /// below; those of this network's own head are zero.
    ///
    /// # Errors
    /// Another shape, or no [`Network::forward_features`] whose activations are still there.
    pub fn backward_features(&mut self, gradient: &Tensor) -> Result<()> {
        let images = self.images_of_features.ok_or(Error::NoForward)?;
        let expected = [images, self.plan.head.inputs];
        if gradient.dims() != expected {
            return Err(Error::Shape {
                what: "gradient of the features".to_owned(),
                expected: expected.to_vec(),
                actual: gradient.dims().to_vec(),
            });
        }
        let gradient = gradient.flatten_all()?.to_vec1::<f32>()?;
        match &mut self.accelerator {
            Some(accelerator) => accelerator.backward_features(&gradient),
            None => self.processor.backward_features(&self.plan, &gradient, &mut self.buffers),
        }
    }

    /// Class scores in evaluation mode (running statistics).
    ///
    /// # Errors
    /// A batch that does not fit.
    pub fn infer(&mut self, batch: &PixelBatch<'_>) -> Result<Logits> {
        self.start_inference(batch)?;
        self.collect_inferences()?;
        // The last of them; those that were begun before still wait.
        self.inferred.pop_back().ok_or(Error::NoResult)
    }

    /// As [`Network::infer`], but on an accelerator without waiting for it, so that the next batch can be made ready. The
    /// scores wait for [`Network::finished_inferences`].
    ///
    /// # Errors
    /// Those of [`Network::infer`].
    pub fn start_inference(&mut self, batch: &PixelBatch<'_>) -> Result<()> {
        batch.check()?;
        self.send_changes()?;
        self.images_of_features = None;
        match &mut self.accelerator {
            Some(accelerator) => accelerator.start_inference(&self.plan, batch),
            None => {
                let values = self.processor.infer(&self.plan, batch, &self.buffers)?;
                self.inferred.push_back(self.logits(values));
                Ok(())
            }
        }
    }

    /// The scores of all batches that [`Network::start_inference`] began since the last call, in their order. Waits for
    /// them.
    ///
    /// # Errors
    /// Those of the device.
    pub fn finished_inferences(&mut self) -> Result<Vec<Logits>> {
        self.collect_inferences()?;
        Ok(self.inferred.drain(..).collect())
    }

    /// Waits for the scores that the accelerator has begun to compute.
    fn collect_inferences(&mut self) -> Result<()> {
        if let Some(accelerator) = &mut self.accelerator {
            for values in accelerator.inferences()? {
                self.inferred.push_back(self.logits(values));
            }
        }
        Ok(())
    }

    /// Grad-CAM (arXiv 1610.02391) in evaluation mode: for each image, what in the output of `layer` (`layer1` …
    /// `layer4`; `layer4` is the usual choice) speaks for the class in `classes`. The logits come with it.
    ///
    /// # Errors
    /// An unknown layer, a class out of range, not one class per image, or a batch that does not fit.
    pub fn grad_cam(
        &mut self,
        batch: &PixelBatch<'_>,
        classes: &[usize],
        layer: &str,
    ) -> Result<(Vec<HeatMap>, Logits)> {
        batch.check()?;
        self.check_classes(batch, classes.iter().copied())?;
        let block = self.plan.end_of(layer)?;
        self.send_changes()?;
        self.images_of_features = None;
        let (maps, values) = match &mut self.accelerator {
            Some(accelerator) => {
                // At most 256 classes: each fits a byte.
                let classes: Vec<u8> = classes.iter().map(|&class| class as u8).collect();
                accelerator.grad_cam(&self.plan, batch, &classes, block)?
            }
            None => self.processor.grad_cam(&self.plan, batch, classes, block, &mut self.buffers)?,
        };
        Ok((maps, self.logits(values)))
    }

    /// Checks that [`Network::grad_cam`] knows a layer.
    ///
    /// # Errors
    /// [`Error::UnknownLayer`] with those it knows.
    pub fn check_layer(&self, layer: &str) -> Result<()> {
        self.plan.end_of(layer).map(drop)
    }

    /// Checks that there is one class per image and that the head has it.
    fn check_classes(&self, batch: &PixelBatch<'_>, classes: impl ExactSizeIterator<Item = usize>) -> Result<()> {
        if classes.len() != batch.n {
            return Err(Error::LabelCount { images: batch.n, labels: classes.len() });
        }
        match classes.enumerate().find(|&(_, class)| class >= self.config.classes) {
            Some((index, label)) => Err(Error::LabelRange { index, label, classes: self.config.classes }),
            None => Ok(()),
        }
    }

    /// The parameters under torchvision's names, in the order of the names: views on the CPU, copies from elsewhere.
    ///
    /// # Errors
    /// Those of the device.
    pub fn parameters(&self) -> Result<BTreeMap<String, Tensor>> {
        self.views(Values::Parameters, &self.buffers.parameters)
    }

    /// The gradients of the last [`Network::train_step`] under the parameters' names, likewise.
    ///
    /// # Errors
    /// Those of the device.
    pub fn gradients(&self) -> Result<BTreeMap<String, Tensor>> {
        self.views(Values::Gradients, &self.buffers.gradients)
    }

    /// The running means and variances under torchvision's names, likewise.
    ///
    /// # Errors
    /// Those of the device.
    pub fn statistics(&self) -> Result<BTreeMap<String, Tensor>> {
        self.views(Values::Statistics, &self.buffers.statistics)
    }

    fn views(&self, values: Values, on_host: &Flat) -> Result<BTreeMap<String, Tensor>> {
        match &self.accelerator {
            Some(accelerator) if !self.changed_on_host => {
                let mut copy = Flat::zeros(on_host.table())?;
                copy.write(|to| accelerator.download(values, to))??;
                copy.views()
            }
            _ => on_host.views(),
        }
    }

    /// Parameters and running statistics on the host, to be changed.
    pub(crate) fn buffers_mut(&mut self) -> Result<(&mut Flat, &mut Flat)> {
        self.processor.forget_weights();
        let Self { accelerator, buffers: Buffers { parameters, statistics, .. }, changed_on_host, .. } = self;
        if let Some(accelerator) = accelerator.as_ref().filter(|_| !*changed_on_host) {
            parameters.write(|to| accelerator.download(Values::Parameters, to))??;
            statistics.write(|to| accelerator.download(Values::Statistics, to))??;
        }
        *changed_on_host = true;
        Ok((parameters, statistics))
    }

    /// Parameters on the host, to be changed, and their gradients.
    pub(crate) fn parameters_and_gradients(&mut self) -> (&mut Flat, &Flat) {
        self.processor.forget_weights();
        (&mut self.buffers.parameters, &self.buffers.gradients)
    }

    /// Adam's moments, zero, where an accelerator has the parameters.
    pub(crate) fn remote_moments(&self) -> Result<Option<Box<dyn Moments>>> {
        self.accelerator.as_ref().map(|accelerator| accelerator.moments()).transpose()
    }

    /// The layers.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) fn flat_parameters(&self) -> &Flat {
        &self.buffers.parameters
    }
}
