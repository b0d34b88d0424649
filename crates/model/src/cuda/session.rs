//! A network on a device: parameters, the workspace of the batch shape at hand, and what is asked of them.

use std::collections::VecDeque;
use std::rc::Rc;

use kernels::Precision;
use kernels::cuda::shapes::Images;
use kernels::cuda::{self, Address, Engine, NULL, download, launch};
use kernels::pixels::{COLOURS, byte_values};

use super::folded::Folded;
use super::parameters::{HeadValues, Parameters};
use super::recordings::{Recordings, Walk};
use super::trunk::{Mode, Pass};
use super::workspace::{LOSS_BYTES, Purpose, Workspace};
use crate::accelerator::Outcome;
use crate::architecture::Plan;
use crate::batch::{BatchShape, Normalisation, PixelBatch};
use crate::error::{Error, Result};

const F32: usize = size_of::<f32>();
/// Batches that may be on their way to the device: one is computed with while the next is copied.
const SLOTS: usize = 2;
/// Batch shapes whose plans are kept: an epoch has full batches and a rest, its validation another rest.
const MAX_PLANNED: usize = 3;
/// Steps, and inferences, whose results may wait on the device to be asked for.
const MAX_PENDING: usize = 64;

/// A network on a device.
#[derive(Debug)]
pub(crate) struct Session<E: Engine> {
    engine: Rc<E>,
    precision: Precision,
    parameters: Rc<Parameters<E>>,
    /// What each byte of each colour becomes, `[3, 256]`.
    table: E::Memory,
    /// What batch shapes need, the one at hand last.
    planned: Vec<Planned<E>>,
    next_slot: usize,
    /// Of steps: the loss, then the logits.
    steps: Unread<E>,
    /// Of inferences: the logits.
    inferences: Unread<E>,
    /// Made at the first inference; none where the device has no fused convolution.
    folded: Option<Folded<E>>,
    can_fold: bool,
}

/// Results in their order: those on their way from the device, and those that were waited for to make room.
#[derive(Debug)]
struct Unread<E: Engine> {
    pending: VecDeque<E::Readback>,
    finished: Vec<Vec<f32>>,
}

/// What one batch shape needs.
#[derive(Debug)]
struct Planned<E: Engine> {
    workspace: Workspace<E>,
    slots: [Slot<E>; SLOTS],
    recordings: Recordings<E>,
}

/// Where a batch's bytes arrive.
#[derive(Debug)]
struct Slot<E: Engine> {
    pixels: E::Memory,
    /// Labels, or the classes that Grad-CAM is asked about.
    labels: E::Memory,
}

impl<E: Engine> Session<E> {
    /// A network of zeros.
    pub(crate) fn new(engine: Rc<E>, plan: &Plan, precision: Precision, normalisation: &Normalisation) -> Result<Self> {
        let parameters = Rc::new(Parameters::new(&*engine, plan, precision)?);
        let values = byte_values(normalisation.mean, normalisation.std);
        let table = engine.allocate(size_of_val(&values))?;
        engine.upload(bytemuck::cast_slice(values.as_flattened()), engine.address(&table))?;
        Ok(Self {
            engine,
            precision,
            parameters,
            table,
            planned: Vec::new(),
            next_slot: 0,
            steps: Unread::none(),
            inferences: Unread::none(),
            folded: None,
            can_fold: true,
        })
    }

    /// Where it computes.
    pub(crate) fn engine(&self) -> &Rc<E> {
        &self.engine
    }

    /// The parameters and statistics.
    pub(crate) fn parameters(&self) -> &Rc<Parameters<E>> {
        &self.parameters
    }

    /// What activations are stored as.
    pub(crate) fn precision(&self) -> Precision {
        self.precision
    }

