//! Everything a batch shape needs: the plan of each product, activations, gradients and scratch memory, made once.
//!
//! Kept from forward to backward are the convolutions' outputs `z` and the blocks' outputs; what lies between is made
//! again from `z` where it is read.

use kernels::cpu::{Branch, Buffer, ConvAlgorithm, Convolution, Input, Isa, MaskByOutput, MaxPool, Norm};
use kernels::{ConvShape, max_pool_side};

use crate::architecture::{Block, ConvNorm, Plan};
use crate::batch::BatchShape;
use crate::error::{Error, Result};

/// A convolution with its batch norm and output.
#[derive(Debug)]
pub(crate) struct LayerSpace {
    /// The plan of its products.
    pub(crate) convolution: Convolution,
    /// The coefficients of its batch norm.
    pub(crate) norm: Norm,
    /// Its output, `[images, height, width, channels]`.
    pub(crate) z: Buffer,
    /// Values per channel: images x height x width.
    pub(crate) pixels: usize,
}

/// A residual block.
#[derive(Debug)]
pub(crate) struct BlockSpace {
    /// The convolutions in order.
    pub(crate) main: Vec<LayerSpace>,
    /// The projection of the shortcut.
    pub(crate) downsample: Option<LayerSpace>,
    /// Its output, `[images, height, width, channels]`.
    pub(crate) output: Buffer,
    /// Rows and columns of the output.
    pub(crate) side: (usize, usize),
    /// Channels of the output.
    pub(crate) channels: usize,
}

/// Memory that every layer uses in its turn.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Packed weights of the product at hand.
    pub(crate) packed: Buffer,
    /// Partial weight gradients.
    pub(crate) partial: Buffer,
    /// Per-channel sums of the units of the product at hand.
    pub(crate) sums: Buffer,
}

/// All memory for one batch shape.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// What it is for.
    pub(crate) shape: BatchShape,
    /// The normalised pixels with the stem's padding.
    pub(crate) input: Buffer,
    /// The first convolution.
    pub(crate) stem: LayerSpace,
    /// The pooling after it.
    pub(crate) pool: MaxPool,
    /// Output of the pooling.
    pub(crate) pooled: Buffer,
    /// Which element of its window each output of the pooling is.
    pub(crate) winners: Vec<u8>,
    /// The residual blocks.
    pub(crate) blocks: Vec<BlockSpace>,
    /// Averages over all positions, `[images, channels]`.
    pub(crate) features: Vec<f32>,
    /// Gradients between blocks: of the block at hand's output and of its input.
    pub(crate) between: [Buffer; 2],
    /// Gradients inside of a block.
    pub(crate) inside: [Buffer; 2],
    /// Scratch memory.
    pub(crate) shared: Shared,
}

/// The largest of each shared buffer that any layer needs.
#[derive(Default)]
struct Needs {
    packed: usize,
    partial: usize,
    sums: usize,
    between: usize,
    inside: usize,
}

impl Workspace {
    /// Plans `plan` for batches of `shape`.
    pub(crate) fn new(plan: &Plan, shape: BatchShape, isa: Isa) -> Result<Self> {
        let BatchShape { images, height, width } = shape;
        let mut needs = Needs::default();
        let first = plan.stem.shape(images, (height, width));
        let input = zeros(first.padded_input_len())?;
        let stem = LayerSpace::new(&first, Input::PaddedPixels, isa, &mut needs)?;
        let ((height, width), channels) = (first.output(), first.outputs);
        let pool = MaxPool { images, height, width, channels };
        needs.sums = needs.sums.max(images * height * 2 * channels);
        needs.between = first.output_len();
        let mut side = (max_pool_side(height), max_pool_side(width));
        let pooled = images * side.0 * side.1 * channels;
        let mut blocks = Vec::new();
        for block in &plan.blocks {
            let space = BlockSpace::new(block, images, side, isa, &mut needs)?;
            side = space.side;
            blocks.push(space);
        }
        Ok(Self {
            shape,
            input,
            stem,
            pool,
            pooled: zeros(pooled)?,
            winners: vec![0; pooled],
            blocks,
            features: vec![0.0; images * plan.head.inputs],
            between: [zeros(needs.between)?, zeros(needs.between)?],
            inside: [zeros(needs.inside)?, zeros(needs.inside)?],
            shared: Shared {
                packed: zeros(needs.packed)?,
                partial: zeros(needs.partial)?,
                sums: zeros(needs.sums.max(images * plan.head.inputs * 3))?,
            },
        })
    }

