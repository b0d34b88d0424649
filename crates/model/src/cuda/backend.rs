//! The operations of a network on a CUDA card.

use std::rc::Rc;

use exchange::Exchange;
use kernels::Precision;
use kernels::cuda::shapes::ImageShape;
use kernels::cuda::{self, Address, Engine, NULL, download, launch};
use kernels::pixels::{COLOURS, byte_values};

use super::folded::Folded;
use super::moments::CudaMoments;
use super::parameters::{HeadValues, Parameters};
use super::readback_queue::{MAX_PENDING, ReadbackQueue};
use super::recordings::{Pass, Recordings};
use super::trunk::{Mode, Trunk};
use super::workspace::{Purpose, Workspace};
use super::workspace_cache::{BatchSpace, SLOTS, Slot, WorkspaceCache};
use crate::backend::{Backend, Edit, Moments, Targets, TensorSet};
use crate::batch::{BatchShape, HeatMap, Logits, Normalisation, PixelBatch, StepOutput};
use crate::error::{Error, Result};
use crate::flat_tensors::FlatTensors;
use crate::layers::LayerList;

const F32: usize = size_of::<f32>();

/// A network on a device. Steps and inferences are queued on the device. The host waits only when it collects their
/// results.
#[derive(Debug)]
pub(crate) struct CudaBackend<E: Engine> {
    engine: Rc<E>,
    precision: Precision,
    layers: Rc<LayerList>,
    parameters: Rc<Parameters<E>>,
    /// The normalised value of each byte, `[3, 256]`.
    bytes: E::Memory,
    spaces: WorkspaceCache<E>,
    next_slot: usize,
    /// Results of steps: the loss, then the logits.
    steps: ReadbackQueue<E>,
    /// Results of inferences: the logits.
    inferences: ReadbackQueue<E>,
    /// Folded weights, allocated at the first inference. `None` if the device does not support fused convolutions.
    folded: Option<Folded<E>>,
    /// Whether to use folded weights. Becomes false when the device rejects a fused convolution.
    can_fold: bool,
}

impl<E: Engine> CudaBackend<E> {
    /// Allocates the weights, filled with zeros.
    pub(crate) fn new(
        engine: Rc<E>,
        layers: Rc<LayerList>,
        precision: Precision,
        normalisation: Normalisation,
    ) -> Result<Self> {
        let parameters = Rc::new(Parameters::new(&*engine, &layers, precision)?);
        let values = byte_values(normalisation.mean, normalisation.std);
        let bytes = engine.allocate(size_of_val(&values))?;
        engine.upload(bytemuck::cast_slice(values.as_flattened()), engine.address(&bytes))?;
        Ok(Self {
            engine,
            precision,
            layers,
            parameters,
            bytes,
            spaces: WorkspaceCache::new(),
            next_slot: 0,
            steps: ReadbackQueue::new(),
            inferences: ReadbackQueue::new(),
            folded: None,
            can_fold: true,
        })
    }

    fn logits(&self, values: Vec<f32>) -> Logits {
        Logits { values, classes: self.layers.head.bias.range().len() }
    }

    /// Computes the features with running statistics. Folds the statistics into the convolutions' weights if the device
    /// supports convolutions with bias, shortcut and ReLU.
    fn forward_for_inference(&mut self) -> Result<()> {
        let Self { engine, precision, layers, parameters, spaces, folded, can_fold, .. } = self;
        if *can_fold && folded.is_none() {
            let allocate = || Ok(Folded::new(&**engine, layers, *precision)?);
            *folded = Some(spaces.allocate_with_eviction(engine, 1, allocate)?);
        }
        let BatchSpace { workspace: space, recordings, .. } = spaces.current()?;
        let trunk = Trunk { engine: &**engine, space, mode: Mode::Evaluation };
        if *can_fold {
            // An error must not move the folded weights to other addresses, because recordings contain the addresses.
            if let Some(folded) = folded.as_mut() {
                folded.refresh(engine, space, parameters)?;
                match recordings.run(engine, Pass::Folded, || trunk.forward_folded(folded)) {
                    Err(error @ cuda::Error::FusionUnsupported(_)) => {
                        artifacts::progress::line(&format!("computing inference without fused convolutions: {error}"));
                    }
                    done => return Ok(done?),
                }
            }
            // Free the folded weights after the queued convolutions that read them. The results of those convolutions
            // are overwritten, and recordings that read the folded weights are not replayed again.
            *can_fold = false;
            engine.wait()?;
            *folded = None;
        }
        Ok(recordings.run(engine, Pass::Unfolded, || trunk.forward())?)
    }

