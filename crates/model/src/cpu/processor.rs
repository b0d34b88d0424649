//! What a network asks of its back end, computed by this processor: the trunk with the head behind it, on the host's buffers.
//!
//! The counterpart of an [`crate::accelerator::Accelerator`], which has memory of its own and can be asked without waiting.

use kernels::cpu::{Isa, head};
use kernels::pixels::{ByteValues, byte_values};

use super::inference::Inference;
use super::trunk::{Mode, Trunk};
use crate::accelerator::Outcome;
use crate::architecture::{Head, Plan};
use crate::batch::{HeatMap, Normalisation, PixelBatch};
use crate::error::Result;
use crate::parameters::Buffers;

/// A network's layers on this processor. Batches and classes have been checked before they come here.
#[derive(Debug)]
pub(crate) struct Processor {
    /// The normalised value of each byte.
    bytes: ByteValues,
    trunk: Trunk,
    inference: Inference,
}

impl Processor {
    /// Without memory: the first batch of a shape plans it.
    pub(crate) fn new(isa: Isa, Normalisation { mean, std }: Normalisation) -> Self {
        Self { bytes: byte_values(mean, std), trunk: Trunk::new(isa), inference: Inference::new(isa) }
    }

    /// The same with other instructions; the tests' references are some.
    #[cfg(test)]
    pub(crate) fn with_isa(self, isa: Isa) -> Self {
        Self { trunk: Trunk::new(isa), inference: Inference::new(isa), ..self }
    }

    /// Forgets what was made of the network's weights, because they have changed.
    pub(crate) fn forget_weights(&mut self) {
        self.inference.forget_weights();
    }

    /// A forward and backward pass in training mode: the running statistics move on, and all gradients are those of the mean
    /// cross-entropy.
    pub(crate) fn step(
        &mut self,
        plan: &Plan,
        batch: &PixelBatch<'_>,
        labels: &[u8],
        buffers: &mut Buffers,
    ) -> Result<Outcome> {
        self.forward(plan, batch, buffers, Mode::Training)?;
        let Buffers { parameters, gradients, .. } = buffers;
        parameters.read(|parameters| -> Result<Outcome> {
            let (weight, bias) = of_head(&plan.head, parameters);
            let logits = head::linear(self.trunk.features(), weight, bias);
            let (loss, logits_gradient) = head::cross_entropy(&logits, bias.len(), labels);
            let mut features_gradient = vec![0.0; self.trunk.features().len()];
            gradients.write(|gradients| {
                // The bias follows the weight, and both are the last in the table.
                let (_, of_head) = gradients.split_at_mut(plan.head.weight.range().start);
                let (weight_gradient, bias_gradient) = of_head.split_at_mut(weight.len());
                head::linear_backward(
                    (self.trunk.features(), weight),
                    &logits_gradient,
                    weight_gradient,
                    bias_gradient,
                    &mut features_gradient,
                );
                self.trunk.backward(plan, parameters, &features_gradient, gradients)
            })??;
            Ok((loss, logits))
        })?
    }

    /// Features `[n, inputs]` in training mode: the running statistics move on.
    pub(crate) fn forward_features(
        &mut self,
        plan: &Plan,
        batch: &PixelBatch<'_>,
        buffers: &mut Buffers,
    ) -> Result<Vec<f32>> {
        self.forward(plan, batch, buffers, Mode::Training)?;
        Ok(self.trunk.features().to_vec())
    }

    /// From the gradient of the last [`Processor::forward_features`] to those of the parameters below; the head's are zero.
    pub(crate) fn backward_features(&mut self, plan: &Plan, gradient: &[f32], buffers: &mut Buffers) -> Result<()> {
        let Buffers { parameters, gradients, .. } = buffers;
        parameters.read(|parameters| {
            gradients.write(|gradients| {
                gradients[plan.head.weight.range().start..].fill(0.0);
                self.trunk.backward(plan, parameters, gradient, gradients)
            })?
        })?
    }

    /// Logits `[n, classes]` with the running statistics.
    pub(crate) fn infer(&mut self, plan: &Plan, batch: &PixelBatch<'_>, buffers: &Buffers) -> Result<Vec<f32>> {
        let Self { bytes, inference, .. } = self;
        buffers.parameters.read(|parameters| {
            buffers.statistics.read(|statistics| {
                let features = inference.forward(plan, batch, bytes, parameters, statistics)?;
                let (weight, bias) = of_head(&plan.head, parameters);
                Ok(head::linear(features, weight, bias))
            })
        })??
    }

    /// Grad-CAM for `classes` at the output of block `target`; with the logits.
    pub(crate) fn grad_cam(
        &mut self,
        plan: &Plan,
        batch: &PixelBatch<'_>,
        classes: &[usize],
        target: usize,
        buffers: &mut Buffers,
    ) -> Result<(Vec<HeatMap>, Vec<f32>)> {
        self.forward(plan, batch, buffers, Mode::Evaluation)?;
        buffers.parameters.read(|parameters| {
            let (weight, bias) = of_head(&plan.head, parameters);
            let logits = head::linear(self.trunk.features(), weight, bias);
            // The score of a class depends on the features through its row of the weight alone.
            let rows = classes.iter().map(|&class| &weight[class * plan.head.inputs..][..plan.head.inputs]);
            let features_gradient: Vec<f32> = rows.flatten().copied().collect();
            let maps = self.trunk.evidence(plan, parameters, &features_gradient, target)?.maps();
            Ok((maps, logits))
        })?
    }

    /// The trunk's forward pass; its features and activations stay in it.
    fn forward(&mut self, plan: &Plan, batch: &PixelBatch<'_>, buffers: &mut Buffers, mode: Mode) -> Result<()> {
        if mode == Mode::Training {
            // The running statistics move on.
            self.forget_weights();
        }
        let Self { bytes, trunk, .. } = self;
        let Buffers { parameters, statistics, .. } = buffers;
        parameters.read(|parameters| {
            statistics.write(|statistics| trunk.forward(plan, batch, bytes, parameters, statistics, mode))?
        })?
    }
}

/// The head's weight and bias.
fn of_head<'a>(head: &Head, parameters: &'a [f32]) -> (&'a [f32], &'a [f32]) {
    (&parameters[head.weight.range()], &parameters[head.bias.range()])
}