    /// Starts a training step on a batch that has been checked; its results wait for [`Session::outcomes`].
    pub(crate) fn start_step(&mut self, plan: &Plan, batch: &PixelBatch<'_>, labels: &[u8]) -> Result<()> {
        self.steps.make_room(&*self.engine)?;
        let labels = self.send(plan, batch, labels, Purpose::Training)?;
        let (engine, planned, head) = (&*self.engine, current(&mut self.planned)?, self.parameters.head());
        // The running statistics move on.
        self.parameters.changes();
        planned.forward(engine)?;
        planned.logits(engine, &head)?;
        let space = &planned.workspace;
        let (features, gradient) = (space.features, space.logits_gradient);
        launch::cross_entropy(engine, &space.head, logits(space), labels, gradient, space.outputs)?;
        engine.consumed(self.next_slot)?;
        launch::linear_backward_weights(engine, &space.head, features[0], gradient, head.gradients)?;
        launch::linear_backward_features(engine, &space.head, gradient, head.values[0], features[1])?;
        planned.backward(engine)?;
        let space = &planned.workspace;
        self.steps.pending.push_back(engine.read_later(space.outputs, bytes_of_outcome(space))?);
        Ok(())
    }

    /// Results of all steps since the last call, in their order. Waits for them.
    pub(crate) fn outcomes(&mut self) -> Result<Vec<Outcome>> {
        let results = self.steps.take(&*self.engine)?;
        Ok(results.into_iter().map(|values| (values[0], values[LOSS_BYTES / F32..].to_vec())).collect())
    }

    /// Starts to compute logits with running statistics; they wait for [`Session::inferences`].
    pub(crate) fn start_inference(&mut self, plan: &Plan, batch: &PixelBatch<'_>) -> Result<()> {
        self.inferences.make_room(&*self.engine)?;
        self.send(plan, batch, &[], Purpose::Inference)?;
        self.consumed()?;
        self.forward_for_inference(plan)?;
        let (engine, planned) = (&*self.engine, current(&mut self.planned)?);
        planned.logits(engine, &self.parameters.head())?;
        let space = &planned.workspace;
        let bytes = space.head.images * space.head.classes * F32;
        self.inferences.pending.push_back(engine.read_later(logits(space), bytes)?);
        Ok(())
    }

    /// Logits, `[images, classes]`, of all inferences since the last call, in their order. Waits for them.
    pub(crate) fn inferences(&mut self) -> Result<Vec<Vec<f32>>> {
        self.inferences.take(&*self.engine)
    }

    /// To the features with running statistics, folded into the convolutions where the device can fuse what that leaves.
    fn forward_for_inference(&mut self, plan: &Plan) -> Result<()> {
        if self.can_fold && self.folded.is_none() {
            let folded = self.with_room(1, |session| Folded::new(&*session.engine, plan, session.precision()))?;
            self.folded = Some(folded);
        }
        let engine = &*self.engine;
        let Planned { workspace: space, recordings, .. } = current(&mut self.planned)?;
        let pass = Pass { engine, space, mode: Mode::Evaluation };
        if self.can_fold {
            // It stays where it is whatever fails: recordings have its addresses.
            if let Some(folded) = &mut self.folded {
                folded.refresh(engine, space, &self.parameters)?;
                match recordings.walk(engine, Walk::Folded, || pass.forward_folded(folded)) {
                    Err(error @ cuda::Error::NoFusion(_)) => {
                        artifacts::progress::line(&format!("{error}: inference goes without"));
                    }
                    done => return Ok(done?),
                }
            }
            // The fused ones that did run are overwritten; the memory is given back once they are done. Recordings that
            // read it are not asked for again.
            self.can_fold = false;
            engine.wait()?;
            self.folded = None;
        }
        recordings.walk(engine, Walk::Unfolded, || pass.forward())
    }

    /// The features `[images, inputs]` of a batch in training mode; [`Session::backward_features`] goes on from them.
    pub(crate) fn forward_features(&mut self, plan: &Plan, batch: &PixelBatch<'_>) -> Result<Vec<f32>> {
        self.send(plan, batch, &[], Purpose::Training)?;
        self.consumed()?;
        let (engine, planned) = (&*self.engine, current(&mut self.planned)?);
        self.parameters.changes();
        planned.forward(engine)?;
        let space = &planned.workspace;
        download(engine, space.features[0], space.head.images * space.head.inputs)
    }

    /// From the gradient of those features to the gradients of all parameters below; the head's are zero.
    pub(crate) fn backward_features(&mut self, gradient: &[f32]) -> Result<()> {
        let (engine, planned) = (&*self.engine, current(&mut self.planned)?);
        engine.upload(bytemuck::cast_slice(gradient), planned.workspace.features[1])?;
        planned.backward(engine)?;
        self.parameters.clear_head_gradients(engine)
    }