    /// Copies a batch to the device and normalises it into the workspace of its shape. Returns the device address of
    /// `labels`, which is valid until [`Engine::release_slot`].
    fn upload_batch(&mut self, batch: &PixelBatch<'_>, labels: &[u8], purpose: Purpose) -> Result<Address> {
        let Self { engine, precision, layers, parameters, spaces, .. } = self;
        let shape = batch.shape();
        let allocate = || allocate_space(&**engine, layers, parameters, *precision, shape, purpose);
        spaces.select(engine, shape, purpose, allocate)?;
        self.next_slot = (self.next_slot + 1) % SLOTS;
        let BatchSpace { workspace: space, slots, .. } = spaces.current()?;
        let slot = &slots[self.next_slot];
        let [pixels, label_bytes] = [&slot.pixels, &slot.labels].map(|memory| engine.address(memory));
        engine.upload_async(self.next_slot, &[(batch.data, pixels), (labels, label_bytes)])?;
        let images = ImageShape { height: batch.height, width: batch.width, ..space.stem.shape };
        // NULL: no image is flipped here, because the loader has already flipped images.
        launch::normalise_pixels(&**engine, &images, pixels, engine.address(&self.bytes), NULL, space.input)?;
        Ok(label_bytes)
    }

    /// Releases the staging buffer of the current batch after the work queued so far.
    fn release_slot(&self) -> Result<()> {
        Ok(self.engine.release_slot(self.next_slot)?)
    }
}