    /// Refuses shapes whose batch statistics would be those of a single value.
    pub(crate) fn check_trainable(&self, plan: &Plan) -> Result<()> {
        let blocks = self.blocks.iter().flat_map(|block| block.main.iter().chain(&block.downsample));
        let mut layers = std::iter::once(&self.stem).chain(blocks).zip(plan.conv_norms());
        match layers.find(|(space, _)| space.pixels == 1) {
            Some((_, layer)) => Err(Error::OneValuePerChannel { layer: layer.norm_name.clone() }),
            None => Ok(()),
        }
    }
}

impl BlockSpace {
    fn new(block: &Block, images: usize, from: (usize, usize), isa: Isa, needs: &mut Needs) -> Result<Self> {
        let mut layer = |layer: &ConvNorm, from| {
            let shape = layer.shape(images, from);
            Ok::<_, Error>((LayerSpace::new(&shape, Input::Activations, isa, needs)?, shape.output()))
        };
        let (mut side, mut channels) = (from, 0);
        let mut main = Vec::new();
        for conv in &block.main {
            let (space, output) = layer(conv, side)?;
            main.push(space);
            (side, channels) = (output, conv.outputs);
        }
        let downsample = block.downsample.as_ref().map(|conv| layer(conv, from)).transpose()?.map(|(space, _)| space);
        let len = images * side.0 * side.1 * channels;
        needs.between = needs.between.max(len);
        for conv in &main[..main.len() - 1] {
            needs.inside = needs.inside.max(conv.convolution.forward.output_len());
        }
        Ok(Self { main, downsample, output: zeros(len)?, side, channels })
    }
}

impl LayerSpace {
    fn new(shape: &ConvShape, input: Input, isa: Isa, needs: &mut Needs) -> Result<Self> {
        let convolution = Convolution::new(shape, input, isa);
        let products = std::iter::once(&convolution.forward).chain(&convolution.input);
        let units = products.map(ConvAlgorithm::unit_count).max().unwrap_or(0);
        needs.packed = needs.packed.max(convolution.packed_len());
        needs.partial = needs.partial.max(convolution.weights.partial_len());
        needs.sums = needs.sums.max(units * 3 * shape.outputs.max(shape.inputs));
        let (norm, z) = (Norm::new(shape.outputs), zeros(shape.output_len())?);
        Ok(Self { convolution, norm, z, pixels: shape.output_pixels() })
    }

    /// The output and the batch norm after it.
    pub(crate) fn branch(&self) -> Branch<'_> {
        Branch { z: self.z.slice(), norm: &self.norm }
    }
}

impl BlockSpace {
    /// Positions of the output.
    pub(crate) fn positions(&self) -> usize {
        self.side.0 * self.side.1
    }

    /// The mask of the output's ReLU, with what the sums for the batch norms below it are computed from.
    pub(crate) fn mask(&self) -> MaskByOutput<'_> {
        let last = &self.main[self.main.len() - 1];
        MaskByOutput {
            y: self.output.slice(),
            main: (last.z.slice(), &last.norm.mean),
            shortcut: self.downsample.as_ref().map(|layer| (layer.z.slice(), layer.norm.mean.as_slice())),
        }
    }
}

/// A buffer of zeros.
pub(crate) fn zeros(len: usize) -> Result<Buffer> {
    Ok(Buffer::zeros(len)?)
}
