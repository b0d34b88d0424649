//! A ResNet on resized pixels, such as the ResNet-50 baseline.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use artifacts::hash::{self, Hash};
use artifacts::progress;
use artifacts::schema::ModelConfig;
use artifacts::shard::Shards;
use exchange::Exchange;
use model::device::Device;
use model::{Network, NetworkConfig};

use super::{Blueprint, Created, Preparation, Splits};
use crate::balance::Balance;
use crate::config::Config;
use crate::error::Error;
use crate::images::{Images, used_rows};
use crate::learner::NetworkLearner;

/// A network on the pixels of the shards.
pub(crate) struct Baseline<'a> {
    config: &'a Config,
    network: NetworkConfig,
    device: Device,
    exchange: Rc<dyn Exchange>,
    /// The file of the initial weights. `None`: random weights.
    weights: Option<PathBuf>,
}

impl<'a> Baseline<'a> {
    /// Finds the initial weights, and downloads them if necessary.
    pub(crate) fn open(config: &'a Config, device: Device, exchange: Rc<dyn Exchange>) -> Result<Baseline<'a>, Error> {
        let weights = config.network_weights().resolve().map_err(model::Error::from)?;
        Ok(Baseline { config, network: config.network(), device, exchange, weights })
    }
}

impl Baseline<'_> {
    /// Sets the initial weights.
    fn initialise(&self, network: &mut Network, seed: u64) -> Result<(), Error> {
        let Config { allow_missing, .. } = self.config;
        network.initialise(seed)?;
        let Some(path) = &self.weights else {
            return Ok(network.zero_init_residual()?);
        };
        let report = network.load(path, allow_missing)?;
        progress::line(&format!("train: {}", report.describe(&String::from(self.config.network_weights()))));
        Ok(())
    }
}

impl Blueprint for Baseline<'_> {
    fn images(&self, shards: Arc<Shards>, _stop: &dyn Fn() -> bool) -> Result<Option<Images>, Error> {
        let rows = used_rows(&shards, self.config)?;
        let Config { class_balance, balance_by, .. } = *self.config;
        // Batches for validation ignore the balance.
        let balance = Balance::new(&shards, &rows, class_balance, balance_by);
        Ok(Some(Images { shards, rows, features: None, inputs: None, balance }))
    }

    fn create(&self, seed: u64, initial: bool, splits: &Splits) -> Result<Created, Error> {
        let mut network = Network::zeros(&self.network, &self.device)?;
        if initial {
            self.initialise(&mut network, seed)?;
        }
        let learner = NetworkLearner::new(network, self.config, Rc::clone(&self.exchange))?;
        Ok(Created { learner: Box::new(learner), splits: splits.clone() })
    }

    fn install(&self, _run: &Path) -> Result<(), Error> {
        Ok(())
    }

    fn prepare(&self, _run: &Preparation<'_>, _splits: &Splits, _stop: &dyn Fn() -> bool) -> Result<bool, Error> {
        Ok(true)
    }

    fn model_config(&self) -> ModelConfig {
        ModelConfig::detector(&self.network.arch)
    }

    fn pretrained(&self) -> Result<(String, Option<Hash>), Error> {
        let hash = self.weights.as_deref().map(hash::file).transpose()?;
        Ok((String::from(self.config.network_weights()), hash))
    }
}