impl<E: Engine + std::fmt::Debug + 'static> Backend for CudaBackend<E> {
    fn tensors(&self, set: TensorSet) -> Result<FlatTensors> {
        let (engine, parameters) = (&*self.engine, &*self.parameters);
        let LayerList { parameters: parameter_table, statistics: statistic_table, .. } = &*self.layers;
        let copy = match set {
            TensorSet::Parameters | TensorSet::Gradients => FlatTensors::zeros(parameter_table)?,
            TensorSet::Statistics => FlatTensors::zeros(statistic_table)?,
        };
        copy.write(|to| match set {
            TensorSet::Parameters => parameters.download(engine, to),
            TensorSet::Gradients => parameters.download_gradients(engine, to),
            TensorSet::Statistics => parameters.download_statistics(engine, to),
        })??;
        Ok(copy)
    }

    fn edit_weights(&mut self, edit: Edit, change: &mut dyn FnMut(&mut [f32], &mut [f32])) -> Result<()> {
        let (engine, weights) = (&*self.engine, &*self.parameters);
        let mut parameters = vec![0.0; self.layers.parameters.len()];
        let mut statistics = vec![0.0; self.layers.statistics.len()];
        if edit == Edit::Update {
            weights.download(engine, &mut parameters)?;
            weights.download_statistics(engine, &mut statistics)?;
        }
        change(&mut parameters, &mut statistics);
        Ok(weights.upload(engine, &parameters, &statistics)?)
    }

    fn edit_gradients(&mut self, change: &mut dyn FnMut(&mut [f32])) -> Result<()> {
        let (engine, parameters) = (&*self.engine, &*self.parameters);
        let mut gradients = vec![0.0; self.layers.parameters.len()];
        parameters.download_gradients(engine, &mut gradients)?;
        change(&mut gradients);
        Ok(parameters.upload_gradients(engine, &gradients)?)
    }

    fn synchronise(&mut self, _exchange: Rc<dyn Exchange>) -> Result<()> {
        Err(Error::NotSynchronised)
    }

    fn start_step(&mut self, batch: &PixelBatch<'_>, targets: Targets<'_>) -> Result<()> {
        self.steps.make_room(&self.engine)?;
        let labels = match targets {
            Targets::Classes(labels) => labels,
            Targets::Distributions(_) => &[],
        };
        let labels = self.upload_batch(batch, labels, Purpose::Training)?;
        // The forward pass updates the running statistics.
        self.parameters.mark_changed();
        let (engine, space, head) = (&*self.engine, self.spaces.current()?, self.parameters.head());
        space.forward(engine)?;
        space.head(engine, &head)?;
        let workspace = &space.workspace;
        let (features, gradient) = (workspace.features, workspace.logits_gradient);
        let (logits, loss) = (workspace.logits(), workspace.outputs);
        match targets {
            Targets::Classes(_) => launch::cross_entropy(engine, &workspace.head, logits, labels, gradient, loss)?,
            // The loss of a few logits takes no time in host memory, but the device waits for it.
            Targets::Distributions(targets) => {
                let values: Vec<f32> = download(engine, logits, workspace.logits_len())?;
                let classes = workspace.head.classes;
                let (value, values) = kernels::cpu::head::soft_cross_entropy(&values, classes, targets);
                engine.upload(bytemuck::cast_slice::<f32, u8>(&values), gradient)?;
                engine.upload(bytemuck::cast_slice::<f32, u8>(&[value]), loss)?;
            }
        }
        engine.release_slot(self.next_slot)?;
        launch::linear_backward_weights(engine, &workspace.head, features[0], gradient, head.gradients)?;
        launch::linear_backward_features(engine, &workspace.head, gradient, head.values[0], features[1])?;
        space.backward(engine)?;
        let workspace = &space.workspace;
        Ok(self.steps.push(engine, workspace.outputs, workspace.output_bytes())?)
    }

    fn finished_steps(&mut self) -> Result<Vec<StepOutput>> {
        let results = self.steps.take(&self.engine)?;
        let output = |values: Vec<f32>| StepOutput {
            loss: values[0],
            logits: self.logits(values[Workspace::<E>::LOSS_BYTES / F32..].to_vec()),
        };
        Ok(results.into_iter().map(output).collect())
    }

    fn start_inference(&mut self, batch: &PixelBatch<'_>) -> Result<()> {
        self.inferences.make_room(&self.engine)?;
        self.upload_batch(batch, &[], Purpose::Inference)?;
        self.release_slot()?;
        self.forward_for_inference()?;
        let (engine, space) = (&*self.engine, self.spaces.current()?);
        space.head(engine, &self.parameters.head())?;
        let workspace = &space.workspace;
        Ok(self.inferences.push(engine, workspace.logits(), workspace.logits_len() * F32)?)
    }

    fn finished_inferences(&mut self) -> Result<Vec<Logits>> {
        let results = self.inferences.take(&self.engine)?;
        Ok(results.into_iter().map(|values| self.logits(values)).collect())
    }

    fn forward_features(&mut self, batch: &PixelBatch<'_>) -> Result<Vec<f32>> {
        self.upload_batch(batch, &[], Purpose::Training)?;
        self.release_slot()?;
        self.parameters.mark_changed();
        let (engine, space) = (&*self.engine, self.spaces.current()?);
        space.forward(engine)?;
        let workspace = &space.workspace;
        Ok(download(engine, workspace.features[0], workspace.head.images * workspace.head.inputs)?)
    }

    fn backward_features(&mut self, gradient: &[f32]) -> Result<()> {
        let (engine, space) = (&*self.engine, self.spaces.current()?);
        engine.upload(bytemuck::cast_slice(gradient), space.workspace.features[1])?;
        space.backward(engine)?;
        Ok(self.parameters.clear_head_gradients(engine)?)
    }

    fn grad_cam(&mut self, batch: &PixelBatch<'_>, classes: &[u8], target: usize) -> Result<(Vec<HeatMap>, Logits)> {
        let classes = self.upload_batch(batch, classes, Purpose::Explanation)?;
        let (engine, space, head) = (&*self.engine, self.spaces.current()?, self.parameters.head());
        let workspace = &space.workspace;
        let trunk = Trunk { engine, space: workspace, mode: Mode::Evaluation };
        trunk.forward()?;
        space.head(engine, &head)?;
        let (gradient, features_gradient) = (workspace.logits_gradient, workspace.features[1]);
        launch::one_hot(engine, &workspace.head, classes, gradient)?;
        engine.release_slot(self.next_slot)?;
        launch::linear_backward_features(engine, &workspace.head, gradient, head.values[0], features_gradient)?;
        let parts = trunk.backward_to(Some(target))?;
        let block = &workspace.blocks[target];
        let [weights, map] = workspace.cam;
        launch::cam_weights(engine, &block.shape, parts, weights)?;
        launch::cam_map(engine, &block.shape, block.output, weights, map)?;
        let ImageShape { images, height, width, .. } = block.shape;
        let maps: Vec<f32> = download(engine, map, images * block.shape.positions())?;
        let maps = maps.chunks_exact(height * width);
        let maps = maps.map(|values| HeatMap { values: values.to_vec(), height, width }).collect();
        let logits = download(engine, workspace.logits(), workspace.logits_len())?;
        Ok((maps, self.logits(logits)))
    }

    fn new_moments(&self) -> Result<Box<dyn Moments>> {
        let (engine, parameters) = (self.engine.clone(), self.parameters.clone());
        let table = self.layers.parameters.clone();
        Ok(Box::new(CudaMoments::new(engine, self.precision, parameters, table)?))
    }
}

