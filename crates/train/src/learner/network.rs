//! The ResNet-50 baseline: a network on the resized pixels, trained as a whole with Adam or AdamW.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::rc::Rc;

use artifacts::Checkpoint;
use artifacts::Label;
use artifacts::failure::chain;
use candle_core::Tensor;
use exchange::Exchange;
use model::{
    Adam, AdamConfig, AveragedWeights, GradientSum, Logits, Network, StepOutput, average_gradients, average_statistics,
    clip_gradients,
};

use super::Learner;
use crate::config::Config;
use crate::disk_space::tensor_bytes;
use crate::error::Error;
use crate::loader::Batch;

/// A network with its optimiser.
pub(crate) struct NetworkLearner {
    network: Network,
    adam: Adam,
    label_smoothing: f32,
    /// The highest norm of the gradient. 0: no limit.
    clip_norm: f64,
    /// The gradients of the batches of a step, if a step has several.
    sum: Option<GradientSum>,
    /// The moving average of the weights, if it is on.
    average: Option<AveragedWeights>,
    /// Decay of the moving average.
    ema: f64,
    exchange: Rc<dyn Exchange>,
    /// Whether batch norm has the statistics of all processes, so that the running statistics are equal.
    synchronised: bool,
    /// The images of the batches since the last step: those that this process counts, and those of all processes.
    images: (f64, f64),
}

impl NetworkLearner {
    /// Creates an optimiser for the network. All processes of `exchange` train it together.
    pub(crate) fn new(
        mut network: Network,
        config: &Config,
        exchange: Rc<dyn Exchange>,
    ) -> Result<NetworkLearner, Error> {
        let Config { ema, clip_norm, weight_decay, sync_batch_norm, .. } = *config;
        let synchronised = sync_batch_norm && exchange.world() > 1;
        if synchronised {
            network.synchronise_batch_norm(Rc::clone(&exchange))?;
        }
        let adam = Adam::new(AdamConfig { weight_decay, ..AdamConfig::default() }, &network)?;
        let average = (ema > 0.0).then(|| AveragedWeights::new(&network, ema)).transpose()?;
        Ok(NetworkLearner {
            network,
            adam,
            label_smoothing: config.label_smoothing as f32,
            clip_norm,
            sum: (config.accumulate > 1).then(GradientSum::default),
            average,
            ema,
            exchange,
            synchronised,
            images: (0.0, 0.0),
        })
    }

    /// Replaces the gradients and the running statistics by the means over all processes.
    fn average_over_processes(&mut self) -> Result<(), Error> {
        let (counted, of_all) = std::mem::take(&mut self.images);
        if self.exchange.world() == 1 {
            return Ok(());
        }
        let share = counted / of_all;
        average_gradients(&mut self.network, share, &*self.exchange)?;
        if !self.synchronised {
            average_statistics(&mut self.network, share, &*self.exchange)?;
        }
        Ok(())
    }
}

/// Returns the smoothed target distributions of images times their weights, `[n, 2]`. Without weights, all are 1.
fn soft_targets(labels: &[u8], weights: &[f32], smoothing: f32) -> Vec<f32> {
    let classes = Label::ALL.len();
    let share = smoothing / classes as f32;
    let mut targets = vec![share; labels.len() * classes];
    for (i, row) in targets.chunks_exact_mut(classes).enumerate() {
        row[usize::from(labels[i])] += 1.0 - smoothing;
        let weight = weights.get(i).copied().unwrap_or(1.0);
        row.iter_mut().for_each(|target| *target *= weight);
    }
    targets
}

