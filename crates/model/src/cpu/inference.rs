//! Inference: batch norm folded into the weights; bias, ReLU and residual in the epilogue; four buffers in turn.

use kernels::cpu::{
    Affine, Buffer, Convolution, Folded, Input, Isa, MaxPool, Norm, Operand, average_pool, normalise_pixels,
};
use kernels::max_pool_side;
use kernels::pixels::ByteValues;

use super::workspace::zeros;
use crate::architecture::{Block, ConvNorm, Plan};
use crate::batch::{BatchShape, PixelBatch};
use crate::error::Result;

/// The trunk for inference.
#[derive(Debug)]
pub(crate) struct Inference {
    isa: Isa,
    weights: Option<FoldedWeights>,
    space: Option<Space>,
}

/// One thing for each convolution of a block.
#[derive(Debug)]
struct OfBlock<T> {
    main: Vec<T>,
    downsample: Option<T>,
}

/// A convolution's weights and bias, with its batch norm folded in.
#[derive(Debug)]
struct FoldedLayer {
    packed: Buffer,
    bias: Vec<f32>,
}

#[derive(Debug)]
struct FoldedWeights {
    /// Rows and columns of the images that they are packed for; how many images there are does not matter.
    size: (usize, usize),
    stem: FoldedLayer,
    blocks: Vec<OfBlock<FoldedLayer>>,
}

/// What one batch shape needs.
#[derive(Debug)]
struct Space {
    shape: BatchShape,
    input: Buffer,
    stem: Convolution,
    pool: MaxPool,
    winners: Vec<u8>,
    blocks: Vec<OfBlock<Convolution>>,
    /// Positions of the last block's output.
    positions: usize,
    /// A block's input, two for what lies inside of it, and one for a projected shortcut or the output.
    buffers: [Buffer; 4],
    features: Vec<f32>,
}

impl Inference {
    /// Without weights.
    pub(crate) fn new(isa: Isa) -> Self {
        Self { isa, weights: None, space: None }
    }

    /// Forgets the folded weights, because the network's have changed.
    pub(crate) fn forget_weights(&mut self) {
        self.weights = None;
    }

    /// Features, `[n, channels]`, of a batch that has been checked.
    pub(crate) fn forward(
        &mut self,
        plan: &Plan,
        batch: &PixelBatch<'_>,
        bytes: &ByteValues,
        parameters: &[f32],
        statistics: &[f32],
    ) -> Result<&[f32]> {
        let isa = self.isa;
        let shape = batch.shape();
        // What does not fit goes first, so that the old and the new never need memory at once.
        self.space.take_if(|space| space.shape != shape);
        self.weights.take_if(|weights| weights.size != (shape.height, shape.width));
        let space = match &mut self.space {
            Some(space) => space,
            none => none.insert(Space::new(plan, shape, isa)?),
        };
        let weights = match &mut self.weights {
            Some(weights) => weights,
            none => none.insert(FoldedWeights::new(plan, space, parameters, statistics)?),
        };
        normalise_pixels(batch.data, [batch.height, batch.width], bytes, plan.stem.padding, space.input.slice_mut());
        space.run(weights, isa);
        Ok(&space.features)
    }
}

impl FoldedWeights {
    fn new(plan: &Plan, space: &Space, parameters: &[f32], statistics: &[f32]) -> Result<Self> {
        let fold = |(layer, convolution): (&ConvNorm, &Convolution)| {
            FoldedLayer::new(layer, convolution, parameters, statistics)
        };
        let of_block = |(block, space): (&Block, &OfBlock<Convolution>)| {
            Ok(OfBlock {
                main: block.main.iter().zip(&space.main).map(fold).collect::<Result<_>>()?,
                downsample: block.downsample.as_ref().zip(space.downsample.as_ref()).map(fold).transpose()?,
            })
        };
        Ok(Self {
            size: (space.shape.height, space.shape.width),
            stem: fold((&plan.stem, &space.stem))?,
            blocks: plan.blocks.iter().zip(&space.blocks).map(of_block).collect::<Result<_>>()?,
        })
    }
}

