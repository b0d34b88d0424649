//! The tensors of a tower, for writing it in the format of another program.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Tensor;

use crate::block::BlockTensors;
use crate::changes::Changes;
use crate::config::TowerConfig;
use crate::embedding::EmbeddingTensors;
use crate::error::Result;
use crate::fine_tuning::FineTuning;
use crate::preprocessing::Preprocessing;
use crate::source::{Module, Source};

/// The tensors of a tower up to the output of its last block. [`Tower::features`](crate::Tower::features) of the same file
/// computes with these values.
#[derive(Clone, Debug)]
pub struct TowerTensors {
    /// The shape of the tower.
    pub config: TowerConfig,
    /// The preprocessing of its inputs.
    pub preprocessing: Preprocessing,
    /// The first layer.
    pub embedding: EmbeddingTensors,
    /// The norm before the first block, if there is one.
    pub norm_before: Option<Module>,
    /// The blocks.
    pub blocks: Vec<TransformerBlock>,
}

/// A block `x + output(attention(qkv(norm1(x))))`, then `x + fc2(activation(fc1(norm2(x))))`.
#[derive(Clone, Debug)]
pub struct TransformerBlock {
    /// The norm before the attention.
    pub norm1: Module,
    /// The norm before the MLP.
    pub norm2: Module,
    /// The linear layers.
    pub layers: BlockTensors,
}

impl TowerTensors {
    /// Reads a safetensors file with the trained parameters of a fine-tuning, as
    /// [`Tower::open_tuned`](crate::Tower::open_tuned). With [`FineTuning::Frozen`] there are none.
    ///
    /// # Errors
    /// As [`Tower::open_tuned`](crate::Tower::open_tuned).
    pub fn read(path: &Path, method: &FineTuning, parameters: &BTreeMap<String, Tensor>) -> Result<TowerTensors> {
        let mut source = Source::open(path)?;
        source.changes = Changes::new(&source.names, &source.config, method, parameters)?;
        let embedding = EmbeddingTensors::read(&mut source)?;
        let norm_before = source.names.norm_before();
        let norm_before = norm_before.map(|name| source.module(&name)).transpose()?;
        let mut blocks = Vec::new();
        for names in (0..source.config.depth).map(|block| source.names.block(block)).collect::<Vec<_>>() {
            blocks.push(TransformerBlock {
                norm1: source.module(&names.norm1)?,
                norm2: source.module(&names.norm2)?,
                layers: BlockTensors::read(&mut source, &names)?,
            });
        }
        let (config, preprocessing) = (source.config, source.preprocessing);
        Ok(TowerTensors { config, preprocessing, embedding, norm_before, blocks })
    }
}
