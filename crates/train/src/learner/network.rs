//! The ResNet-50 baseline: a network on the resized pixels, trained as a whole with Adam.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use artifacts::Checkpoint;
use artifacts::failure::chain;
use candle_core::Tensor;
use model::{Adam, AdamConfig, Logits, Network, StepOutput};

use super::Learner;
use crate::error::Error;
use crate::loader::Batch;

/// A network with Adam.
pub(crate) struct NetworkLearner {
    network: Network,
    adam: Adam,
}

impl NetworkLearner {
    /// Creates an optimiser for the network.
    pub(crate) fn new(network: Network) -> Result<NetworkLearner, Error> {
        let adam = Adam::new(AdamConfig::default(), &network)?;
        Ok(NetworkLearner { network, adam })
    }
}

impl Learner for NetworkLearner {
    fn start_step(&mut self, batch: &Batch, learning_rate: f64) -> Result<(), Error> {
        self.network.start_step(&batch.pixels(), batch.labels())?;
        self.adam.config.lr = learning_rate;
        Ok(self.adam.step(&mut self.network)?)
    }

    fn finished_steps(&mut self) -> Result<Vec<StepOutput>, Error> {
        Ok(self.network.finished_steps()?)
    }

    fn start_validation(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn start_inference(&mut self, batch: &Batch) -> Result<(), Error> {
        Ok(self.network.start_inference(&batch.pixels())?)
    }

    fn finished_inferences(&mut self) -> Result<Vec<Logits>, Error> {
        Ok(self.network.finished_inferences()?)
    }

    fn weights(&self) -> Result<BTreeMap<String, Tensor>, Error> {
        Ok(self.network.parameters()?)
    }

    fn save(&self, path: &Path) -> Result<(), Error> {
        let format = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        Ok(self.network.save(path, &format)?)
    }

    fn optimiser_state(&self) -> Result<BTreeMap<String, Tensor>, Error> {
        Ok(self.adam.state()?)
    }

    fn restore(&mut self, checkpoint: &Checkpoint, state: &BTreeMap<String, Tensor>) -> Result<(), Error> {
        let path = checkpoint.training_state();
        let weights = checkpoint.weights();
        let report = self.network.load(&weights, &[]).map_err(|error| damage_or_failure(&weights, error))?;
        if report.head_replaced {
            let detail = "its weights have no head for this network".to_owned();
            return Err(Error::DamagedCheckpoint { path, detail });
        }
        let adam = Adam::from_state(AdamConfig::default(), &self.network, state);
        self.adam = adam.map_err(|error| damage_or_failure(&path, error))?;
        Ok(())
    }

    fn steps(&self) -> u64 {
        self.adam.steps().into()
    }
}

/// Converts an error of reading a checkpoint's file. Returns [`Error::DamagedCheckpoint`] if the content of the file is
/// invalid, but not if the cause may be temporary, such as a failing disk or a GPU without free memory.
fn damage_or_failure(path: &Path, error: model::Error) -> Error {
    use model::Error as Model;
    use model::weights::Error as Weights;
    let damaged = match &error {
        Model::Weights(Weights::SafeTensors { .. } | Weights::Mismatch { .. } | Weights::Type { .. })
        | Model::OptimiserState(_)
        // candle converts only data from the file here, in host memory.
        | Model::Candle(_) => true,
        Model::Weights(Weights::Read { source, .. }) => source.kind() == ErrorKind::NotFound,
        _ => false,
    };
    if damaged { Error::DamagedCheckpoint { path: path.to_owned(), detail: chain(&error) } } else { error.into() }
}
