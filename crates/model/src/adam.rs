//! Adam (Kingma and Ba, arXiv 1412.6980) over all parameters in one pass, with `torch.optim.Adam`'s arithmetic.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use kernels::adam::AdamStep;

use crate::accelerator::Moments;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::parameters::Flat;

/// Adam's constants; no weight decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamConfig {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean of the gradients.
    pub beta1: f64,
    /// Decay of the mean of their squares.
    pub beta2: f64,
    /// Added to the square root, outside of it.
    pub eps: f64,
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self { lr: 1e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8 }
    }
}

const STEP: &str = "step";
const MEAN: &str = "exp_avg.";
const SQUARE: &str = "exp_avg_sq.";

/// The optimiser with its moments.
#[derive(Debug)]
pub struct Adam {
    /// May be changed between steps, as a schedule does.
    pub config: AdamConfig,
    steps: u32,
    mean: Flat,
    square: Flat,
    /// The moments where an accelerator has the parameters; the host's are out of date then.
    remote: Option<Box<dyn Moments>>,
}

impl Adam {
    /// An optimiser that has not seen a step.
    ///
    /// # Errors
    /// Those of the device.
    pub fn new(config: AdamConfig, network: &Network) -> Result<Self> {
        let table = network.flat_parameters().table();
        let (mean, square) = (Flat::zeros(table)?, Flat::zeros(table)?);
        Ok(Self { config, steps: 0, mean, square, remote: network.remote_moments()? })
    }

    /// Steps taken so far.
    #[must_use]
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Moves the parameters along the gradients of the last [`Network::train_step`].
    ///
    /// # Errors
    /// Those of the device.
    pub fn step(&mut self, network: &mut Network) -> Result<()> {
        self.steps += 1;
        let update = self.config.step(self.steps);
        if let Some(remote) = &mut self.remote {
            return remote.step(update);
        }
        let (parameters, gradients) = network.parameters_and_gradients();
        parameters.write(|p| {
            gradients.read(|g| self.mean.write(|m| self.square.write(|v| update.apply(p, g, m, v))))
        })????;
        Ok(())
    }

    /// The state under `step`, `exp_avg.<parameter>` and `exp_avg_sq.<parameter>`, to be written beside a checkpoint.
    ///
    /// # Errors
    /// Those of the device.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = BTreeMap::new();
        state.insert(STEP.to_owned(), Tensor::new(self.steps, &Device::Cpu)?);
        let moments = match &self.remote {
            None => [self.mean.views()?, self.square.views()?],
            Some(remote) => {
                let (mut mean, mut square) = (Flat::zeros(self.mean.table())?, Flat::zeros(self.square.table())?);
                mean.write(|mean| square.write(|square| remote.download(mean, square)))???;
                [mean.views()?, square.views()?]
            }
        };
        for (prefix, views) in [MEAN, SQUARE].into_iter().zip(moments) {
            state.extend(views.into_iter().map(|(name, view)| (format!("{prefix}{name}"), view)));
        }
        Ok(state)
    }

    /// An optimiser that goes on where [`Adam::state`] was taken. Other tensors in `state` are left alone.
    ///
    /// # Errors
    /// [`Error::OptimiserState`] with the tensor that is missing or has another shape.
    pub fn from_state(config: AdamConfig, network: &Network, state: &BTreeMap<String, Tensor>) -> Result<Self> {
        let find = |name: &str| state.get(name).ok_or_else(|| Error::OptimiserState(format!("{name} is missing")));
        let mut adam = Self::new(config, network)?;
        adam.steps = find(STEP)?.to_dtype(DType::U32)?.to_scalar()?;
        for (prefix, flat) in [(MEAN, &mut adam.mean), (SQUARE, &mut adam.square)] {
            for (name, shape, entry) in flat.table().clone().entries() {
                let name = format!("{prefix}{name}");
                let tensor = find(&name)?;
                if tensor.dims() != shape.as_slice() || tensor.dtype() != DType::F32 {
                    return Err(Error::OptimiserState(format!(
                        "{name} is {:?} {:?} instead of F32 {shape:?}",
                        tensor.dtype(),
                        tensor.dims()
                    )));
                }
                let values = tensor.flatten_all()?.to_vec1::<f32>()?;
                flat.write(|flat| flat[entry.range()].copy_from_slice(&values))?;
            }
        }
        if let Some(remote) = &mut adam.remote {
            adam.mean.read(|mean| adam.square.read(|square| remote.upload(mean, square)))???;
        }
        Ok(adam)
    }
}

impl AdamConfig {
    /// The constants of step number `steps`, rounded where PyTorch rounds them.
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
