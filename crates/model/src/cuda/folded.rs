//! Inference with batch norm folded into the convolutions: bias, shortcut and ReLU in the convolution's own epilogue.
//!
//! A residual block is `y = relu(conv(x) + shortcut)` then, written once and read once by the next. A projection's shift
//! goes into the bias of the convolution it is added to, so that it is a plain convolution with folded weights. The stem
//! stays as it is: max pooling takes its batch norm in passing already.

use kernels::Precision;
use kernels::batch_norm::EPSILON;
use kernels::cuda::{Address, Engine, FusedOperands, NULL, Result, launch};

use super::parameters::Parameters;
use super::trunk::{Mode, Pass};
use super::workspace::{BlockSpace, LayerSpace, Workspace};
use crate::architecture::Plan;

/// A convolution with its folded batch norm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoldedLayer {
    /// `[outputs, kernel, kernel, inputs]` in the stored element.
    weight: Address,
    /// `[outputs]` in the stored element.
    bias: Address,
}

/// Folded copies of all convolutions but the stem.
#[derive(Debug)]
pub(crate) struct Folded<E: Engine> {
    /// In the order of [`Plan::conv_norms`]; the first, the stem's, is nowhere.
    layers: Vec<FoldedLayer>,
    /// The version of the parameters that they were made of.
    version: Option<u64>,
    _memory: Vec<E::Memory>,
}

impl<E: Engine> Folded<E> {
    /// Memory for the layers of `plan`.
    pub(crate) fn new(engine: &E, plan: &Plan, precision: Precision) -> Result<Self> {
        let (mut layers, mut memory) = (Vec::new(), Vec::new());
        for (index, layer) in plan.conv_norms().enumerate() {
            let mut allocate = |elements: usize| -> Result<Address> {
                let allocated = engine.allocate(elements * precision.bytes())?;
                let address = engine.address(&allocated);
                memory.push(allocated);
                Ok(address)
            };
            layers.push(if index == 0 {
                FoldedLayer { weight: NULL, bias: NULL }
            } else {
                FoldedLayer { weight: allocate(layer.weight.range().len())?, bias: allocate(layer.outputs)? }
            });
        }
        Ok(Self { layers, version: None, _memory: memory })
    }

    /// Folds anew where parameters or running statistics have changed since.
    pub(crate) fn refresh(&mut self, engine: &E, space: &Workspace<E>, parameters: &Parameters<E>) -> Result<()> {
        if self.version == Some(parameters.version()) {
            return Ok(());
        }
        for block in &space.blocks {
            let projection = match &block.downsample {
                Some(layer) => self.fold(engine, layer, NULL).map(|()| layer.coefficients)?,
                None => NULL,
            };
            for (i, layer) in block.main.iter().enumerate() {
                self.fold(engine, layer, if i + 1 == block.main.len() { projection } else { NULL })?;
            }
        }
        self.version = Some(parameters.version());
        Ok(())
    }

    fn fold(&self, engine: &E, layer: &LayerSpace<E>, projection: Address) -> Result<()> {
        let (values, to) = (&layer.values, self.layers[layer.index]);
        let shape = layer.shape.matrix();
        launch::norm_of_running(engine, shape.channels, &values.norm, layer.coefficients, EPSILON)?;
        let from = [values.master, layer.coefficients, projection];
        let outputs = shape.channels;
        launch::fold_norm(engine, shape.precision, from, [to.weight, to.bias], [outputs, values.weight_len / outputs])
    }
}

impl<E: Engine> Pass<'_, E> {
    /// From the normalised pixels to the features, in evaluation mode.
    ///
    /// # Errors
    /// [`kernels::cuda::Error::NoFusion`] where the device has no fused convolution; some of the layers have been done then.
    pub(crate) fn forward_folded(&self, folded: &Folded<E>) -> Result<()> {
        debug_assert_eq!(self.mode, Mode::Evaluation);
        let mut x = self.stem()?;
        for block in &self.space.blocks {
            self.block_folded(block, folded, x)?;
            x = block.output;
        }
        self.features(x)
    }

    fn block_folded(&self, block: &BlockSpace<E>, folded: &Folded<E>, x: Address) -> Result<()> {
        let scratch = self.space.scratch;
        let mut shortcut = x;
        if let Some(layer) = &block.downsample {
            let weight = folded.layers[layer.index].weight;
            self.engine.convolve(&layer.convolution, scratch, x, weight, layer.z)?;
            shortcut = layer.z;
        }
        let mut input = x;
        for (i, layer) in block.main.iter().enumerate() {
            let FoldedLayer { weight, bias } = folded.layers[layer.index];
            let last = i + 1 == block.main.len();
            let (shortcut, y) = if last { (shortcut, block.output) } else { (NULL, layer.y) };
            let operands = FusedOperands { x: input, weight, bias, shortcut, y };
            self.engine.convolve_fused(&layer.convolution, scratch, operands)?;
            input = y;
        }
        Ok(())
    }
}
