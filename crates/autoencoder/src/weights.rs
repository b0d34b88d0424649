//! Reading the weights of an autoencoder.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor, safetensors};
use candle_nn::VarBuilder;

use crate::config::VaeConfig;
use crate::error::{Error, Result, root_cause};

/// A logarithm of the variance whose standard deviation is 0 in f32.
const NO_VARIANCE: f32 = -1000.0;

/// Reads the tensors of a safetensors file as f32.
///
/// candle's network only gives samples of the latent distribution, from a generator without a seed. The layer that
/// computes mean and variance is therefore changed so that the variance is 0: the sample is the mean.
pub(crate) fn read(path: &Path, config: &VaeConfig) -> Result<VarBuilder<'static>> {
    let failed = |error| Error::Weights { path: path.to_owned(), detail: root_cause(&error) };
    std::fs::metadata(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let tensors = safetensors::load(path, &Device::Cpu).map_err(failed)?;
    let tensors: candle_core::Result<HashMap<String, Tensor>> =
        tensors.into_iter().map(|(name, tensor)| Ok((name, tensor.to_dtype(DType::F32)?))).collect();
    let mut tensors = tensors.map_err(failed)?;
    let (latent_channels, layer) = config.latent_layer();
    for (part, value) in [("weight", 0.0), ("bias", NO_VARIANCE)] {
        if let Some(tensor) = tensors.get_mut(&format!("{layer}.{part}")) {
            *tensor = with_constant_end(tensor, latent_channels, value).map_err(failed)?;
        }
    }
    Ok(VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu))
}

/// Replaces all rows of a tensor after the first `kept` ones by a constant.
fn with_constant_end(tensor: &Tensor, kept: usize, value: f32) -> candle_core::Result<Tensor> {
    let rows = tensor.dim(0)?;
    let first = tensor.narrow(0, 0, kept.min(rows))?;
    let mut shape = tensor.dims().to_vec();
    shape[0] = rows.saturating_sub(kept);
    Tensor::cat(&[first, Tensor::full(value, shape, &Device::Cpu)?], 0)
}
