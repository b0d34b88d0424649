//! Fine-tuning on candle's autograd: LoRA, or all parameters.

mod embedding;
mod layers;
mod ops;
mod parameters;
mod pooling;
mod tower;

pub use ops::{activate_with_gradient, attention_with_gradient, layer_norm_with_gradient, linear_with_gradient};
pub use tower::{TrainableFeatures, TrainableTower};
