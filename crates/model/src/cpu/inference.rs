//! Inference with batch norm folded into the convolutions' weights. The epilogue of a convolution adds bias and
//! shortcut, and applies the ReLU.

use kernels::ConvShape;
use kernels::cpu::{
    Affine, Buffer, Convolution, Folded, Input, Isa, MaxPool, Norm, Operand, Tensor, Values, average_pool,
    normalise_pixels,
};
use kernels::pixels::ByteValues;

use crate::batch::{BatchShape, PixelBatch};
use crate::error::Result;
use crate::layers::{Block, ConvNorm, LayerList};
use crate::shapes::{BlockShapes, LayerShapes};

/// The layers below the head for inference, with the folded weights and the workspace of the last batch shape.
#[derive(Debug)]
pub(crate) struct Inference {
    isa: Isa,
    weights: Option<FoldedWeights>,
    space: Option<Space>,
}

/// A value for each convolution of a block.
#[derive(Debug)]
struct PerLayer<T> {
    main: Vec<T>,
    downsample: Option<T>,
}

/// A convolution's packed weights and bias, with its batch norm folded in.
#[derive(Debug)]
struct FoldedLayer {
    packed: Buffer,
    bias: Vec<f32>,
}

/// The folded weights of all layers.
#[derive(Debug)]
struct FoldedWeights {
    /// Rows and columns of the images that the weights are packed for. The packed layout does not depend on the number
    /// of images.
    size: (usize, usize),
    /// The version of the original weights, see [`crate::host_weights::HostWeights::version`].
    version: u64,
    stem: FoldedLayer,
    blocks: Vec<PerLayer<FoldedLayer>>,
}

/// The memory of one batch shape.
#[derive(Debug)]
struct Space {
    shape: BatchShape,
    input: Buffer,
    stem: Convolution,
    pool: MaxPool,
    argmax: Vec<u8>,
    blocks: Vec<PerLayer<Convolution>>,
    /// Positions (rows x columns) of the last block's output.
    positions: usize,
    /// The current block's input, two buffers for activations inside the block, and one for a projected shortcut or the
    /// block's output.
    buffers: [Tensor; 4],
    features: Vec<f32>,
}

impl Inference {
    /// Creates an inference without buffers. The first batch allocates them.
    pub(crate) fn new(isa: Isa) -> Self {
        Self { isa, weights: None, space: None }
    }

    /// Computes the features, `[n, channels]`, of a batch. Folds the weights again if `version` differs from the last
    /// call's.
    pub(crate) fn forward(
        &mut self,
        layers: &LayerList,
        batch: &PixelBatch<'_>,
        bytes: &ByteValues,
        (parameters, statistics): (&[f32], &[f32]),
        version: u64,
    ) -> Result<&[f32]> {
        let isa = self.isa;
        let shape = batch.shape();
        // Free the old buffers before allocating new ones, to limit the peak memory.
        self.space.take_if(|space| space.shape != shape);
        let size = (shape.height, shape.width);
        self.weights.take_if(|weights| weights.size != size || weights.version != version);
        let space = match &mut self.space {
            Some(space) => space,
            none => none.insert(Space::new(layers, shape, isa)?),
        };
        let weights = match &mut self.weights {
            Some(weights) => weights,
            none => none.insert(FoldedWeights::new(layers, space, (parameters, statistics), version)?),
        };
        let padding = layers.stem.padding;
        normalise_pixels(batch.data, [batch.height, batch.width], bytes, padding, space.input.slice_mut());
        space.run(weights, isa);
        Ok(&space.features)
    }
}

impl FoldedWeights {
    fn new(
        layers: &LayerList,
        space: &Space,
        (parameters, statistics): (&[f32], &[f32]),
        version: u64,
    ) -> Result<Self> {
        let fold = |(layer, convolution): (&ConvNorm, &Convolution)| {
            FoldedLayer::new(layer, convolution, parameters, statistics)
        };
        let fold_block = |(block, space): (&Block, &PerLayer<Convolution>)| {
            Ok(PerLayer {
                main: block.main.iter().zip(&space.main).map(fold).collect::<Result<_>>()?,
                downsample: block.downsample.as_ref().zip(space.downsample.as_ref()).map(fold).transpose()?,
            })
        };
        Ok(Self {
            size: (space.shape.height, space.shape.width),
            version,
            stem: fold((&layers.stem, &space.stem))?,
            blocks: layers.blocks.iter().zip(&space.blocks).map(fold_block).collect::<Result<_>>()?,
        })
    }
}

