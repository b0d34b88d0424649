//! The memory of one batch shape: prepared convolutions, activations, gradients and scratch buffers, allocated once.
//!
//! The convolutions' outputs `z` and the blocks' outputs are kept from forward to backward. The activations after batch
//! norm and ReLU are not: the kernels that read them compute them again from `z`, or [`StoredOperands`] holds those of one
//! layer. Activations and gradients have the type that the instruction set multiplies, f32 or bf16; pixels, weights, their
//! gradients and sums are f32.

use kernels::ConvShape;
use kernels::cpu::{
    Branch, Buffer, ConvAlgorithm, Convolution, ElementType, Input, Isa, MaskByOutput, MaxPool, Norm, Operand, Tensor,
    Values,
};

use crate::batch::BatchShape;
use crate::error::Result;
use crate::layers::{ConvNorm, LayerList};
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

/// Memory for operands that are computed before the products that read them, instead of while they are packed.
///
/// In f32, none is. In bf16, the products take less time than computing an operand again for each block that is packed.
#[derive(Debug)]
pub(crate) struct StoredOperands {
    /// The input of a convolution that reads each element several times: one with a kernel larger than 1.
    input: Tensor,
    /// The gradient of a convolution's output, which is read for the gradients of its weights and of its input.
    output_gradient: Tensor,
    isa: Isa,
}

impl StoredOperands {
    fn new(sizes: &BufferSizes, isa: Isa) -> Result<Self> {
        let tensor = |len| Tensor::zeros(if Self::are_used(isa) { len } else { 0 }, isa.element_type());
        Ok(Self { input: tensor(sizes.stored_input)?, output_gradient: tensor(sizes.output_gradient)?, isa })
    }

    fn are_used(isa: Isa) -> bool {
        isa.element_type() == ElementType::Bf16
    }

    /// Returns the input of a convolution as an operand.
    pub(crate) fn input<'a>(&'a mut self, layer: &ConvNorm, input: LayerInput<'a>) -> Operand<'a> {
        input.operand(layer, self.isa, &mut self.input)
    }

    /// Returns the input of a convolution and the gradient of its output, from the gradient `g` of its batch norm's
    /// output.
    pub(crate) fn input_and_gradient<'a>(
        &'a mut self,
        layer: &ConvNorm,
        space: &'a LayerSpace,
        input: LayerInput<'a>,
        g: Values<'a>,
    ) -> (Operand<'a>, Operand<'a>) {
        let gradient = space.norm.gradient(g, space.z.values());
        let gradient = match Self::are_used(self.isa) {
            true => store(&gradient, self.isa, space, &mut self.output_gradient),
            false => gradient,
        };
        (input.operand(layer, self.isa, &mut self.input), gradient)
    }
}

/// Writes an operand with the shape of the output of `space` to `to`.
fn store<'a>(operand: &Operand<'_>, isa: Isa, space: &LayerSpace, to: &'a mut Tensor) -> Operand<'a> {
    let len = space.z.values().len();
    operand.write(isa, space.norm.scale.len(), to.values_mut().slice_mut(0..len));
    Operand::Plain(to.values().slice(0..len))
}

/// The input of a convolution.
#[derive(Clone, Copy)]
pub(crate) enum LayerInput<'a> {
    /// Values without a transformation.
    Values(Values<'a>),
    /// The output of another layer, after its batch norm and ReLU.
    Layer(&'a LayerSpace),
}

impl<'a> LayerInput<'a> {
    /// Returns the operand of the convolution `layer`. `stored` holds it if it is stored.
    fn operand(self, layer: &ConvNorm, isa: Isa, stored: &'a mut Tensor) -> Operand<'a> {
        match self {
            Self::Values(values) => Operand::Plain(values),
            Self::Layer(before) => {
                let operand = before.norm.activated(before.z.values());
                match StoredOperands::are_used(isa) && layer.kernel > 1 {
                    true => store(&operand, isa, before, stored),
                    false => operand,
                }
            }
        }
    }
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
    /// Operands of a convolution that are stored before its products.
    pub(crate) stored: StoredOperands,
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
    stored_input: usize,
    output_gradient: usize,
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
            stored: StoredOperands::new(&sizes, isa)?,
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
        sizes.output_gradient = sizes.output_gradient.max(shape.output_len());
        if shape.kernel > 1 && input == Input::Activations {
            sizes.stored_input = sizes.stored_input.max(shape.input_len());
        }
        let (norm, z) = (Norm::new(shape.outputs), Tensor::zeros(shape.output_len(), isa.element_type())?);
        Ok(Self { convolution, norm, z, pixels: shape.output_pixels() })
    }

    /// Returns the convolution's output and the batch norm after it.
    pub(crate) fn branch(&self) -> Branch<'_> {
        Branch { z: self.z.values(), norm: &self.norm }
    }
}
