//! The embedding of a trainable tower.

use candle_core::{Device, Tensor};
use kernels::cpu::{Isa, normalise_pixels};
use kernels::pixels::{COLOURS, byte_values};
use rayon::prelude::*;

use super::layers::Builder;
use super::ops::linear_with_gradient;
use crate::config::{Family, TowerConfig};
use crate::embedding::{Embedding, EmbeddingTensors};
use crate::error::{Error, Result};
use crate::fine_tuning::FineTuning;
use crate::positions::interpolate;
use crate::preprocessing::Preprocessing;

/// Pixels to tokens.
pub(crate) enum EmbeddingLayer {
    /// Packed weights without gradients.
    Frozen(Box<Embedding>),
    /// All tensors are parameters.
    Trained(Box<TrainedEmbedding>),
}

/// The parameters of an embedding.
pub(crate) struct TrainedEmbedding {
    /// `[width, 3 * patch * patch]`.
    patches: Tensor,
    bias: Option<Tensor>,
    /// `[1, width]`.
    class: Option<Tensor>,
    /// `[registers, width]`.
    registers: Option<Tensor>,
    /// The class token's and the patches' position embeddings, `[positions, width]`.
    positions: Tensor,
    /// The matrix that interpolates the patches' position embeddings, `[patches of an input, patches]`.
    interpolation: Option<Tensor>,
    preprocessing: Preprocessing,
    patch: usize,
}

impl EmbeddingLayer {
    pub(crate) fn build(builder: &mut Builder<'_>) -> Result<Self> {
        let (config, preprocessing) = (builder.source.config.clone(), builder.source.preprocessing);
        if *builder.method == FineTuning::Full {
            return Ok(Self::Trained(Box::new(TrainedEmbedding::build(builder, &config, preprocessing)?)));
        }
        let tensors = EmbeddingTensors::read(builder.source)?;
        Ok(Self::Frozen(Box::new(Embedding::new(tensors, &config, &preprocessing, Isa::detect())?)))
    }

    /// Computes the tokens, `[images * tokens, width]`, of `pixels`, `[images, side, side, 3]`.
    pub(crate) fn apply(&self, pixels: &[u8], images: usize, config: &TowerConfig, side: usize) -> Result<Tensor> {
        match self {
            Self::Frozen(embedding) => {
                let len = images * config.tokens(side) * config.width;
                let (mut tokens, mut patches) = (vec![0.0; len], vec![0.0; len]);
                embedding.run(pixels, &mut vec![0.0; pixels.len()], &mut patches, &mut tokens);
                Ok(Tensor::from_vec(tokens, (len / config.width, config.width), &Device::Cpu)?)
            }
            Self::Trained(embedding) => embedding.apply(pixels, images),
        }
    }
}

impl TrainedEmbedding {
    fn build(builder: &mut Builder<'_>, config: &TowerConfig, preprocessing: Preprocessing) -> Result<Self> {
        let (names, width) = (builder.source.names.clone(), config.width);
        let rows = |tensor: Tensor| tensor.reshape(((), width));
        let [from, to] = [config.side, preprocessing.size].map(|side| config.grid(side));
        let interpolation = (from != to).then(|| {
            let count = from * from;
            // The interpolation of each unit vector is a column of the matrix.
            let units: Vec<f32> = (0..count * count).map(|i| f32::from(u8::from(i / count == i % count))).collect();
            Tensor::from_vec(interpolate(&units, from, to, count, config.registers > 0), (to * to, count), &Device::Cpu)
        });
        let has_registers = config.family == Family::Dinov2 && config.registers > 0;
        Ok(Self {
            patches: builder.tensor(&names.patches())?.flatten_from(1)?,
            bias: names.patches_bias().map(|name| builder.tensor(&name)).transpose()?,
            class: names.class().map(|name| Ok::<_, Error>(rows(builder.tensor(&name)?)?)).transpose()?,
            registers: has_registers.then(|| Ok::<_, Error>(rows(builder.tensor(&names.registers())?)?)).transpose()?,
            positions: rows(builder.tensor(&names.positions())?)?,
            interpolation: interpolation.transpose()?,
            preprocessing,
            patch: config.patch,
        })
    }

    fn apply(&self, pixels: &[u8], images: usize) -> Result<Tensor> {
        let patches = linear_with_gradient(&self.unfold(pixels)?, &self.patches, self.bias.as_ref())?;
        let (rows, width) = patches.dims2()?;
        let patches = patches.reshape((images, rows / images, width))?;
        let classes = usize::from(self.class.is_some());
        let mut positions = self.positions.narrow(0, classes, self.positions.dim(0)? - classes)?;
        if let Some(matrix) = &self.interpolation {
            positions = linear_with_gradient(&positions.t()?, matrix, None)?.t()?;
        }
        let patches = patches.broadcast_add(&positions)?;
        let mut parts = Vec::new();
        if let Some(class) = &self.class {
            parts.push((class + self.positions.narrow(0, 0, 1)?)?);
        }
        parts.extend(self.registers.clone());
        if parts.is_empty() {
            return Ok(patches.reshape(((), width))?);
        }
        let prefix = Tensor::cat(&parts, 0)?;
        let prefix = prefix.unsqueeze(0)?.broadcast_as((images, prefix.dim(0)?, width))?;
        Ok(Tensor::cat(&[prefix, patches], 1)?.reshape(((), width))?)
    }

    /// Returns the normalised pixels of each patch, `[images * patches, 3 * patch * patch]`.
    fn unfold(&self, pixels: &[u8]) -> Result<Tensor> {
        let Preprocessing { size: side, mean, std, .. } = self.preprocessing;
        let (patch, grid) = (self.patch, side / self.patch);
        let mut normalised = vec![0.0; pixels.len()];
        normalise_pixels(pixels, [side; 2], &byte_values(mean, std), 0, &mut normalised);
        let columns = COLOURS * patch * patch;
        let mut to = vec![0.0; pixels.len() / (side * side * COLOURS) * grid * grid * columns];
        to.par_chunks_mut(columns).enumerate().for_each(|(at, to)| {
            let (image, down, right) = (at / (grid * grid), at / grid % grid, at % grid);
            for (i, to) in to.iter_mut().enumerate() {
                let (colour, y, x) = (i / (patch * patch), i / patch % patch, i % patch);
                let (y, x) = (down * patch + y, right * patch + x);
                *to = normalised[((image * side + y) * side + x) * COLOURS + colour];
            }
        });
        Ok(Tensor::from_vec(to, ((), columns), &Device::Cpu)?)
    }
}
