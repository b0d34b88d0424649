//! The first layer: pixels to tokens.

use kernels::ConvShape;
use kernels::cpu::{Buffer, Convolution, Folded, Input, Isa, Operand, normalise_pixels};
use kernels::pixels::{ByteValues, COLOURS, byte_values};

use crate::config::TowerConfig;
use crate::error::Result;
use crate::positions::interpolate;
use crate::preprocessing::Preprocessing;
use crate::source::Source;

/// The tensors of the embedding, for images of one size.
#[derive(Clone, Debug)]
pub struct EmbeddingTensors {
    /// `[width, 3, patch, patch]`.
    pub patches: Vec<f32>,
    /// Per channel.
    pub bias: Vec<f32>,
    /// The class token with its position embedding, and the registers, `[prefix tokens, width]`.
    pub prefix: Vec<f32>,
    /// The position embeddings of the patches, `[patches, width]`.
    pub positions: Vec<f32>,
}

impl EmbeddingTensors {
    /// Reads the tensors, and interpolates the position embeddings to the size of the inputs.
    pub(crate) fn read(source: &mut Source) -> Result<Self> {
        let (names, config) = (source.names.clone(), source.config.clone());
        let width = config.width;
        let bias = match names.patches_bias() {
            Some(name) => source.read(&name)?,
            None => vec![0.0; width],
        };
        let mut positions = source.read(&names.positions())?;
        let mut prefix = Vec::new();
        if let Some(name) = names.class() {
            prefix = source.read(&name)?;
            let rest = positions.split_off(width);
            prefix.iter_mut().zip(positions).for_each(|(class, position)| *class += position);
            positions = rest;
        }
        if config.registers > 0 {
            prefix.extend(source.read(&names.registers())?);
        }
        let [from, to] = [config.side, source.preprocessing.size].map(|side| config.grid(side));
        let positions = interpolate(&positions, from, to, width, config.registers > 0);
        Ok(Self { patches: source.read(&names.patches())?, bias, prefix, positions })
    }
}

/// The embedding with packed weights.
#[derive(Debug)]
pub(crate) struct Embedding {
    tensors: EmbeddingTensors,
    packed: Buffer,
    values: Box<ByteValues>,
    side: usize,
    patch: usize,
    width: usize,
    isa: Isa,
}

impl Embedding {
    pub(crate) fn new(
        mut tensors: EmbeddingTensors,
        config: &TowerConfig,
        preprocessing: &Preprocessing,
        isa: Isa,
    ) -> Result<Self> {
        let values = Box::new(byte_values(preprocessing.mean, preprocessing.std));
        let patches = std::mem::take(&mut tensors.patches);
        let mut embedding = Self {
            tensors,
            packed: Buffer::zeros(0)?,
            values,
            side: preprocessing.size,
            patch: config.patch,
            width: config.width,
            isa,
        };
        let plan = embedding.convolution(1);
        embedding.packed = Buffer::zeros(plan.packed_len())?;
        plan.pack_forward(&patches, embedding.packed.slice_mut());
        Ok(embedding)
    }

    fn convolution(&self, images: usize) -> Convolution {
        let shape = ConvShape {
            images,
            height: self.side,
            width: self.side,
            inputs: COLOURS,
            outputs: self.width,
            kernel: self.patch,
            stride: self.patch,
            padding: 0,
        };
        Convolution::new(&shape, Input::PaddedPixels, self.isa)
    }

    /// The number of elements of the normalised pixels of an image.
    pub(crate) fn pixels_len(&self) -> usize {
        self.side * self.side * COLOURS
    }

    /// Computes the tokens, `[images, tokens, width]`, of `pixels`, `[images, side, side, 3]`. `normalised` and
    /// `patches` are scratch memory, at least [`Embedding::pixels_len`] per image and as long as `tokens`.
    pub(crate) fn run(&self, pixels: &[u8], normalised: &mut [f32], patches: &mut [f32], tokens: &mut [f32]) {
        let images = pixels.len() / self.pixels_len();
        let normalised = &mut normalised[..images * self.pixels_len()];
        normalise_pixels(pixels, [self.side; 2], &self.values, 0, normalised);
        let EmbeddingTensors { bias, prefix, positions, .. } = &self.tensors;
        let patches = &mut patches[..images * positions.len()];
        let epilogue = Folded { bias, residual: None, relu: false };
        let plan = self.convolution(images).forward;
        let pixels = Operand::Plain((&*normalised).into());
        plan.run(&pixels, self.packed.slice(), &epilogue, (&mut *patches).into(), &mut []);
        let image = prefix.len() + positions.len();
        for (to, patches) in tokens[..images * image].chunks_exact_mut(image).zip(patches.chunks_exact(positions.len()))
        {
            let (to_prefix, to) = to.split_at_mut(prefix.len());
            to_prefix.copy_from_slice(prefix);
            for ((to, patch), position) in to.iter_mut().zip(patches).zip(positions) {
                *to = patch + position;
            }
        }
    }
}
