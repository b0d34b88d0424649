//! A tower for inference.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use candle_core::Tensor;
use kernels::Precision;
use kernels::cpu::{Isa, LinearEpilogue};

use crate::block::{Block, Norm};
use crate::changes::Changes;
use crate::config::TowerConfig;
use crate::embedding::{Embedding, EmbeddingTensors};
use crate::error::{Error, Result};
use crate::fine_tuning::FineTuning;
use crate::pooling::Pooling;
use crate::preprocessing::Preprocessing;
use crate::source::Source;
use crate::workspace::{Workspace, attention};

/// The number of images that are computed together. It limits the memory; results do not depend on it.
const GROUP: usize = 16;

/// An image tower with packed weights, for inference on the CPU.
///
/// Calls may run concurrently; each uses its own buffers. The results for an image depend neither on the other images
/// of a call nor on the number of threads.
#[derive(Debug)]
pub struct Tower {
    config: TowerConfig,
    preprocessing: Preprocessing,
    assumptions: Vec<String>,
    embedding: Embedding,
    norm_before: Option<Norm>,
    blocks: Vec<Block>,
    pooling: Pooling,
    isa: Isa,
    workspaces: Mutex<Vec<Workspace>>,
}

/// The outputs of [`Tower::features`].
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// `[n, layers, summaries, width]`: for each image and each requested block, the class token after the block (if
    /// the family has one) and the mean of the patch tokens after the block. Nothing is normalised. `summaries` is
    /// [`TowerConfig::summaries`].
    pub layers: Vec<f32>,
    /// `[n, pooled width]`: the output of the family's pooling, or `None` if it was not computed. CLIP: the normalised
    /// class token, projected if the file has the projection. DINOv2: the normalised class token. SigLIP: the output of
    /// the attention pooling.
    pub pooled: Option<Vec<f32>>,
}

/// Called with the first image of a group, the block, the tokens of the group after the block, `[images, tokens, width]`,
/// and scratch memory of the same length.
type Observer<'a> = dyn FnMut(usize, usize, &[f32], &mut [f32]) + 'a;