impl FoldedLayer {
    /// Folds the running statistics into the weights: `norm(conv(x)) = conv'(x) + bias`.
    fn new(layer: &ConvNorm, convolution: &Convolution, parameters: &[f32], statistics: &[f32]) -> Result<Self> {
        let mut norm = Norm::new(layer.outputs);
        norm.set_from_running(
            Affine { weight: &parameters[layer.scale.range()], bias: &parameters[layer.shift.range()] },
            &statistics[layer.mean.range()],
            &statistics[layer.variance.range()],
        );
        let mut weights = parameters[layer.weight.range()].to_vec();
        let per_output = weights.len() / layer.outputs;
        for (weights, scale) in weights.chunks_exact_mut(per_output).zip(&norm.scale) {
            weights.iter_mut().for_each(|weight| *weight *= scale);
        }
        let mut packed = Buffer::zeros(convolution.forward.packed_len())?;
        convolution.pack_forward(&weights, packed.slice_mut());
        Ok(Self { packed, bias: norm.shift })
    }

    fn run(
        &self,
        convolution: &Convolution,
        from: Values<'_>,
        residual: Option<Values<'_>>,
        relu: bool,
        to: &mut Tensor,
    ) {
        let epilogue = Folded { bias: &self.bias, residual, relu };
        convolution.forward.run(&Operand::Plain(from), self.packed.slice(), &epilogue, to.values_mut(), &mut []);
    }
}

impl Space {
    fn new(layers: &LayerList, shape: BatchShape, isa: Isa) -> Result<Self> {
        let shapes = LayerShapes::new(layers, shape);
        let (images, channels) = (shape.images, shapes.stem.outputs);
        let (height, width) = shapes.stem.output();
        let plan = |shape: &ConvShape| Convolution::new(shape, Input::Activations, isa);
        let plan_block = |block: &BlockShapes| PerLayer {
            main: block.main.iter().map(plan).collect(),
            downsample: block.downsample.as_ref().map(plan),
        };
        let (rows, columns) = shapes.blocks.last().map_or(shapes.pooled, |block| block.output().output());
        let largest = shapes.iter().map(ConvShape::output_len).max().unwrap_or(0);
        let buffer = || Tensor::zeros(largest, isa.element_type());
        Ok(Self {
            shape,
            input: Buffer::zeros(shapes.stem.padded_input_len())?,
            stem: Convolution::new(&shapes.stem, Input::PaddedPixels, isa),
            pool: MaxPool { images, height, width, channels },
            argmax: vec![0; images * shapes.pooled.0 * shapes.pooled.1 * channels],
            blocks: shapes.blocks.iter().map(plan_block).collect(),
            positions: rows * columns,
            buffers: [buffer()?, buffer()?, buffer()?, buffer()?],
            features: vec![0.0; images * layers.head.inputs],
        })
    }

    /// Computes the features from the normalised pixels.
    fn run(&mut self, weights: &FoldedWeights, isa: Isa) {
        let [x, inner, other, y] = &mut self.buffers;
        weights.stem.run(&self.stem, self.input.slice().into(), None, true, inner);
        let identity = Norm::identity(self.pool.channels);
        self.pool.forward(isa, &identity, inner.values(), x.values_mut(), &mut self.argmax);
        for (products, folded) in self.blocks.iter().zip(&weights.blocks) {
            let last = products.main.len() - 1;
            for i in 0..last {
                let from = if i == 0 { x.values() } else { inner.values() };
                folded.main[i].run(&products.main[i], from, None, true, other);
                std::mem::swap(inner, other);
            }
            if let (Some(product), Some(folded)) = (&products.downsample, &folded.downsample) {
                folded.run(product, x.values(), None, false, y);
                std::mem::swap(x, y);
            }
            folded.main[last].run(&products.main[last], inner.values(), Some(x.values()), true, y);
            std::mem::swap(x, y);
        }
        let channels = self.features.len() / self.shape.images;
        let len = self.features.len() * self.positions;
        average_pool(isa, x.values().slice(0..len), self.positions, channels, &mut self.features);
    }
}