impl FoldedLayer {
    /// `norm(conv(x)) = conv'(x) + bias`, with the running statistics.
    fn new(layer: &ConvNorm, convolution: &Convolution, parameters: &[f32], statistics: &[f32]) -> Result<Self> {
        let mut norm = Norm::new(layer.outputs);
        norm.of_running(
            Affine { weight: &parameters[layer.scale.range()], bias: &parameters[layer.shift.range()] },
            &statistics[layer.mean.range()],
            &statistics[layer.variance.range()],
        );
        let mut weights = parameters[layer.weight.range()].to_vec();
        let per_output = weights.len() / layer.outputs;
        for (weights, scale) in weights.chunks_exact_mut(per_output).zip(&norm.scale) {
            weights.iter_mut().for_each(|weight| *weight *= scale);
        }
        let mut packed = zeros(convolution.forward.packed_len())?;
        convolution.pack_forward(&weights, packed.slice_mut());
        Ok(Self { packed, bias: norm.shift })
    }

    fn run(&self, convolution: &Convolution, from: &Buffer, residual: Option<&Buffer>, relu: bool, to: &mut Buffer) {
        let epilogue = Folded { bias: &self.bias, residual: residual.map(Buffer::slice), relu };
        let input = Operand::Plain(from.slice());
        convolution.forward.run(&input, self.packed.slice(), &epilogue, to.slice_mut(), &mut []);
    }
}

impl Space {
    fn new(plan: &Plan, shape: BatchShape, isa: Isa) -> Result<Self> {
        let BatchShape { images, height, width } = shape;
        let first = plan.stem.shape(images, (height, width));
        let stem = Convolution::new(&first, Input::PaddedPixels, isa);
        let ((height, width), channels) = (first.output(), first.outputs);
        let pool = MaxPool { images, height, width, channels };
        let mut side = (max_pool_side(height), max_pool_side(width));
        let winners = vec![0; images * side.0 * side.1 * channels];
        let mut blocks = Vec::new();
        for block in &plan.blocks {
            let product =
                |layer: &ConvNorm, from| Convolution::new(&layer.shape(images, from), Input::Activations, isa);
            let downsample = block.downsample.as_ref().map(|layer| product(layer, side));
            let mut main = Vec::new();
            for layer in &block.main {
                main.push(product(layer, side));
                side = layer.shape(images, side).output();
            }
            blocks.push(OfBlock { main, downsample });
        }
        let products = blocks.iter().flat_map(|block| block.main.iter().chain(&block.downsample));
        let largest = products.map(|product| product.forward.output_len()).fold(stem.forward.output_len(), usize::max);
        Ok(Self {
            shape,
            input: zeros(first.padded_input_len())?,
            stem,
            pool,
            winners,
            blocks,
            positions: side.0 * side.1,
            buffers: [zeros(largest)?, zeros(largest)?, zeros(largest)?, zeros(largest)?],
            features: vec![0.0; images * plan.head.inputs],
        })
    }

    /// From the normalised pixels to the features.
    fn run(&mut self, weights: &FoldedWeights, isa: Isa) {
        let [x, inner, other, y] = &mut self.buffers;
        weights.stem.run(&self.stem, &self.input, None, true, inner);
        let identity = Norm::identity(self.pool.channels);
        self.pool.forward(isa, &identity, inner.slice(), x.slice_mut(), &mut self.winners);
        for (products, folded) in self.blocks.iter().zip(&weights.blocks) {
            let last = products.main.len() - 1;
            for i in 0..last {
                folded.main[i].run(&products.main[i], if i == 0 { x } else { inner }, None, true, other);
                std::mem::swap(inner, other);
            }
            if let (Some(product), Some(folded)) = (&products.downsample, &folded.downsample) {
                folded.run(product, x, None, false, y);
                std::mem::swap(x, y);
            }
            folded.main[last].run(&products.main[last], inner, Some(x), true, y);
            std::mem::swap(x, y);
        }
        let channels = self.features.len() / self.shape.images;
        let len = self.features.len() * self.positions;
        average_pool(&x.slice()[..len], self.positions, channels, &mut self.features);
    }
}