    /// Grad-CAM for `classes` at the output of block `target`: maps, `[images, height, width]`, their height and width,
    /// and the logits.
    pub(crate) fn grad_cam(
        &mut self,
        plan: &Plan,
        batch: &PixelBatch<'_>,
        classes: &[u8],
        target: usize,
    ) -> Result<(Vec<f32>, [usize; 2], Vec<f32>)> {
        let classes = self.send(plan, batch, classes, Purpose::Explanation)?;
        let (engine, planned, head) = (&*self.engine, &*current(&mut self.planned)?, self.parameters.head());
        let space = &planned.workspace;
        let pass = Pass { engine, space, mode: Mode::Evaluation };
        pass.forward()?;
        planned.logits(engine, &head)?;
        launch::one_hot(engine, &space.head, classes, space.logits_gradient)?;
        engine.consumed(self.next_slot)?;
        let (gradient, features_gradient) = (space.logits_gradient, space.features[1]);
        launch::linear_backward_features(engine, &space.head, gradient, head.values[0], features_gradient)?;
        let parts = pass.backward_to(Some(target))?;
        let block = &space.blocks[target];
        let [weights, map] = space.cam;
        launch::cam_weights(engine, &block.shape, parts, weights)?;
        launch::cam_map(engine, &block.shape, block.output, weights, map)?;
        let maps = download(engine, map, block.shape.images * block.shape.positions())?;
        let values = download(engine, logits(space), space.head.images * space.head.classes)?;
        Ok((maps, [block.shape.height, block.shape.width], values))
    }

    /// Brings a batch to the device and normalises it into the workspace of its shape; gives the place of `labels`. They
    /// stay there until [`Session::consumed`].
    fn send(&mut self, plan: &Plan, batch: &PixelBatch<'_>, labels: &[u8], purpose: Purpose) -> Result<Address> {
        let shape = batch.shape();
        self.plan(plan, shape, purpose)?;
        self.next_slot = (self.next_slot + 1) % SLOTS;
        let Planned { workspace: space, slots, .. } = current(&mut self.planned)?;
        let slot = &slots[self.next_slot];
        let [pixels, places] = [&slot.pixels, &slot.labels].map(|memory| self.engine.address(memory));
        self.engine.stage(self.next_slot, &[(batch.data, pixels), (labels, places)])?;
        let images = space.stem.shape;
        let images = Images { height: batch.height, width: batch.width, ..images };
        let table = self.engine.address(&self.table);
        // The loader has mirrored what is to be mirrored.
        launch::normalise_pixels(&*self.engine, &images, pixels, table, NULL, space.input)?;
        Ok(places)
    }

    /// The bytes of the batch at hand are not needed any more.
    fn consumed(&self) -> Result<()> {
        self.engine.consumed(self.next_slot)
    }

    /// Makes `shape` the one at hand, with a workspace that serves `purpose`.
    fn plan(&mut self, plan: &Plan, shape: BatchShape, purpose: Purpose) -> Result<()> {
        let serves = |space: &Workspace<E>| space.shape == shape && space.purpose >= purpose;
        if let Some(i) = self.planned.iter().position(|planned| serves(&planned.workspace)) {
            let planned = self.planned.remove(i);
            self.planned.push(planned);
            return Ok(());
        }
        // One that serves less is not needed beside it.
        self.make_way(|planned| planned.workspace.shape == shape)?;
        self.keep_latest(MAX_PLANNED - 1)?;
        let planned = self.with_room(0, |session| session.planned_for(plan, shape, purpose))?;
        self.planned.push(planned);
        // Memory is zeroed in the order of computing, and batches arrive in an order of their own.
        self.engine.wait()
    }

    /// What `allocate` gives; should that fail, for want of memory most likely, what it gives with no more than the latest
    /// `kept` batch shapes planned.
    fn with_room<T>(&mut self, kept: usize, allocate: impl Fn(&mut Self) -> Result<T>) -> Result<T> {
        match allocate(self) {
            Err(_) if self.planned.len() > kept => {
                self.keep_latest(kept)?;
                allocate(self)
            }
            done => done,
        }
    }

