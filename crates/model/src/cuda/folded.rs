//! Inference with batch norm folded into the convolutions. A convolution's epilogue adds bias and shortcut, and applies
//! ReLU.
//!
//! A residual block becomes `y = relu(conv(x) + shortcut)`. Its output is written once, and read once by the next
//! block. A projection is a plain convolution with folded weights: the bias of the block's last convolution includes
//! the shift of the projection's batch norm. The stem is not folded, because max pooling applies its batch norm.

use kernels::Precision;
use kernels::batch_norm::EPSILON;
use kernels::cuda::{Address, Engine, FusedOperands, NULL, Result, launch};

use super::parameters::Parameters;
use super::trunk::{Mode, Trunk};
use super::workspace::{BlockSpace, LayerSpace, Workspace};
use crate::layers::LayerList;

/// A convolution's weight and bias with its batch norm folded in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoldedLayer {
    /// `[outputs, kernel, kernel, inputs]` in the element type of the precision.
    weight: Address,
    /// `[outputs]` in the element type of the precision.
    bias: Address,
}

/// Folded copies of all convolutions but the stem.
#[derive(Debug)]
pub(crate) struct Folded<E: Engine> {
    /// In the order of [`LayerList::conv_norms`]. The first, for the stem, has no memory.
    layers: Vec<FoldedLayer>,
    /// The version of the parameters that the weights were folded from.
    version: Option<u64>,
    _memory: Vec<E::Memory>,
}

impl<E: Engine> Folded<E> {
    /// Allocates memory for `layers`.
    pub(crate) fn new(engine: &E, layers: &LayerList, precision: Precision) -> Result<Self> {
        let (mut folded, mut memory) = (Vec::new(), Vec::new());
        for (index, layer) in layers.conv_norms().enumerate() {
            let mut allocate = |elements: usize| -> Result<Address> {
                let allocated = engine.allocate(elements * precision.bytes())?;
                let address = engine.address(&allocated);
                memory.push(allocated);
                Ok(address)
            };
            folded.push(if index == 0 {
                FoldedLayer { weight: NULL, bias: NULL }
            } else {
                FoldedLayer { weight: allocate(layer.weight.range().len())?, bias: allocate(layer.outputs)? }
            });
        }
        Ok(Self { layers: folded, version: None, _memory: memory })
    }

    /// Folds the weights again if parameters or running statistics have changed.
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
        launch::norm_running_coefficients(engine, shape.channels, &values.norm, layer.coefficients, EPSILON)?;
        let from = [values.master, layer.coefficients, projection];
        let outputs = shape.channels;
        launch::fold_norm(engine, shape.precision, from, [to.weight, to.bias], [outputs, values.weight_len / outputs])
    }
}

impl<E: Engine> Trunk<'_, E> {
    /// Computes the features from the normalised pixels, in evaluation mode.
    ///
    /// # Errors
    /// [`kernels::cuda::Error::FusionUnsupported`] if the device does not support a fused convolution. Some
    /// layers may already be queued then.
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
