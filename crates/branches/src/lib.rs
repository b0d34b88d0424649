//! Detectors of several branches.
//!
//! A detector of this crate is a list of branches and a [`Fusion`]. Frozen branches turn an image at native resolution
//! into features, on which heads are trained. Trained branches are networks. A detector that is a single ResNet, such as
//! the baseline, is not part of this crate; see `model`.
//!
//! - `config`: the section `[model]` of a pipeline file.
//! - `extractor`: computes the features of images. `feature_store`: keeps those of a branch on disk.
//!   `precompute`: computes what is not stored yet.
//! - `projection`: compares features with training images, after standardising them (`moments`). `fusion` and `head`:
//!   heads, loss and training step. `parameters`: AdamW and the moving average of the weights. `weights`: the weight of each branch
//!   in the fusion.
//! - `trained_branch`: what all trained branches have in common. `pretrained`: the trained branches of a detector.
//!   `network_branch`: convolutional networks with `attention_pooling`. `tuned_vit`: vision transformers. `inputs`: what they see of an image.
//! - `image_branches` and `head_tensors`: the parameters of a detector for other programs.
//! - `training`: all that is trained of a detector.
//! - `balance`: the weight of each image in the loss.
//! - `checkpoint`: a trained detector on disk. `backbone`: the file of the frozen vision transformer.
//!
//! All computations run on the processor. A CUDA card was never used.

mod attention_pooling;
mod backbone;
mod balance;
mod batch;
mod checkpoint;
mod config;
mod cross_entropy;
mod error;
mod evidence;
mod extractor;
mod feature_store;
mod fusion;
mod head;
mod head_tensors;
mod image_branches;
mod inputs;
mod moments;
mod network_branch;
mod parameters;
mod precompute;
mod pretrained;
mod projection;
mod trained_branch;
mod training;
mod tuned_vit;
mod vit;
mod weights;

pub use backbone::{check_weights, install_backbone, resolve_vit};
pub use balance::{balanced_weights, group};
pub use batch::{BranchFeatures, FeatureBatch, Margins, weighted_mean};
pub use checkpoint::{BranchDetector, Description, input_cutter, read_tensors};
pub use config::{
    BranchName, Crops, FusionConfig, HeldOutPhotographs, ModelConfig, PatchesConfig, ResnetConfig, Tuning,
    ValidationConfig, ViewsConfig, VitConfig,
};
pub use error::{Error, Result};
pub use evidence::EvidenceMap;
pub use extractor::{Extractor, Picture};
pub use fusion::{Fusion, FusionWeight, HeadsOutput, StepOptions, to_logits};
pub use head_tensors::HeadTensors;
pub use image_branches::{ImageBranch, ImageNetwork, ResnetTensors, VitTensors};
pub use inputs::{Cut, InputCutter, TrainedInputs, Windows};
pub use network_branch::ResnetWeights;
pub use precompute::{StoredFeatures, View, stored_features};
pub use pretrained::PretrainedFiles;
pub use projection::Projection;
pub use training::Training;
pub use weights::fit_weights;
