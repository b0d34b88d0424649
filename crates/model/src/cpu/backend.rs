//! The back end for processors: the trunk and the head, on weights in host memory.

use std::rc::Rc;

use exchange::Exchange;
use kernels::adam::AdamStep;
use kernels::cpu::{Isa, head};
use kernels::pixels::{ByteValues, byte_values};

use super::inference::Inference;
use super::trunk::{Mode, Trunk};
use crate::backend::{Backend, Edit, Moments, Targets, TensorSet};
use crate::batch::{HeatMap, Logits, Normalisation, PixelBatch, StepOutput};
use crate::error::Result;
use crate::flat_tensors::FlatTensors;
use crate::host_weights::HostWeights;
use crate::layers::{Head, LayerList};

/// A network on the processor. Every operation is synchronous; only results are queued.
#[derive(Debug)]
pub(crate) struct CpuBackend {
    layers: Rc<LayerList>,
    weights: Rc<HostWeights>,
    /// The normalised value of each byte.
    bytes: ByteValues,
    trunk: Trunk,
    inference: Inference,
    steps: Vec<StepOutput>,
    inferences: Vec<Logits>,
}

impl CpuBackend {
    /// Allocates the weights, filled with zeros. The first batch of a shape allocates its workspace.
    pub(crate) fn new(isa: Isa, layers: Rc<LayerList>, Normalisation { mean, std }: Normalisation) -> Result<Self> {
        Ok(Self {
            weights: Rc::new(HostWeights::zeros(&layers)?),
            layers,
            bytes: byte_values(mean, std),
            trunk: Trunk::new(isa),
            inference: Inference::new(isa),
            steps: Vec::new(),
            inferences: Vec::new(),
        })
    }

    /// Runs the trunk forward. Its workspace keeps the features and activations.
    fn forward(&mut self, batch: &PixelBatch<'_>, mode: Mode) -> Result<()> {
        let Self { layers, weights, bytes, trunk, .. } = self;
        if mode == Mode::Training {
            // The forward pass updates the running statistics.
            weights.mark_changed();
        }
        weights.parameters.read(|parameters| {
            weights.statistics.write(|statistics| trunk.forward(layers, batch, bytes, parameters, statistics, mode))
        })??
    }

    fn logits(&self, values: Vec<f32>) -> Logits {
        Logits { values, classes: self.layers.head.bias.range().len() }
    }

    /// Runs a forward and backward pass in training mode. Returns the loss and the logits.
    fn step(&mut self, batch: &PixelBatch<'_>, targets: Targets<'_>) -> Result<(f32, Vec<f32>)> {
        self.forward(batch, Mode::Training)?;
        let Self { layers, weights, trunk, .. } = self;
        weights.parameters.read(|parameters| {
            let (weight, bias) = head_values(&layers.head, parameters);
            let logits = head::linear(trunk.features(), weight, bias);
            let (loss, logits_gradient) = match targets {
                Targets::Classes(labels) => head::cross_entropy(&logits, bias.len(), labels),
                Targets::Distributions(targets) => head::soft_cross_entropy(&logits, bias.len(), targets),
            };
            let mut features_gradient = vec![0.0; trunk.features().len()];
            weights.gradients.write(|gradients| {
                let (_, head_gradients) = gradients.split_at_mut(layers.head.weight.range().start);
                let (weight_gradient, bias_gradient) = head_gradients.split_at_mut(weight.len());
                head::linear_backward(
                    (trunk.features(), weight),
                    &logits_gradient,
                    weight_gradient,
                    bias_gradient,
                    &mut features_gradient,
                );
                trunk.backward(layers, parameters, &features_gradient, gradients)
            })??;
            Ok((loss, logits))
        })?
    }
}

impl Backend for CpuBackend {
    fn tensors(&self, set: TensorSet) -> Result<FlatTensors> {
        let HostWeights { parameters, gradients, statistics, .. } = &*self.weights;
        Ok(match set {
            TensorSet::Parameters => parameters.clone(),
            TensorSet::Gradients => gradients.clone(),
            TensorSet::Statistics => statistics.clone(),
        })
    }

    fn edit_weights(&mut self, _edit: Edit, change: &mut dyn FnMut(&mut [f32], &mut [f32])) -> Result<()> {
        let HostWeights { parameters, statistics, .. } = &*self.weights;
        self.weights.mark_changed();
        Ok(parameters.write(|parameters| statistics.write(|statistics| change(parameters, statistics)))??)
    }

