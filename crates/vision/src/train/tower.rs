//! A tower on candle's autograd.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Tensor, Var};
use kernels::Precision;

use super::embedding::EmbeddingLayer;
use super::layers::{Builder, NormLayer, TrainableBlock};
use super::parameters::initial;
use super::pooling::PoolingLayer;
use crate::config::TowerConfig;
use crate::error::Result;
use crate::fine_tuning::FineTuning;
use crate::preprocessing::Preprocessing;
use crate::source::Source;
use crate::tower::{Tower, check_layers, check_pixels};

/// A tower whose outputs are differentiable in its parameters, in f32 on the CPU.
pub struct TrainableTower {
    path: PathBuf,
    config: TowerConfig,
    preprocessing: Preprocessing,
    method: FineTuning,
    parameters: BTreeMap<String, Var>,
    embedding: EmbeddingLayer,
    norm_before: Option<NormLayer>,
    blocks: Vec<TrainableBlock>,
    pooling: PoolingLayer,
}

/// The outputs of [`TrainableTower::forward`], as in [`Features`](crate::Features).
#[derive(Clone, Debug)]
pub struct TrainableFeatures {
    /// `[n, layers, summaries, width]`.
    pub layers: Tensor,
    /// `[n, pooled width]`, if the last block was requested and the tower has a pooled output.
    pub pooled: Option<Tensor>,
}

impl TrainableTower {
    /// Opens a safetensors file as [`Tower::open`] does, for training. `seed` determines the initial values of LoRA.
    ///
    /// # Errors
    /// As [`Tower::open`].
    pub fn open(path: &Path, method: &FineTuning, seed: u64) -> Result<Self> {
        let mut source = Source::open(path)?;
        let parameters = initial(&mut source, method, seed)?;
        let (names, config, preprocessing) = (source.names.clone(), source.config.clone(), source.preprocessing);
        let mut builder = Builder { source: &mut source, parameters: &parameters, method };
        let embedding = EmbeddingLayer::build(&mut builder)?;
        let norm_before = names.norm_before().map(|name| builder.norm(&name)).transpose()?;
        let mut blocks = Vec::new();
        for block in 0..config.depth {
            blocks.push(builder.block(&names.block(block))?);
        }
        let pooling = PoolingLayer::build(&mut builder)?;
        let (path, method) = (path.to_owned(), method.clone());
        Ok(Self { path, config, preprocessing, method, parameters, embedding, norm_before, blocks, pooling })
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

    /// The trained parameters by name: the file's tensor names, and `MODULE.lora_A.weight` and `MODULE.lora_B.weight`
    /// for LoRA. Empty if the tower is frozen. [`Var::set`] changes the tower.
    #[must_use]
    pub fn parameters(&self) -> &BTreeMap<String, Var> {
        &self.parameters
    }

    /// Computes features as [`Tower::features`] does, as tensors with gradients.
    ///
    /// # Errors
    /// As [`Tower::features`].
    pub fn forward(&self, pixels: &[u8], n: usize, layers: &[usize]) -> Result<TrainableFeatures> {
        let config = &self.config;
        let last = check_layers(config, layers)?;
        check_pixels(&self.preprocessing, pixels, n)?;
        let mut summaries: BTreeMap<usize, Tensor> = BTreeMap::new();
        if n == 0 {
            let shape = (0, layers.len(), config.summaries(), config.width);
            let layers = Tensor::zeros(shape, candle_core::DType::F32, &candle_core::Device::Cpu)?;
            return Ok(TrainableFeatures { layers, pooled: None });
        }
        let mut x = self.embedding.apply(pixels, n, config, self.preprocessing.size)?;
        if let Some(norm) = &self.norm_before {
            x = norm.apply(&x)?;
        }
        for (at, block) in self.blocks[..=last].iter().enumerate() {
            x = block.apply(&x, n)?;
            if layers.contains(&at) {
                summaries.insert(at, self.summarise(&x, n)?);
            }
        }
        let pooled = if last + 1 == config.depth { self.pooling.apply(&x, n, config)? } else { None };
        let requested: Vec<&Tensor> = layers.iter().filter_map(|layer| summaries.get(layer)).collect();
        Ok(TrainableFeatures { layers: Tensor::stack(&requested, 1)?, pooled })
    }

    /// Returns the class token, if there is one, and the mean of the patches: `[n, summaries, width]`.
    fn summarise(&self, x: &Tensor, n: usize) -> Result<Tensor> {
        let x = x.reshape((n, (), self.config.width))?;
        let prefix = self.config.prefix_tokens();
        let mean = x.narrow(1, prefix, x.dim(1)? - prefix)?.mean_keepdim(1)?;
        match self.config.has_class_token() {
            true => Ok(Tensor::cat(&[&x.narrow(1, 0, 1)?, &mean], 1)?),
            false => Ok(mean),
        }
    }

    /// Returns a tower for inference with the current parameters. Reads the file again.
    ///
    /// # Errors
    /// As [`Tower::open_tuned`].
    pub fn merged(&self, precision: Precision) -> Result<Tower> {
        let tensors = self.parameters.iter().map(|(name, var)| (name.clone(), var.as_detached_tensor())).collect();
        Tower::open_tuned(&self.path, precision, &self.method, &tensors)
    }
}