impl<E: Engine> Drop for CudaBackend<E> {
    fn drop(&mut self) {
        // Queued work may still use the memory. An error means that the card has failed, and then no work is left.
        let _ = self.engine.wait();
        // Recordings must be dropped before the engine.
        self.spaces.clear();
    }
}

impl<E: Engine> BatchSpace<E> {
    /// Computes the features in training mode.
    fn forward(&mut self, engine: &E) -> Result<()> {
        let trunk = Trunk { engine, space: &self.workspace, mode: Mode::Training };
        Ok(self.recordings.run(engine, Pass::Forward, || trunk.forward())?)
    }

    /// Computes the gradients of the parameters from the gradient of the features.
    fn backward(&mut self, engine: &E) -> Result<()> {
        let trunk = Trunk { engine, space: &self.workspace, mode: Mode::Training };
        Ok(self.recordings.run(engine, Pass::Backward, || trunk.backward())?)
    }

    /// Computes the logits from the features.
    fn head(&self, engine: &E, head: &HeadValues) -> Result<()> {
        let space = &self.workspace;
        Ok(launch::linear(engine, &space.head, space.features[0], head.values, space.logits())?)
    }
}

fn allocate_space<E: Engine>(
    engine: &E,
    layers: &LayerList,
    parameters: &Parameters<E>,
    precision: Precision,
    shape: BatchShape,
    purpose: Purpose,
) -> Result<BatchSpace<E>> {
    let bytes = shape.images * shape.height * shape.width * COLOURS;
    let slot =
        || -> cuda::Result<_> { Ok(Slot { pixels: engine.allocate(bytes)?, labels: engine.allocate(shape.images)? }) };
    let slots = [slot()?, slot()?];
    let workspace = Workspace::new(engine, layers, parameters, precision, shape, purpose)?;
    // Steps and inferences may be in flight at the same time. A step has the larger output, so its size suffices for
    // both.
    engine.reserve_readbacks(2 * MAX_PENDING, workspace.output_bytes())?;
    Ok(BatchSpace { workspace, slots, recordings: Recordings::new() })
}
