//! A back end with memory of its own, behind a [`crate::Network`] whose flat buffers are in the host's.
//!
//! The processor's back end works on the host's buffers directly and is no accelerator.

use std::fmt::Debug;

use kernels::adam::AdamStep;

use crate::architecture::Plan;
use crate::batch::{HeatMap, PixelBatch};
use crate::error::Result;

/// Mean loss and logits, `[n, classes]`, of a training step.
pub(crate) type Outcome = (f32, Vec<f32>);

/// Which of a network's flat buffers is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// What is trained.
    Parameters,
    /// The gradients of the last step.
    Gradients,
    /// The running statistics.
    Statistics,
}

/// A network's layers, parameters and statistics on a device. Batches have been checked before they come here.
pub(crate) trait Accelerator: Debug {
    /// Takes over what the host's buffers hold.
    fn upload(&mut self, parameters: &[f32], statistics: &[f32]) -> Result<()>;
    /// Fills a buffer of the host's, after all work asked for so far.
    fn download(&self, values: Values, to: &mut [f32]) -> Result<()>;
    /// Starts a training step, and does not wait for it.
    fn start_step(&mut self, plan: &Plan, batch: &PixelBatch<'_>, labels: &[u8]) -> Result<()>;
    /// Waits for the results of all steps since the last call, in their order.
    fn outcomes(&mut self) -> Result<Vec<Outcome>>;
    /// Starts to compute logits with running statistics, and does not wait for them.
    fn start_inference(&mut self, plan: &Plan, batch: &PixelBatch<'_>) -> Result<()>;
    /// Waits for the logits, `[n, classes]`, of all batches since the last call, in their order.
    fn inferences(&mut self) -> Result<Vec<Vec<f32>>>;
    /// Features `[n, inputs]` in training mode.
    fn forward_features(&mut self, plan: &Plan, batch: &PixelBatch<'_>) -> Result<Vec<f32>>;
    /// From the gradient of the last [`Accelerator::forward_features`] to those of the parameters below.
    fn backward_features(&mut self, gradient: &[f32]) -> Result<()>;
    /// Grad-CAM for `classes` at the output of block `target`; with the logits.
    fn grad_cam(
        &mut self,
        plan: &Plan,
        batch: &PixelBatch<'_>,
        classes: &[u8],
        target: usize,
    ) -> Result<(Vec<HeatMap>, Vec<f32>)>;
    /// Adam's moments for these parameters, zero, on the same device.
    fn moments(&self) -> Result<Box<dyn Moments>>;
}

/// Adam's moments on a device.
pub(crate) trait Moments: Debug {
    /// Moves the parameters along the gradients of the last step, and does not wait for it.
    fn step(&mut self, update: AdamStep) -> Result<()>;
    /// Takes over the mean and the squares from buffers of the host's.
    fn upload(&mut self, mean: &[f32], squares: &[f32]) -> Result<()>;
    /// Fills buffers of the host's.
    fn download(&self, mean: &mut [f32], squares: &mut [f32]) -> Result<()>;
}
