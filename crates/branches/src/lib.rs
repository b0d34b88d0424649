//! Detectors of several branches.
//!
//! A detector of this crate is a list of branches and a [`Fusion`]. Frozen branches turn an image at native resolution
//! into features, on which heads are trained. The branch `patches` is a network that is trained from scratch. The
//! ResNet-50 baseline is not part of this crate; see `model`.
//!
//! - `config`: the section `[model]` of a pipeline file.
//! - `extractor`: computes the features of images. `feature_store`: keeps those of a branch on disk.
//!   `precompute`: computes what is not stored yet.
//! - `projection`: compares features with training images. `fusion`: heads, loss and training step. `parameters`: AdamW
//!   and the moving average of the weights. `weights`: the weight of each branch in the fusion.
//! - `patch_branch`: the network on `windows` of an image. `training`: all that is trained of a detector.
//! - `balance`: the weight of each image in the loss.
//! - `checkpoint`: a trained detector on disk. `backbone`: the file of the frozen vision transformer.
//!
//! All computations run on the processor. A CUDA card was never used.

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
mod parameters;
mod patch_branch;
mod precompute;
mod projection;
mod training;
mod weights;
mod windows;

pub use backbone::{check_weights, install_backbone, resolve_vit};
pub use balance::{balanced_weights, group};
pub use batch::{BranchFeatures, FeatureBatch, Margins, weighted_mean};
pub use checkpoint::{BranchDetector, Description, read_tensors};
pub use config::{
    BranchName, Crops, FusionConfig, HeldOutPhotographs, ModelConfig, PatchesConfig, ValidationConfig, ViewsConfig,
    VitConfig,
};
pub use error::{Error, Result};
pub use evidence::EvidenceMap;
pub use extractor::{Extractor, Picture};
pub use fusion::{Fusion, FusionWeight, HeadsOutput, StepOptions, to_logits};
pub use patch_branch::{PatchBranch, WindowEvidence};
pub use precompute::{StoredFeatures, View, stored_features};
pub use projection::Projection;
pub use training::Training;
pub use weights::fit_weights;
pub use windows::Windows;
