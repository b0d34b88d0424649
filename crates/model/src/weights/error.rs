//! The errors of reading and writing weights.

use std::path::PathBuf;

/// An error of finding, reading or writing weights.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text does not name a source of weights.
    #[error("`{0}` is not a source of weights: use `none`, a path, or `hf:owner/repo[/file][@revision]`")]
    Source(String),
    /// The tensors of the file do not have the names and shapes of the network's tensors.
    #[error("{path} does not fit the network{}: {problems}", without(prefix), path = path.display())]
    Mismatch {
        /// The safetensors file.
        path: PathBuf,
        /// The prefix of the file's names that was left out, or an empty text.
        prefix: String,
        /// The first missing, mis-shaped and unexpected tensors, each with its shapes.
        problems: String,
    },
    /// A tensor has a value that is NaN or infinite.
    #[error(
        "{path}: tensor `{name}` has the value {value}, but weights must be finite; use another file, or save it again",
        path = path.display()
    )]
    NotFinite {
        /// The safetensors file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The first such value.
        value: f32,
    },
    /// A tensor has an element type that cannot be converted.
    #[error("{path}: tensor `{name}` has type {dtype}, but one of F32, F16 and BF16 is needed", path = path.display())]
    Type {
        /// The safetensors file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        dtype: String,
    },
    /// The file is not in the safetensors format.
    #[error("{path} cannot be read as safetensors", path = path.display())]
    SafeTensors {
        /// The file.
        path: PathBuf,
        /// The parser's error.
        source: safetensors::SafeTensorError,
    },
    /// The file cannot be read.
    #[error("cannot read {path}{}", super::hub_advice(path, source), path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] artifacts::Error),
    /// The weights could not be fetched from a hub.
    #[error(transparent)]
    Hub(#[from] hub::Error),
}

/// Says which prefix of the names was left out, if any was.
fn without(prefix: &str) -> String {
    if prefix.is_empty() { String::new() } else { format!(", even without the prefix `{prefix}` of its names") }
}