    fn edit_gradients(&mut self, change: &mut dyn FnMut(&mut [f32])) -> Result<()> {
        Ok(self.weights.gradients.write(change)?)
    }

    fn synchronise(&mut self, exchange: Rc<dyn Exchange>) -> Result<()> {
        self.trunk.synchronise(exchange);
        Ok(())
    }

    fn start_step(&mut self, batch: &PixelBatch<'_>, targets: Targets<'_>) -> Result<()> {
        let (loss, logits) = self.step(batch, targets)?;
        let logits = self.logits(logits);
        self.steps.push(StepOutput { loss, logits });
        Ok(())
    }

    fn finished_steps(&mut self) -> Result<Vec<StepOutput>> {
        Ok(std::mem::take(&mut self.steps))
    }

    fn start_inference(&mut self, batch: &PixelBatch<'_>) -> Result<()> {
        let Self { layers, weights, bytes, inference, .. } = self;
        let logits = weights.parameters.read(|parameters| {
            weights.statistics.read(|statistics| -> Result<Vec<f32>> {
                let features = inference.forward(layers, batch, bytes, (parameters, statistics), weights.version())?;
                let (weight, bias) = head_values(&layers.head, parameters);
                Ok(head::linear(features, weight, bias))
            })
        })???;
        let logits = self.logits(logits);
        self.inferences.push(logits);
        Ok(())
    }

    fn finished_inferences(&mut self) -> Result<Vec<Logits>> {
        Ok(std::mem::take(&mut self.inferences))
    }

    fn forward_features(&mut self, batch: &PixelBatch<'_>) -> Result<Vec<f32>> {
        self.forward(batch, Mode::Training)?;
        Ok(self.trunk.features().to_vec())
    }

    fn backward_features(&mut self, gradient: &[f32]) -> Result<()> {
        let Self { layers, weights, trunk, .. } = self;
        weights.parameters.read(|parameters| {
            weights.gradients.write(|gradients| {
                gradients[layers.head.weight.range().start..].fill(0.0);
                trunk.backward(layers, parameters, gradient, gradients)
            })
        })??
    }

    fn grad_cam(&mut self, batch: &PixelBatch<'_>, classes: &[u8], target: usize) -> Result<(Vec<HeatMap>, Logits)> {
        self.forward(batch, Mode::Evaluation)?;
        let Self { layers, weights, trunk, .. } = self;
        let (maps, logits) = weights.parameters.read(|parameters| -> Result<_> {
            let Head { inputs, .. } = layers.head;
            let (weight, bias) = head_values(&layers.head, parameters);
            let logits = head::linear(trunk.features(), weight, bias);
            // The gradient of a class's score with respect to the features is the class's row of the head's weight.
            let rows = classes.iter().map(|&class| &weight[usize::from(class) * inputs..][..inputs]);
            let features_gradient: Vec<f32> = rows.flatten().copied().collect();
            let maps = trunk.grad_cam(layers, parameters, &features_gradient, target)?.maps();
            Ok((maps, logits))
        })??;
        Ok((maps, self.logits(logits)))
    }

    fn new_moments(&self) -> Result<Box<dyn Moments>> {
        let table = &self.layers.parameters;
        let (first, second) = (FlatTensors::zeros(table)?, FlatTensors::zeros(table)?);
        Ok(Box::new(HostMoments { weights: self.weights.clone(), first, second }))
    }
}

/// Adam's moments in host memory.
#[derive(Debug)]
struct HostMoments {
    weights: Rc<HostWeights>,
    first: FlatTensors,
    second: FlatTensors,
}

impl Moments for HostMoments {
    fn step(&mut self, step: AdamStep) -> Result<()> {
        let Self { weights, first, second } = self;
        weights.mark_changed();
        weights
            .parameters
            .write(|p| weights.gradients.read(|g| first.write(|m| second.write(|v| step.apply(p, g, m, v)))))????;
        Ok(())
    }

    fn write(&mut self, first: &[f32], second: &[f32]) -> Result<()> {
        self.first.write(|to| to.copy_from_slice(first))?;
        Ok(self.second.write(|to| to.copy_from_slice(second))?)
    }

    fn tensors(&self) -> Result<[FlatTensors; 2]> {
        Ok([self.first.clone(), self.second.clone()])
    }
}

/// Returns the head's weight and bias.
fn head_values<'a>(head: &Head, parameters: &'a [f32]) -> (&'a [f32], &'a [f32]) {
    (&parameters[head.weight.range()], &parameters[head.bias.range()])
}
