//! The errors of this crate.

use std::path::PathBuf;

/// A result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a tower cannot be opened or run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("failed to read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The underlying error.
        source: std::io::Error,
    },
    /// A file is no complete safetensors file.
    #[error("{} is no complete safetensors file: {problem}", path.display())]
    SafeTensors {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A file has no tensors of a supported vision transformer.
    #[error(
        "{} holds no image tower of CLIP, DINOv2 or SigLIP with Hugging Face's tensor names: it has neither \
         `vision_model.embeddings.patch_embedding.weight` nor `embeddings.patch_embeddings.projection.weight`, but \
         {found}; convert the weights with the package transformers, or choose another file",
        path.display()
    )]
    NoTower {
        /// The file.
        path: PathBuf,
        /// Some of the names that it has.
        found: String,
    },
    /// Tensors are missing or have other shapes or types.
    #[error(
        "{} does not fit {config}: {problems}; use the config.json that belongs to this file, or download both again",
        path.display()
    )]
    Tensors {
        /// The file.
        path: PathBuf,
        /// Where the expected shapes come from.
        config: String,
        /// All tensors that do not fit, with the reason.
        problems: String,
    },
    /// A tensor has a value that is NaN or infinite.
    #[error(
        "{}: tensor `{name}` has the value {value}, but weights must be finite; use another file, or download it again",
        path.display()
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The first such value.
        value: f32,
    },
    /// A configuration beside the weights cannot be used.
    #[error("{}: {problem}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A call with arguments that do not fit the tower.
    #[error("{0}")]
    Input(String),
    /// An image cannot be resized.
    #[error(transparent)]
    Resize(#[from] pixels::ShapeError),
    /// A kernel failed, or memory ran out.
    #[error(transparent)]
    Kernels(#[from] kernels::Error),
    /// A tensor operation failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