impl Learner for NetworkLearner {
    fn start_batch(&mut self, batch: &Batch, learning_rate: Option<f64>) -> Result<(), Error> {
        if self.label_smoothing == 0.0 && batch.weights().is_empty() {
            self.network.start_step(&batch.pixels(), batch.labels())?;
        } else {
            let targets = soft_targets(batch.labels(), batch.weights(), self.label_smoothing);
            self.network.start_soft_step(&batch.pixels(), &targets)?;
        }
        let of_all = batch.images_of_all() as f64;
        let counted = batch.share(self.exchange.world()) * of_all;
        self.images.0 += counted;
        self.images.1 += of_all;
        if let Some(sum) = &mut self.sum {
            sum.add(&mut self.network, counted)?;
        }
        let Some(learning_rate) = learning_rate else { return Ok(()) };
        if let Some(sum) = &mut self.sum {
            sum.take_mean(&mut self.network)?;
        }
        self.average_over_processes()?;
        if self.clip_norm > 0.0 {
            clip_gradients(&mut self.network, self.clip_norm)?;
        }
        self.adam.config.lr = learning_rate;
        self.adam.step(&mut self.network)?;
        if let Some(average) = &mut self.average {
            average.update(&self.network)?;
        }
        Ok(())
    }

    fn finished_batches(&mut self) -> Result<Vec<StepOutput>, Error> {
        Ok(self.network.finished_steps()?)
    }

    fn start_validation(&mut self) -> Result<(), Error> {
        match &mut self.average {
            Some(average) => Ok(average.swap(&mut self.network)?),
            None => Ok(()),
        }
    }

    fn finish_validation(&mut self) -> Result<(), Error> {
        self.start_validation()
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
        match &self.average {
            Some(average) => Ok(average.save(path, &format)?),
            None => Ok(self.network.save(path, &format)?),
        }
    }

    fn optimiser_state(&self) -> Result<BTreeMap<String, Tensor>, Error> {
        let mut state = self.adam.state()?;
        if self.average.is_some() {
            state.extend(AveragedWeights::own_weights(&self.network)?);
        }
        Ok(state)
    }

    fn checkpoint_bytes(&self) -> Result<u64, Error> {
        let statistics = self.network.statistics()?;
        // The file of the weights also has a batch counter for each pair of statistics, with a longer name.
        let counters = 2 * tensor_bytes(&statistics);
        Ok(tensor_bytes(&self.weights()?) + counters + tensor_bytes(&self.optimiser_state()?))
    }

    fn restore(&mut self, checkpoint: &Checkpoint, state: &BTreeMap<String, Tensor>) -> Result<(), Error> {
        let path = checkpoint.training_state();
        let weights = checkpoint.weights();
        let report = self.network.load(&weights, &[]).map_err(|error| damage_or_failure(&weights, error))?;
        if report.head_replaced {
            let detail = "its weights have no head for this network".to_owned();
            return Err(Error::DamagedCheckpoint { path, detail });
        }
        let adam = Adam::from_state(self.adam.config, &self.network, state);
        self.adam = adam.map_err(|error| damage_or_failure(&path, error))?;
        if self.average.is_some() {
            let steps = u64::from(self.adam.steps());
            let average = AveragedWeights::restore(&mut self.network, self.ema, steps, state);
            self.average = Some(average.map_err(|error| damage_or_failure(&path, error))?);
        }
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
        Model::Weights(
            Weights::SafeTensors { .. } | Weights::Mismatch { .. } | Weights::NotFinite { .. } | Weights::Type { .. },
        )
        | Model::OptimiserState(_)
        // candle converts only data from the file here, in host memory.
        | Model::Candle(_) => true,
        Model::Weights(Weights::Read { source, .. }) => source.kind() == ErrorKind::NotFound,
        _ => false,
    };
    if damaged { Error::DamagedCheckpoint { path: path.to_owned(), detail: chain(&error) } } else { error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_smoothed_and_weighted() {
        assert_eq!(soft_targets(&[0, 1], &[], 0.0), [1.0, 0.0, 0.0, 1.0]);
        let targets = soft_targets(&[1, 0], &[2.0, 0.5], 0.1);
        for (found, expected) in targets.iter().zip([0.1, 1.9, 0.475, 0.025]) {
            assert!((found - expected).abs() < 1e-6, "{targets:?}");
        }
    }
}
