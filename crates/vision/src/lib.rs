//! Image towers of CLIP, DINOv2 (with and without registers) and SigLIP, from safetensors files with the tensor names of
//! Hugging Face's transformers.
//!
//! - [`Tower`]: fast features, on the kernels of this workspace.
//! - [`TrainableTower`]: the same tower on candle's autograd, with LoRA or full fine-tuning.
//! - [`TowerTensors`]: its values, for writing it in the format of another program.
//! - [`TowerConfig`], [`Preprocessing`]: what `config.json` and `preprocessor_config.json` beside the weights say.
//!
//! A tower's tokens are, in this order, the class token (not in SigLIP), the registers, and the patches row by row.
//!
//! Everything runs on the CPU. CUDA cards were never tried.

mod block;
mod changes;
mod config;
mod embedding;
mod error;
mod fine_tuning;
mod inference_of_config;
mod names;
mod patch_tokens;
mod pooling;
mod positions;
mod preprocessing;
mod source;
mod tensors;
mod tower;
mod train;
mod weights_file;
mod workspace;

pub use block::BlockTensors;
pub use config::{Activation, Family, TowerConfig};
pub use embedding::EmbeddingTensors;
pub use error::{Error, Result};
pub use fine_tuning::{FineTuning, LoraConfig, LoraLayer};
pub use kernels::Precision;
pub use patch_tokens::PatchTokens;
pub use preprocessing::Preprocessing;
pub use source::{Module, preprocessing_of};
pub use tensors::{TowerTensors, TransformerBlock};
pub use tower::{Features, Tower};
pub use train::{
    TrainableFeatures, TrainableTower, activate_with_gradient, attention_with_gradient, layer_norm_with_gradient,
    linear_with_gradient,
};