    /// Forgets all planned batch shapes but the latest `kept`.
    fn keep_latest(&mut self, kept: usize) -> Result<()> {
        let mut left = self.planned.len();
        self.make_way(|_| {
            left -= 1;
            left >= kept
        })
    }

    /// Forgets what was planned where `goes` says so, from the oldest on.
    fn make_way(&mut self, mut goes: impl FnMut(&Planned<E>) -> bool) -> Result<()> {
        let (gone, kept) = std::mem::take(&mut self.planned).into_iter().partition(|planned| goes(planned));
        self.planned = kept;
        if Vec::is_empty(&gone) {
            return Ok(());
        }
        // It may still be in use; and its memory is the device's again once it has been waited for.
        self.engine.wait()?;
        drop(gone);
        self.engine.wait()
    }

    fn planned_for(&self, plan: &Plan, shape: BatchShape, purpose: Purpose) -> Result<Planned<E>> {
        let engine = &*self.engine;
        let bytes = shape.images * shape.height * shape.width * COLOURS;
        let slot = || Ok(Slot { pixels: engine.allocate(bytes)?, labels: engine.allocate(shape.images)? });
        let slots = [slot()?, slot()?];
        let workspace = Workspace::new(engine, plan, &self.parameters, self.precision, shape, purpose)?;
        // Steps and inferences may wait at the same time, and each of them is as large as a step's at most.
        engine.expect_readbacks(2 * MAX_PENDING, bytes_of_outcome(&workspace))?;
        Ok(Planned { workspace, slots, recordings: Recordings::none() })
    }
}

impl<E: Engine> Drop for Session<E> {
    fn drop(&mut self) {
        // What goes may still be in use. A card that has failed has nothing left to wait for.
        let _ = self.engine.wait();
        // Recordings go before the device that they are of.
        self.planned.clear();
    }
}

impl<E: Engine> Planned<E> {
    /// To the features in training mode.
    fn forward(&mut self, engine: &E) -> Result<()> {
        let pass = Pass { engine, space: &self.workspace, mode: Mode::Training };
        self.recordings.walk(engine, Walk::Forward, || pass.forward())
    }

    /// From the features' gradient on.
    fn backward(&mut self, engine: &E) -> Result<()> {
        let pass = Pass { engine, space: &self.workspace, mode: Mode::Training };
        self.recordings.walk(engine, Walk::Backward, || pass.backward())
    }

    /// From the features on.
    fn logits(&self, engine: &E, head: &HeadValues) -> Result<()> {
        let space = &self.workspace;
        launch::linear(engine, &space.head, space.features[0], head.values, logits(space))
    }
}

impl<E: Engine> Unread<E> {
    fn none() -> Self {
        Self { pending: VecDeque::new(), finished: Vec::new() }
    }

    /// Waits for the oldest where there are as many as there may be.
    fn make_room(&mut self, engine: &E) -> Result<()> {
        if self.pending.len() == MAX_PENDING { self.finish_oldest(engine) } else { Ok(()) }
    }

    /// Waits for all of them.
    fn take(&mut self, engine: &E) -> Result<Vec<Vec<f32>>> {
        while !self.pending.is_empty() {
            self.finish_oldest(engine)?;
        }
        Ok(std::mem::take(&mut self.finished))
    }

    fn finish_oldest(&mut self, engine: &E) -> Result<()> {
        if let Some(readback) = self.pending.pop_front() {
            let bytes = engine.finish(readback)?;
            self.finished.push(bytes.as_chunks().0.iter().map(|&value| f32::from_ne_bytes(value)).collect());
        }
        Ok(())
    }
}

/// The one at hand.
fn current<E: Engine>(planned: &mut [Planned<E>]) -> Result<&mut Planned<E>> {
    planned.last_mut().ok_or(Error::NoForward)
}

/// Bytes of a step's loss and logits.
fn bytes_of_outcome<E: Engine>(space: &Workspace<E>) -> usize {
    LOSS_BYTES + space.head.images * space.head.classes * F32
}

fn logits<E: Engine>(space: &Workspace<E>) -> Address {
    space.outputs + LOSS_BYTES as Address
}
