//! Adam (Kingma and Ba, arXiv 1412.6980) over all parameters of a network, with `torch.optim.Adam`'s arithmetic, and
//! AdamW (Loshchilov and Hutter, arXiv 1711.05101) with that of `torch.optim.AdamW`.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use kernels::adam::AdamStep;
use rayon::prelude::*;

use crate::backend::Moments;
use crate::error::{Error, Result};
use crate::named_tensors::{find, flatten};
use crate::network::Network;

/// Adam's hyperparameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamConfig {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment, the mean of the gradients.
    pub beta1: f64,
    /// Decay of the second moment, the mean of the squared gradients.
    pub beta2: f64,
    /// Added to the square root of the second moment.
    pub eps: f64,
    /// Weight decay of AdamW: each step first multiplies all parameters by `1 - lr * weight_decay`. 0 is Adam.
    pub weight_decay: f64,
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self { lr: 1e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 }
    }
}

impl AdamConfig {
    /// Returns the constants of step number `steps`, counted from 1. They are rounded at the same places as in PyTorch.
    fn step(&self, steps: u32) -> AdamStep {
        let steps = f64::from(steps);
        let correction1 = 1.0 - self.beta1.powf(steps);
        let correction2 = 1.0 - self.beta2.powf(steps);
        AdamStep {
            beta1: self.beta1 as f32,
            beta2: self.beta2 as f32,
            one_minus_beta1: (1.0 - self.beta1) as f32,
            one_minus_beta2: (1.0 - self.beta2) as f32,
            step_size: (self.lr / correction1) as f32,
            root_correction: correction2.sqrt() as f32,
            eps: self.eps as f32,
        }
    }
}

const STEP: &str = "step";
const FIRST_MOMENT: &str = "exp_avg.";
const SECOND_MOMENT: &str = "exp_avg_sq.";

/// The optimiser. Its moments are on the network's device.
#[derive(Debug)]
pub struct Adam {
    /// The hyperparameters. They may change between steps, for a learning-rate schedule.
    pub config: AdamConfig,
    steps: u32,
    moments: Box<dyn Moments>,
}

impl Adam {
    /// Creates an optimiser for the parameters of `network`. Its moments are zero.
    ///
    /// # Errors
    /// The device failed.
    pub fn new(config: AdamConfig, network: &Network) -> Result<Self> {
        Ok(Self { config, steps: 0, moments: network.new_moments()? })
    }

    /// Returns the number of steps taken so far.
    #[must_use]
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Updates the parameters with the gradients of the last training step. `network` must be the network that the
    /// optimiser was created for.
    ///
    /// # Errors
    /// The device failed.
    pub fn step(&mut self, network: &mut Network) -> Result<()> {
        self.steps += 1;
        let AdamConfig { lr, weight_decay, .. } = self.config;
        if weight_decay > 0.0 {
            let factor = (1.0 - lr * weight_decay) as f32;
            network.edit_weights(&mut |parameters, _| {
                parameters.par_iter_mut().for_each(|parameter| *parameter *= factor);
            })?;
        }
        self.moments.step(self.config.step(self.steps))
    }

    /// Returns the state for a checkpoint: tensors called `step`, `exp_avg.<parameter>` and `exp_avg_sq.<parameter>`.
    /// On the CPU, the moments share memory with the optimiser, so later steps change them.
    ///
    /// # Errors
    /// The device failed.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = BTreeMap::new();
        state.insert(STEP.to_owned(), Tensor::new(self.steps, &Device::Cpu)?);
        for (prefix, moments) in [FIRST_MOMENT, SECOND_MOMENT].into_iter().zip(self.moments.tensors()?) {
            state.extend(moments.views()?.into_iter().map(|(name, view)| (format!("{prefix}{name}"), view)));
        }
        Ok(state)
    }

    /// Creates an optimiser that continues from the result of [`Adam::state`]. Other tensors in `state` are ignored.
    ///
    /// # Errors
    /// [`Error::OptimiserState`] with the name of a tensor that is missing or has another shape.
    pub fn from_state(config: AdamConfig, network: &Network, state: &BTreeMap<String, Tensor>) -> Result<Self> {
        let mut adam = Self::new(config, network)?;
        adam.steps = find(state, STEP).map_err(Error::OptimiserState)?.to_dtype(DType::U32)?.to_scalar()?;
        let read = |prefix| flatten(state, prefix, &network.layers().parameters).map_err(Error::OptimiserState);
        adam.moments.write(&read(FIRST_MOMENT)?, &read(SECOND_MOMENT)?)?;
        Ok(adam)
    }
}
