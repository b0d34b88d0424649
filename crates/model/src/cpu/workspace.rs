//! The memory of one batch shape: prepared convolutions, activations, gradients and scratch buffers, allocated once.
//!
//! The convolutions' outputs `z` and the blocks' outputs are kept from forward to backward. The activations after batch
//! norm and ReLU are not stored. The kernels that read them compute them again from `z`. Activations and gradients have the
//! type that the instruction set multiplies, f32 or bf16; pixels, weights, their gradients and sums are f32.

use kernels::ConvShape;
use kernels::cpu::{Branch, Buffer, ConvAlgorithm, Convolution, Input, Isa, MaskByOutput, MaxPool, Norm, Tensor};

use crate::batch::BatchShape;
use crate::error::Result;
use crate::layers::LayerList;
use crate::shapes::{BlockShapes, LayerShapes};

/// A convolution with its batch norm and its output.
#[derive(Debug)]
pub(crate) struct LayerSpace {
    /// The prepared convolution: forward, input gradient and weight gradient.
    pub(crate) convolution: Convolution,
    /// The coefficients of the batch norm.
    pub(crate) norm: Norm,
    /// The output, `[images, height, width, channels]`.
    pub(crate) z: Tensor,
    /// Values per channel: images x height x width.
    pub(crate) pixels: usize,
}

/// A residual block.
#[derive(Debug)]
pub(crate) struct BlockSpace {
    /// The convolutions of the main path in order; never empty.
    pub(crate) main: Vec<LayerSpace>,
    /// The projection of the shortcut.
    pub(crate) downsample: Option<LayerSpace>,
    /// The output, `[images, height, width, channels]`.
    pub(crate) output: Tensor,
    /// Rows and columns of the output.
    pub(crate) side: (usize, usize),
    /// Channels of the output.
    pub(crate) channels: usize,
}

/// Scratch buffers that all layers use in turn.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// The packed weights of a convolution.
    pub(crate) packed: Buffer,
    /// Partial weight gradients.
    pub(crate) partial: Buffer,
    /// Per-channel sums, computed separately by each unit of a convolution's work.
    pub(crate) sums: Buffer,
}

/// All memory for one batch shape.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The batch shape.
    pub(crate) shape: BatchShape,
    /// The normalised pixels with the stem's padding.
    pub(crate) input: Buffer,
    /// The first convolution.
    pub(crate) stem: LayerSpace,
    /// The max pooling after the first convolution.
    pub(crate) pool: MaxPool,
    /// The output of the pooling.
    pub(crate) pooled: Tensor,
    /// For each output of the pooling, the position of the maximum in its window.
    pub(crate) argmax: Vec<u8>,
    /// The residual blocks.
    pub(crate) blocks: Vec<BlockSpace>,
    /// Averages of the last block's output over all positions, `[images, channels]`.
    pub(crate) features: Vec<f32>,
    /// Gradients between blocks: of the current block's output, and of its input.
    pub(crate) between: [Tensor; 2],
    /// Gradients inside a block.
    pub(crate) inside: [Tensor; 2],
    /// Scratch buffers.
    pub(crate) scratch: Scratch,
}

/// The largest size of each shared buffer that any layer needs.
#[derive(Default)]
struct BufferSizes {
    packed: usize,
    partial: usize,
    sums: usize,
    between: usize,
    inside: usize,
}

impl Workspace {
    /// Prepares the layers for batches of `shape` and allocates all buffers.
    pub(crate) fn new(layers: &LayerList, shape: BatchShape, isa: Isa) -> Result<Self> {
        let LayerShapes { stem, pooled, blocks } = LayerShapes::new(layers, shape);
        let (images, channels) = (shape.images, stem.outputs);
        let mut sizes = BufferSizes::default();
        let (height, width) = stem.output();
        sizes.sums = images * height * 2 * channels;
        sizes.between = stem.output_len();
        let pooled_len = images * pooled.0 * pooled.1 * channels;
        let input = Buffer::zeros(stem.padded_input_len())?;
        let stem = LayerSpace::new(&stem, Input::PaddedPixels, isa, &mut sizes)?;
        let blocks = blocks.iter().map(|block| BlockSpace::new(block, isa, &mut sizes)).collect::<Result<_>>()?;
        let features = images * layers.head.inputs;
        let tensor = |len| Tensor::zeros(len, isa.element_type());
        Ok(Self {
            shape,
            input,
            stem,
            pool: MaxPool { images, height, width, channels },
            pooled: tensor(pooled_len)?,
            argmax: vec![0; pooled_len],
            blocks,
            features: vec![0.0; features],
            between: [tensor(sizes.between)?, tensor(sizes.between)?],
            inside: [tensor(sizes.inside)?, tensor(sizes.inside)?],
            scratch: Scratch {
                packed: Buffer::zeros(sizes.packed)?,
                partial: Buffer::zeros(sizes.partial)?,
                sums: Buffer::zeros(sizes.sums.max(features * 3))?,
            },
        })
    }
}

impl BlockSpace {
    fn new(shapes: &BlockShapes, isa: Isa, sizes: &mut BufferSizes) -> Result<Self> {
        let mut layer = |shape: &ConvShape| LayerSpace::new(shape, Input::Activations, isa, sizes);
        let main = shapes.main.iter().map(&mut layer).collect::<Result<Vec<_>>>()?;
        let downsample = shapes.downsample.as_ref().map(layer).transpose()?;
        let output = shapes.output();
        sizes.between = sizes.between.max(output.output_len());
        for inner in &shapes.main[..shapes.main.len() - 1] {
            sizes.inside = sizes.inside.max(inner.output_len());
        }
        let output_tensor = Tensor::zeros(output.output_len(), isa.element_type())?;
        Ok(Self { main, downsample, output: output_tensor, side: output.output(), channels: output.outputs })
    }

    /// Returns the number of positions of the output.
    pub(crate) fn positions(&self) -> usize {
        self.side.0 * self.side.1
    }

    /// Returns the mask of the output's ReLU, with the tensors for the sums of the batch norms before it.
    pub(crate) fn mask(&self) -> MaskByOutput<'_> {
        let last = &self.main[self.main.len() - 1];
        MaskByOutput {
            y: self.output.values(),
            main: (last.z.values(), &last.norm.mean),
            shortcut: self.downsample.as_ref().map(|layer| (layer.z.values(), layer.norm.mean.as_slice())),
        }
    }
}

impl LayerSpace {
    fn new(shape: &ConvShape, input: Input, isa: Isa, sizes: &mut BufferSizes) -> Result<Self> {
        let convolution = Convolution::new(shape, input, isa);
        let products = std::iter::once(&convolution.forward).chain(&convolution.input);
        let units = products.map(ConvAlgorithm::unit_count).max().unwrap_or(0);
        sizes.packed = sizes.packed.max(convolution.packed_len());
        sizes.partial = sizes.partial.max(convolution.weights.partial_len());
        sizes.sums = sizes.sums.max(units * 3 * shape.outputs.max(shape.inputs));
        let (norm, z) = (Norm::new(shape.outputs), Tensor::zeros(shape.output_len(), isa.element_type())?);
        Ok(Self { convolution, norm, z, pixels: shape.output_pixels() })
    }

    /// Returns the convolution's output and the batch norm after it.
    pub(crate) fn branch(&self) -> Branch<'_> {
        Branch { z: self.z.values(), norm: &self.norm }
    }
}