impl Tower {
    /// Opens a safetensors file in f32.
    ///
    /// The file has the tensor names of Hugging Face's transformers, and may hold a text tower as well. `config.json`
    /// and `preprocessor_config.json` are read from the same folder. Without them, what does not follow from the
    /// tensors is as in the published models; see [`Tower::assumptions`].
    ///
    /// # Errors
    /// The file is no image tower, tensors are missing or do not fit, or a configuration is invalid.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_in(path, Precision::F32)
    }

    /// Opens a safetensors file for matrix products of this precision. Sums, norms and attention are in f32.
    ///
    /// # Errors
    /// As [`Tower::open`], or the processor does not multiply this precision.
    pub fn open_in(path: &Path, precision: Precision) -> Result<Self> {
        let isa = isa(precision)?;
        Self::read(Source::open(path)?, isa)
    }

    /// Opens a safetensors file with the trained parameters of a fine-tuning: those of
    /// [`TrainableTower::parameters`](crate::TrainableTower::parameters), or as they were saved. LoRA's matrices are
    /// merged into the weights, so that the tower is as fast as the original.
    ///
    /// # Errors
    /// As [`Tower::open_in`], or the parameters do not fit the tower and `method`.
    pub fn open_tuned(
        path: &Path,
        precision: Precision,
        method: &FineTuning,
        parameters: &BTreeMap<String, Tensor>,
    ) -> Result<Self> {
        let isa = isa(precision)?;
        let mut source = Source::open(path)?;
        source.changes = Changes::new(&source.names, &source.config, method, parameters)?;
        Self::read(source, isa)
    }

    fn read(mut source: Source, isa: Isa) -> Result<Self> {
        let (names, config, preprocessing) = (source.names.clone(), source.config.clone(), source.preprocessing);
        let tensors = EmbeddingTensors::read(&mut source)?;
        let mut blocks = Vec::new();
        for block in 0..config.depth {
            blocks.push(Block::read(&mut source, &names.block(block), isa)?);
        }
        Ok(Self {
            embedding: Embedding::new(tensors, &config, &preprocessing, isa)?,
            norm_before: names.norm_before().map(|name| Norm::read(&mut source, &name)).transpose()?,
            blocks,
            pooling: Pooling::read(&mut source, isa)?,
            config,
            preprocessing,
            assumptions: source.assumptions,
            isa,
            workspaces: Mutex::default(),
        })
    }

    /// The shape of the tower.
    #[must_use]
    pub fn config(&self) -> &TowerConfig {
        &self.config
    }

    /// The preprocessing of its inputs.
    #[must_use]
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// What was assumed because there is no `config.json`, as `key = value`.
    #[must_use]
    pub fn assumptions(&self) -> &[String] {
        &self.assumptions
    }

    /// The number of patches in a row and in a column of an input.
    #[must_use]
    pub fn grid(&self) -> usize {
        self.config.grid(self.preprocessing.size)
    }

    /// Computes features of `n` images.
    ///
    /// `pixels` is `[n, side, side, 3]`, RGB bytes, with the side [`Preprocessing::size`]. `layers` are indices of
    /// blocks, from 0 to the depth - 1; blocks after the largest are not computed. The pooled output is computed if the
    /// last block is among them.
    ///
    /// # Errors
    /// `pixels` has another length, there is no such block, or memory ran out.
    pub fn features(&self, pixels: &[u8], n: usize, layers: &[usize]) -> Result<Features> {
        let config = &self.config;
        let last = check_layers(config, layers)?;
        let (width, tokens) = (config.width, config.tokens(self.preprocessing.size));
        let row = layers.len() * config.summaries() * width;
        check_pixels(&self.preprocessing, pixels, n)?;
        let mut features = vec![0.0; n * row];
        let mut pooled: Option<Vec<f32>> = None;
        self.forward(pixels, n, last + 1, &mut |first, block, x, scratch| {
            for (i, _) in layers.iter().enumerate().filter(|(_, layer)| **layer == block) {
                let images = x.chunks_exact(tokens * width).zip(features[first * row..].chunks_exact_mut(row));
                for (image, to) in images {
                    let summaries = config.summaries() * width;
                    self.summarise(image, &mut to[i * summaries..][..summaries]);
                }
            }
            if block + 1 == config.depth
                && let Some(group) = self.pooling.run(x, scratch, tokens, width, self.isa)
            {
                pooled.get_or_insert_default().extend(group);
            }
        })?;
        Ok(Features { layers: features, pooled })
    }

    /// Writes the class token of an image, if there is one, and the mean of its patches.
    pub(crate) fn summarise(&self, image: &[f32], to: &mut [f32]) {
        let width = self.config.width;
        let (class, mean) = to.split_at_mut(to.len() - width);
        class.copy_from_slice(&image[..class.len()]);
        let patches = image[self.config.prefix_tokens() * width..].chunks_exact(width);
        let count = patches.len() as f32;
        mean.fill(0.0);
        for patch in patches {
            mean.iter_mut().zip(patch).for_each(|(mean, value)| *mean += value);
        }
        mean.iter_mut().for_each(|mean| *mean /= count);
    }

    /// Runs the first `depth` blocks, and calls `observe` after each.
    pub(crate) fn forward(&self, pixels: &[u8], n: usize, depth: usize, observe: &mut Observer<'_>) -> Result<()> {
        check_pixels(&self.preprocessing, pixels, n)?;
        if n == 0 {
            return Ok(());
        }
        let image = self.embedding.pixels_len();
        let side = self.preprocessing.size;
        let mut workspace = self.workspace(n.min(GROUP))?;
        for (group, pixels) in pixels.chunks(GROUP * image).enumerate() {
            let images = pixels.len() / image;
            let rows = images * self.config.tokens(side);
            let Workspace { x, y, qkv, hidden, .. } = &mut workspace;
            let (x, y) = (&mut x.slice_mut()[..rows * self.config.width], y.slice_mut());
            let (qkv, hidden) = (&mut qkv.slice_mut()[..rows * 3 * self.config.width], hidden.slice_mut());
            let y = &mut y[..x.len()];
            self.embedding.run(pixels, hidden, y, x);
            if let Some(norm) = &self.norm_before {
                norm.run(x, y, self.isa);
                x.copy_from_slice(y);
            }
            let attention = attention(&self.config, side, images);
            for (at, block) in self.blocks[..depth].iter().enumerate() {
                block.norm1.run(x, y, self.isa);
                block.qkv.run(y, qkv, LinearEpilogue::default());
                attention.run(qkv, hidden, y, self.isa);
                block.output.run(y, x, LinearEpilogue { activation: None, accumulate: true });
                block.mlp(x, y, hidden, self.config.activation.into(), self.isa);
                observe(group * GROUP, at, x, y);
            }
        }
        self.workspaces.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
        Ok(())
    }

    /// Returns a workspace of an earlier call, or a new one.
    fn workspace(&self, images: usize) -> Result<Workspace> {
        let mut free = self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        match free.pop() {
            Some(workspace) if workspace.images >= images => Ok(workspace),
            smaller => {
                drop((smaller, free));
                Workspace::new(&self.config, self.preprocessing.size, images, self.isa)
            }
        }
    }
}

/// Returns the instruction set for a precision.
fn isa(precision: Precision) -> Result<Isa> {
    let isa = match precision {
        Precision::F32 => Some(Isa::detect()),
        Precision::Bf16 => Isa::detect_bf16(),
        Precision::Tf32 => None,
    };
    isa.ok_or_else(|| Error::Input(format!("this processor does not multiply {precision:?}: use f32")))
}

/// Returns the largest requested block.
pub(crate) fn check_layers(config: &TowerConfig, layers: &[usize]) -> Result<usize> {
    if let Some(layer) = layers.iter().find(|&&layer| layer >= config.depth) {
        return Err(Error::Input(format!("there is no block {layer}: the tower has {} (from 0)", config.depth)));
    }
    let none = || Error::Input("no layers are requested: name at least one block".to_owned());
    layers.iter().max().copied().ok_or_else(none)
}

/// Checks the length of the pixels of `n` images.
pub(crate) fn check_pixels(preprocessing: &Preprocessing, pixels: &[u8], n: usize) -> Result<()> {
    let side = preprocessing.size;
    let bytes = n.saturating_mul(side * side * 3);
    if bytes == pixels.len() {
        return Ok(());
    }
    Err(Error::Input(format!("{n} images of {side} x {side} pixels have {bytes} bytes, not {}", pixels.len())))
}
