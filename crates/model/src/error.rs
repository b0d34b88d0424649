//! Every way in which this crate can fail, with the names and shapes at fault.

use std::path::PathBuf;

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    // ---- configuration ----
    /// The architecture's name is not one this crate builds.
    #[error("unknown architecture `{name}`: known are {known}")]
    UnknownArchitecture {
        /// The name asked for.
        name: String,
        /// The names that exist, comma separated.
        known: String,
    },
    /// A classifier needs at least two classes, and labels are bytes.
    #[error("a classifier of {0} classes cannot be built: between 2 and 256 are possible")]
    Classes(usize),
    /// A mean or a standard deviation that pixels cannot be normalised with.
    #[error("pixels cannot be normalised with mean {:?} and std {:?}: all must be finite, and std above zero", .0.mean, .0.std)]
    Normalisation(crate::batch::Normalisation),
    /// The layer named for Grad-CAM does not exist.
    #[error("unknown layer `{name}`: known are {known}")]
    UnknownLayer {
        /// The name asked for.
        name: String,
        /// The names that exist, comma separated.
        known: String,
    },
    /// The network was asked to run on a device it has no back end for.
    #[error("cannot compute on {0}; `cpu` always works")]
    UnsupportedDevice(String),

    /// The name of a device is not one.
    #[error("`{0}` is not a device: use `auto`, `cpu`, `cuda` or `cuda:N`")]
    DeviceName(String),

    /// The name of a precision is not one.
    #[error("`{0}` is not a precision: use `auto`, `f32`, `tf32` or `bf16`")]
    PrecisionName(String),

    // ---- input ----
    /// A batch without images.
    #[error("the batch holds no image")]
    EmptyBatch,
    /// The number of bytes is not n x h x w x 3.
    #[error("a batch of {n} images of {height}x{width} RGB pixels needs {expected} bytes, but {actual} were given")]
    BatchBytes {
        /// Images in the batch.
        n: usize,
        /// Rows of each image.
        height: usize,
        /// Columns of each image.
        width: usize,
        /// `n * height * width * 3`, or `usize::MAX` where that overflows.
        expected: usize,
        /// Length of the slice.
        actual: usize,
    },
    /// The image is smaller than the network's total stride.
    #[error("images of {height}x{width} are too small: each side must be at least {minimum}")]
    ImageTooSmall {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// The smallest side that is accepted.
        minimum: usize,
    },
    /// Not one label per image.
    #[error("the batch has {images} images but {labels} labels")]
    LabelCount {
        /// Images in the batch.
        images: usize,
        /// Labels, or classes, given.
        labels: usize,
    },
    /// A label names a class that the head does not have.
    #[error("label {label} of image {index} is out of range: the network has {classes} classes")]
    LabelRange {
        /// Position in the batch.
        index: usize,
        /// The class index given.
        label: usize,
        /// Classes of the head.
        classes: usize,
    },
    /// Batch statistics of a single value have no variance.
    #[error("batch norm cannot train on one value per channel in `{layer}`: use a larger batch or larger images")]
    OneValuePerChannel {
        /// The first normalisation layer that would see a single value.
        layer: String,
    },
    /// A gradient, or features, of another shape than the last forward pass gave.
    #[error("`{what}` has shape {actual:?} but {expected:?} is needed")]
    Shape {
        /// The tensor's name.
        what: String,
        /// The shape it must have.
        expected: Vec<usize>,
        /// The shape it has.
        actual: Vec<usize>,
    },
    /// Features, or a class's score, without a forward pass whose activations are still there.
    #[error("there is no forward pass to differentiate: call `forward_features` before `backward_features`")]
    NoForward,
    /// A step or an inference that gave no result: a fault in this crate.
    #[error("the device has lost a result")]
    NoResult,

    // ---- weights ----
    /// A weight source that cannot be read as one.
    #[error("`{0}` is not a source of weights: use `none`, a path, or `hf:owner/repo[/file][@revision]`")]
    WeightSource(String),
    /// The file's tensors are not the network's.
    #[error("{path} does not fit the network: {problems}", path = path.display())]
    WeightsMismatch {
        /// The safetensors file.
        path: PathBuf,
        /// Missing, mis-shaped and unexpected tensors, each named with its shapes.
        problems: String,
    },
    /// A tensor has an element type that cannot be converted.
    #[error("{path}: tensor `{name}` has type {dtype}, but one of F32, F16 and BF16 is needed", path = path.display())]
    WeightsType {
        /// The safetensors file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type as the file gives it.
        dtype: String,
    },
    /// A file that is not safetensors.
    #[error("{path} cannot be read as safetensors", path = path.display())]
    SafeTensors {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: safetensors::SafeTensorError,
    },
    /// An input or output error.
    #[error("cannot {action} {path}", path = path.display())]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The weights cannot be written.
    #[error(transparent)]
    Artifact(#[from] artifacts::Error),
    /// The optimiser's saved state is not this network's.
    #[error("the optimiser's state does not fit the network: {0}")]
    OptimiserState(String),
    /// The weights could not be fetched from a hub.
    #[error(transparent)]
    Hub(#[from] crate::weights::hub::Error),

    // ---- below ----
    /// No memory, or an error of the CUDA engine.
    #[error(transparent)]
    Kernels(#[from] kernels::Error),
    /// The CUDA kernels read channels in packs of eight.
    #[cfg(feature = "cuda")]
    #[error("`{layer}` has {channels} channels, but the CUDA kernels need a multiple of {multiple}")]
    Channels {
        /// The normalisation layer.
        layer: String,
        /// Its channels.
        channels: usize,
        /// What they must divide by.
        multiple: usize,
    },
    /// An error of candle's.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

#[cfg(feature = "cuda")]
impl From<kernels::cuda::Error> for Error {
    fn from(error: kernels::cuda::Error) -> Self {
        Self::Kernels(error.into())
    }
}
