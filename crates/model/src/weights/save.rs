//! Writes safetensors files that torchvision loads with `strict=True`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::Tensor;
use safetensors::{Dtype, View};

use super::error::Error;

/// A tensor of the file.
enum Stored {
    /// A tensor of the network.
    Tensor(Tensor),
    /// A batch norm's counter of batches. It is always zero, as an I64 scalar.
    BatchCounter,
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        match self {
            Self::Tensor(tensor) => View::dtype(tensor),
            Self::BatchCounter => Dtype::I64,
        }
    }

    fn shape(&self) -> &[usize] {
        match self {
            Self::Tensor(tensor) => View::shape(tensor),
            Self::BatchCounter => &[],
        }
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Tensor(tensor) => View::data(tensor),
            Self::BatchCounter => Cow::Borrowed(&[0; size_of::<i64>()]),
        }
    }

    fn data_len(&self) -> usize {
        match self {
            Self::Tensor(tensor) => View::data_len(tensor),
            Self::BatchCounter => size_of::<i64>(),
        }
    }
}

/// Writes parameters, running statistics and one batch counter per batch norm to `path`, with `metadata`. The file
/// appears atomically.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn save(
    path: &Path,
    parameters: BTreeMap<String, Tensor>,
    statistics: BTreeMap<String, Tensor>,
    metadata: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let counters = statistics.keys().filter_map(|name| name.strip_suffix("running_mean"));
    let counters: Vec<_> = counters.map(|norm| (format!("{norm}num_batches_tracked"), Stored::BatchCounter)).collect();
    let tensors = parameters.into_iter().chain(statistics).map(|(name, tensor)| (name, Stored::Tensor(tensor)));
    let tensors: BTreeMap<_, _> = tensors.chain(counters).collect();
    let metadata: HashMap<_, _> = metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let bytes = safetensors::serialize(tensors, Some(metadata))
        .map_err(|source| Error::SafeTensors { path: path.to_owned(), source })?;
    Ok(artifacts::atomic::write_file(path, &bytes)?)
}
