//! The interface of a back end: a network's layers and weights on the device that computes with them.

use std::fmt::Debug;
use std::rc::Rc;

use exchange::Exchange;
use kernels::adam::AdamStep;

use crate::batch::{HeatMap, Logits, PixelBatch, StepOutput};
use crate::error::Result;
use crate::flat_tensors::FlatTensors;

/// The flat buffers of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TensorSet {
    /// The trained tensors.
    Parameters,
    /// The gradients of the last step, in the order of the parameters.
    Gradients,
    /// The running statistics.
    Statistics,
}

/// What a training step compares the logits with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Targets<'a> {
    /// One class index per image, `[n]`.
    Classes(&'a [u8]),
    /// Weighted distributions, `[n, classes]`, see [`kernels::cpu::head::soft_cross_entropy`].
    Distributions(&'a [f32]),
}

/// The initial content of the buffers that [`Backend::edit_weights`] passes to its closure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// Unspecified. The closure must overwrite all of it.
    Overwrite,
    /// The current values.
    Update,
}

/// A network's layers, parameters and running statistics on a device. Only the back end stores the weights.
///
/// [`crate::Network`] checks batches, labels and classes before it calls the back end. Steps and inferences may run
/// asynchronously. Their results are queued until they are collected.
pub(crate) trait Backend: Debug {
    /// Returns tensors in host memory, after all work queued so far. A back end that computes in host memory returns
    /// its own buffer, any other a copy.
    fn tensors(&self, set: TensorSet) -> Result<FlatTensors>;
    /// Lets `change` edit the parameters and the running statistics in host memory.
    fn edit_weights(&mut self, edit: Edit, change: &mut dyn FnMut(&mut [f32], &mut [f32])) -> Result<()>;
    /// Lets batch norm use the statistics of the slices of all processes in the next steps.
    ///
    /// # Errors
    /// [`crate::Error::NotSynchronised`] on a card.
    fn synchronise(&mut self, exchange: Rc<dyn Exchange>) -> Result<()>;
    /// Starts a training step: forward, backward, and the update of the running statistics.
    fn start_step(&mut self, batch: &PixelBatch<'_>, targets: Targets<'_>) -> Result<()>;
    /// Lets `change` edit the gradients of the last step in host memory, before the optimiser reads them.
    fn edit_gradients(&mut self, change: &mut dyn FnMut(&mut [f32])) -> Result<()>;
    /// Waits for all steps since the last call and returns their results in order.
    fn finished_steps(&mut self) -> Result<Vec<StepOutput>>;
    /// Starts an inference with the running statistics.
    fn start_inference(&mut self, batch: &PixelBatch<'_>) -> Result<()>;
    /// Waits for all inferences since the last call and returns their logits in order.
    fn finished_inferences(&mut self) -> Result<Vec<Logits>>;
    /// Computes the features, `[n, inputs of the head]`, in training mode.
    fn forward_features(&mut self, batch: &PixelBatch<'_>) -> Result<Vec<f32>>;
    /// Computes the gradients of all parameters below the head from the gradient of the features that the last
    /// [`Backend::forward_features`] returned. The head's gradients become zero.
    fn backward_features(&mut self, gradient: &[f32]) -> Result<()>;
    /// Computes Grad-CAM maps for `classes`, one per image, at the output of block `target`, and the logits.
    fn grad_cam(&mut self, batch: &PixelBatch<'_>, classes: &[u8], target: usize) -> Result<(Vec<HeatMap>, Logits)>;
    /// Allocates Adam's moments on the same device, filled with zeros.
    fn new_moments(&self) -> Result<Box<dyn Moments>>;
}

/// Adam's moments for the parameters of a back end.
pub(crate) trait Moments: Debug {
    /// Updates the parameters and the moments with the gradients of the last step.
    fn step(&mut self, step: AdamStep) -> Result<()>;
    /// Replaces the first and the second moments, each in the order of the parameters.
    fn write(&mut self, first: &[f32], second: &[f32]) -> Result<()>;
    /// Returns the first and the second moments in host memory, after all work queued so far.
    fn tensors(&self) -> Result<[FlatTensors; 2]>;
}
