//! An exponential moving average of a network's weights and running statistics.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Tensor;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::flat_tensors::FlatTensors;
use crate::named_tensors::flatten;
use crate::network::Network;
use crate::weights;

/// The prefix of the network's own weights in a checkpoint. The averages have no prefix there, because the average is the
/// model.
const OWN: &str = "own.";

/// The moving average of the weights and the running statistics of a network, in host memory.
///
/// The arithmetic is that of `torch.optim.swa_utils.AveragedModel` with `get_ema_multi_avg_fn(decay)` and
/// `use_buffers=True`: the first update copies the network, and each later one moves the average by `1 - decay` of the
/// distance to it.
#[derive(Debug)]
pub struct AveragedWeights {
    decay: f64,
    updates: u64,
    /// Parameters and running statistics.
    average: [FlatTensors; 2],
}

impl AveragedWeights {
    /// Creates an average of the current weights. The first [`AveragedWeights::update`] replaces it.
    ///
    /// # Errors
    /// The device failed.
    pub fn new(network: &Network, decay: f64) -> Result<AveragedWeights> {
        let layers = network.layers();
        let average = [FlatTensors::zeros(&layers.parameters)?, FlatTensors::zeros(&layers.statistics)?];
        let mut averaged = AveragedWeights { decay, updates: 0, average };
        averaged.read(network, 1.0)?;
        Ok(averaged)
    }

    /// Adds the weights after a step.
    ///
    /// # Errors
    /// The device failed.
    pub fn update(&mut self, network: &Network) -> Result<()> {
        let share = if self.updates == 0 { 1.0 } else { 1.0 - self.decay };
        self.updates += 1;
        self.read(network, share as f32)
    }

    /// Moves the average by `share` of the distance to the weights of `network`.
    fn read(&mut self, network: &Network, share: f32) -> Result<()> {
        for (average, current) in self.average.iter().zip(network.flat_weights()?) {
            current.read(|current| average.write(|average| interpolate(average, current, share)))??;
        }
        Ok(())
    }

    /// Exchanges the average and the weights of `network`. A second call restores both.
    ///
    /// # Errors
    /// The device failed.
    pub fn swap(&mut self, network: &mut Network) -> Result<()> {
        let [averages, average_statistics] = &self.average;
        let mut result = Ok(());
        network.edit_weights(&mut |parameters, statistics| {
            result = averages
                .write(|average| average.swap_with_slice(parameters))
                .and_then(|()| average_statistics.write(|average| average.swap_with_slice(statistics)));
        })?;
        Ok(result?)
    }

    /// Writes the average like [`Network::save`].
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path, metadata: &BTreeMap<String, String>) -> Result<()> {
        let [parameters, statistics] = &self.average;
        Ok(weights::save(path, parameters.views()?, statistics.views()?, metadata)?)
    }

    /// The network's own weights and running statistics, under names for a checkpoint whose model is the average.
    ///
    /// # Errors
    /// The device failed.
    pub fn own_weights(network: &Network) -> Result<BTreeMap<String, Tensor>> {
        let [parameters, statistics] = network.flat_weights()?;
        let tensors = parameters.views()?.into_iter().chain(statistics.views()?);
        Ok(tensors.map(|(name, tensor)| (format!("{OWN}{name}"), tensor)).collect())
    }

    /// Continues after `updates` updates. `network` has the average as its weights, as [`AveragedWeights::save`] wrote it.
    /// It receives its own weights from `state`, which holds the result of [`AveragedWeights::own_weights`].
    ///
    /// # Errors
    /// [`Error::OptimiserState`] with the name of a tensor that is missing or has another shape.
    pub fn restore(
        network: &mut Network,
        decay: f64,
        updates: u64,
        state: &BTreeMap<String, Tensor>,
    ) -> Result<AveragedWeights> {
        let layers = network.layers();
        let [parameters, statistics] = [&layers.parameters, &layers.statistics]
            .map(|table| flatten(state, OWN, table).map_err(Error::OptimiserState));
        let (parameters, statistics) = (parameters?, statistics?);
        let averaged = AveragedWeights { updates, ..AveragedWeights::new(network, decay)? };
        network.edit_weights(&mut |to_parameters, to_statistics| {
            to_parameters.copy_from_slice(&parameters);
            to_statistics.copy_from_slice(&statistics);
        })?;
        Ok(averaged)
    }
}

/// Moves each average by `share` of the distance to the current value.
fn interpolate(average: &mut [f32], current: &[f32], share: f32) {
    if share == 1.0 {
        // Rounding would otherwise keep a trace of the former average.
        average.copy_from_slice(current);
        return;
    }
    average.par_iter_mut().zip(current).for_each(|(average, &current)| *average += share * (current - *average));
}
