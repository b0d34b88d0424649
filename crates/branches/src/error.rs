//! The errors of this crate.

use std::ops::Range;
use std::path::PathBuf;

use crate::config::BranchName;

/// Errors of a detector of branches.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The weights of a vision transformer cannot be found or downloaded.
    #[error("failed to get the weights of the branch `vit`; set model.vit.weights to a safetensors file")]
    VitSource(#[source] model::weights::Error),
    /// `model.vit.weights` is `none`.
    #[error(
        "the branch `vit` needs pretrained weights, but model.vit.weights is none; set it to hf:owner/repo or to a \
         safetensors file"
    )]
    VitWithoutWeights,
    /// The vision transformer cannot be loaded or run.
    #[error("the branch `vit` failed")]
    Vit(#[from] vision::Error),
    /// Several processes would compute other features than each other.
    #[error(
        "the processes would compute different features: their weights or settings differ, or some run on processors \
         without the precision that is set; set train.precision to f32"
    )]
    DifferentFeatures,
    /// Several processes computed features, but this one does not see those of the others.
    #[error(
        "the features of the images {} to {} that another process computed are not in `{}`; all processes must see the \
         run folder under the same path",
        rows.start, rows.end - 1, root.display()
    )]
    MissingFeatures {
        /// The folder of stored features.
        root: PathBuf,
        /// The images, by their positions in the split.
        rows: Range<usize>,
    },
    /// A configured block does not exist.
    #[error("model.vit.layers has block {layer}, but the transformer has {depth} blocks")]
    Layer {
        /// The configured block, from 1.
        layer: usize,
        /// The number of blocks.
        depth: usize,
    },
    /// The weights of the vision transformer are not the ones that the detector was trained with.
    #[error(
        "`{}` is not the vision transformer that the checkpoint was trained with; name the right file with \
         model.vit.weights, or put it beside the checkpoint",
        path.display()
    )]
    OtherBackbone {
        /// The file.
        path: PathBuf,
    },
    /// A checkpoint lacks a tensor, or a tensor has another shape.
    #[error("`{}` does not fit the detector: {detail}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// A tensor of a checkpoint has a value that is NaN or infinite.
    #[error(
        "`{}`: tensor `{name}` has values that are NaN or infinite; use another checkpoint, or train it again",
        path.display()
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// The state of the optimiser lacks a tensor, or a tensor has another shape.
    #[error("the state of the optimiser does not fit the detector: {0}")]
    OptimiserState(String),
    /// Shards without encoded files cannot be the input of a detector of branches.
    #[error(
        "the shards hold no encoded files, which the branches {branches} need; set ingest.keep_files = true and run \
         `{}` again",
        artifacts::command::line("ingest")
    )]
    NoFiles {
        /// The branches.
        branches: String,
    },
    /// A file of the shards cannot be decoded.
    #[error(
        "failed to decode the stored file of `{path}`: {detail}; run `{}`",
        artifacts::command::line("ingest --force")
    )]
    Decode {
        /// The path in the source.
        path: String,
        /// Why.
        detail: String,
    },
    /// Features are not those of the detector's branches.
    #[error("the features do not fit the detector: {0}")]
    Features(String),
    /// The network of a trained branch failed.
    #[error("the branch `{branch}` failed")]
    Network {
        /// The branch.
        branch: BranchName,
        /// Why.
        source: Box<model::Error>,
    },
    /// An artifact cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// A computation with candle failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// Reading or writing tensors failed.
    #[error("failed to read or write tensors")]
    SafeTensors(#[from] safetensors::SafeTensorError),
}

/// Adds to the failure of a network which branch it belongs to.
pub(crate) trait OfBranch<T> {
    /// Returns the failure with the name of the branch.
    fn of_branch(self, branch: BranchName) -> Result<T>;
}

impl<T> OfBranch<T> for std::result::Result<T, model::Error> {
    fn of_branch(self, branch: BranchName) -> Result<T> {
        self.map_err(|error| Error::Network { branch, source: Box::new(error) })
    }
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
