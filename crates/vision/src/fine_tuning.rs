//! How a tower is fine-tuned.

use serde::{Deserialize, Serialize};

/// What is trained in a tower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FineTuning {
    /// Nothing.
    Frozen,
    /// Low-rank additions to linear layers of the blocks.
    Lora(LoraConfig),
    /// All parameters.
    Full,
}

/// LoRA (Hu et al., arXiv 2106.09685): a layer with the frozen weight `W` computes `W x + alpha / rank * B A x`. `A`,
/// `[rank, inputs]`, starts at random, and `B`, `[outputs, rank]`, at zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// The rank. 0 adds nothing, so that the tower is frozen.
    pub rank: usize,
    /// The factor of the addition, times the rank.
    pub alpha: f32,
    /// The layers of each block that get an addition.
    pub layers: Vec<LoraLayer>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self { rank: 8, alpha: 16.0, layers: vec![LoraLayer::Query, LoraLayer::Value] }
    }
}

/// A linear layer of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LoraLayer {
    /// The queries.
    #[serde(rename = "q")]
    Query,
    /// The keys.
    #[serde(rename = "k")]
    Key,
    /// The values.
    #[serde(rename = "v")]
    Value,
    /// The projection after the attention.
    #[serde(rename = "out")]
    Output,
    /// The first layer of the MLP.
    #[serde(rename = "fc1")]
    Fc1,
    /// The second layer of the MLP.
    #[serde(rename = "fc2")]
    Fc2,
}

impl FineTuning {
    /// Returns the LoRA that adds something, if there is one.
    pub(crate) fn lora(&self) -> Option<&LoraConfig> {
        match self {
            Self::Lora(lora) if lora.rank > 0 && !lora.layers.is_empty() => Some(lora),
            _ => None,
        }
    }

    /// Whether gradients flow through the blocks.
    pub(crate) fn trains(&self) -> bool {
        *self == Self::Full || self.lora().is_some()
    }
}

/// The names of the two matrices of an addition to the module `name`, as in the package PEFT.
pub(crate) fn lora_names(name: &str) -> [String; 2] {
    ["A", "B"].map(|matrix| format!("{name}.lora_{matrix}.weight"))
}
