//! The keys `model.vit`.

use artifacts::config::OutOfRange;
use model::weights::Source;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check, check_not_negative, check_positive};

/// The branch `vit`: a vision transformer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VitConfig {
    /// The weights of the transformer: `hf:owner/repo[/file][@revision]`, or a safetensors file under Hugging Face's
    /// names with `config.json` beside it.
    #[schemars(
        with = "String",
        extend("x-range" = "hf:owner/repo[/file][@revision], the path of a safetensors file, or none")
    )]
    pub weights: Source,
    /// The blocks whose output tokens are features, counted from 1. Empty: the last five twelfths of the blocks, as 8 to
    /// 12 of 12. Earlier blocks were of no use in experiments (docs/detection.md).
    #[schemars(extend("x-range" = "numbers of blocks, from 1"), example = [8, 9, 10, 11, 12])]
    pub layers: Vec<usize>,
    /// The parts of an image that the transformer looks at.
    pub crops: Crops,
    /// What is trained: `frozen` (only a head, on features that are computed once), `lora` (low-rank additions to the
    /// queries and values of each block, arXiv 2106.09685) or `full`.
    pub tuning: Tuning,
    /// The rank of LoRA. With 0, the transformer is frozen.
    #[schemars(range(min = 0, max = 1024))]
    pub lora_rank: usize,
    /// LoRA's addition is multiplied by this and divided by the rank.
    #[schemars(extend("x-range" = "above 0"))]
    pub lora_alpha: f64,
    /// The learning rate of the trained parameters in the first step. It follows `train.schedule`. The head has
    /// `train.learning_rate`.
    #[schemars(extend("x-range" = "above 0"))]
    pub learning_rate: f64,
    /// Weight decay of the trained matrices and the head. A frozen transformer has none.
    #[schemars(extend("x-range" = "at least 0"), example = 0.01)]
    pub weight_decay: f64,
}

/// What is trained of a vision transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tuning {
    /// Nothing.
    Frozen,
    /// Low-rank additions to linear layers.
    Lora,
    /// All parameters.
    Full,
}

impl VitConfig {
    /// Whether a part of the transformer is trained.
    pub fn is_tuned(&self) -> bool {
        match self.tuning {
            Tuning::Frozen => false,
            Tuning::Lora => self.lora_rank > 0,
            Tuning::Full => true,
        }
    }

    pub(super) fn validate(&self) -> Result<(), OutOfRange> {
        check(!self.layers.contains(&0), "vit.layers", &"0", "block numbers from 1")?;
        check(self.lora_rank <= 1024, "vit.lora_rank", &self.lora_rank, "0 to 1024")?;
        check_positive("vit.lora_alpha", self.lora_alpha)?;
        check_positive("vit.learning_rate", self.learning_rate)?;
        check_not_negative("vit.weight_decay", self.weight_decay)
    }
}

impl Default for VitConfig {
    fn default() -> Self {
        VitConfig {
            weights: Source::Hub("hf:openai/clip-vit-base-patch16".to_owned()),
            layers: Vec::new(),
            crops: Crops::Both,
            tuning: Tuning::Frozen,
            lora_rank: 8,
            lora_alpha: 16.0,
            learning_rate: 1e-4,
            weight_decay: 0.0,
        }
    }
}

/// The parts of an image that a transformer looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Crops {
    /// The whole image, resized as the transformer was trained: shorter side, then the centre.
    Whole,
    /// The whole image, and its centre at native resolution. Images smaller than the transformer's input have no centre
    /// crop; the whole image takes its place.
    Both,
}

impl Crops {
    /// The number of parts of an image.
    pub(crate) fn count(self) -> usize {
        match self {
            Crops::Whole => 1,
            Crops::Both => 2,
        }
    }
}
