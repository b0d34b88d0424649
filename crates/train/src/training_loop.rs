//! The training loop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use artifacts::hash::Digest;
use artifacts::progress::Progress;
use artifacts::schema::Epoch;
use exchange::Exchange;
use model::StepOutput;

use crate::checkpoint::{Best, EpochTotals, TrainingPosition, TrainingState};
use crate::config::Config;
use crate::epoch_batches::EpochBatches;
use crate::error::Error;
use crate::history;
use crate::images::Images;
use crate::loader::Loader;
use crate::pending_batches::{LaunchedBatch, PendingBatches};
use crate::records::Records;
use crate::validation::{self, ValidationMetrics};

/// Training steps between two points of the loss curve in TensorBoard. A point is the loss of the last batch of a step.
const STEPS_PER_EVENT: u64 = 10;

/// Everything that stays the same while one run is trained.
pub(crate) struct TrainingLoop<'a> {
    /// Batch size, learning rate, epochs, augmentation.
    pub(crate) config: &'a Config,
    /// Seed of the shuffles and the augmentation.
    pub(crate) seed: u64,
    /// The training images.
    pub(crate) train: &'a Arc<Images>,
    /// The validation images, which choose the best epoch.
    pub(crate) val: &'a Arc<Images>,
    /// The processes that train together. All call the methods of this type at the same time.
    pub(crate) exchange: &'a dyn Exchange,
    /// The run's name in messages: `run-0` …
    pub(crate) name: &'a str,
    /// Called with the number of each step. If it returns `true`, the training saves its state and ends.
    pub(crate) stop: &'a dyn Fn(u64) -> bool,
}

/// How [`TrainingLoop::run_epochs`] ended.
#[derive(Debug)]
pub(crate) enum TrainingEnd {
    /// All epochs are done, or the training stopped early. Holds the metrics of the epochs.
    Finished(Vec<Epoch>),
    /// [`TrainingLoop::stop`] returned `true`. The state is saved in `last`.
    Interrupted,
}

impl TrainingLoop<'_> {
    /// Trains from the position in `training`, which may be in the middle of an epoch, to the end of the last epoch.
    pub(crate) fn run_epochs(
        &self,
        training: &mut TrainingState,
        records: &mut Records<'_>,
    ) -> Result<TrainingEnd, Error> {
        let Config { epochs, batch: batch_size, augment, accumulate, .. } = *self.config;
        let (rank, world) = (self.exchange.rank(), self.exchange.world());
        self.check_equal_weights(training)?;
        let progress = self.start_progress(&training.position);
        let mut last_saved = Instant::now();

        for epoch in training.position.epoch..=epochs {
            if self.stops_early(&training.position) {
                break;
            }
            // Train on the whole training split, shuffled.
            let mut started = Instant::now();
            let batches = EpochBatches::shuffled(self.train, batch_size, &augment, self.seed, epoch);
            let mut loader = Loader::start(batches.slices(rank, world), training.position.batches);
            let batches_per_epoch = loader.batches_per_epoch();
            let steps_per_epoch = batches_per_epoch.div_ceil(accumulate) as u64;
            let mut pending = PendingBatches::new();
            while let Some(batch) = loader.next_batch() {
                let batch = batch?; // pixels u8 [n, height, width, 3] or features f32 [n, width], labels u8 [n]

                // Forward and backward pass: logits f32 [n, 2], mean cross-entropy, gradients. Update the weights after
                // the last batch of a step.
                let learning_rate = self.config.learning_rate_at(training.position.step, steps_per_epoch);
                training.position.batches += 1;
                let batches = training.position.batches;
                let ends_step = batches.is_multiple_of(accumulate) || batches == batches_per_epoch;
                training.learner.start_batch(&batch, ends_step.then_some(learning_rate))?;

                let step = training.position.step + 1;
                pending.push(LaunchedBatch {
                    step,
                    ends_step,
                    labels: batch.labels().to_vec(),
                    images_of_all: batch.images_of_all(),
                    share: batch.share(world),
                });
                progress.add(batch.images_of_all() as u64);
                loader.recycle(batch);
                if !ends_step {
                    // A checkpoint has no gradients, so that a step is not interrupted.
                    continue;
                }
                training.position.step = step;

                // Every process can be interrupted. The clock of the first one decides about the rest.
                let (is_due, should_read) = (self.save_is_due(last_saved), pending.should_read());
                let first = self.exchange.is_first();
                let mut flags = [(self.stop)(training.position.step), first && is_due, first && should_read];
                self.exchange.agree(&mut flags);
                let [stop, is_due, should_read] = flags;
                let save = stop || is_due;
                if save || should_read {
                    self.read_results(training, &mut pending, records, &progress)?;
                }
                if save {
                    training.position.sums.seconds += started.elapsed().as_secs_f64();
                    started = Instant::now();
                    self.check_weights(training, records)?;
                    records.save_within_epoch(training)?;
                    last_saved = Instant::now();
                }
                if stop {
                    return Ok(TrainingEnd::Interrupted);
                }
            }
            self.read_results(training, &mut pending, records, &progress)?;
            training.position.sums.seconds += started.elapsed().as_secs_f64();

            // Compute the metrics of the validation split.
            let started = Instant::now();
            let step = training.position.step;
            let after_batch = |images: usize| {
                progress.add(images as u64);
                !(self.stop)(step)
            };
            let learner = training.learner.as_mut();
            let metrics = validation::compute_metrics(learner, self.val, batch_size, self.exchange, after_batch)?;
            self.check_weights(training, records)?;
            let Some(metrics) = metrics else {
                records.save_within_epoch(training)?;
                return Ok(TrainingEnd::Interrupted);
            };
            self.check_finite(metrics.loss, "validation loss", &training.position, records)?;
            self.check_equal_weights(training)?;

            // Report the epoch, and save it as `last` and, if it is the best so far, as `best`.
            let row = self.summarise_epoch(training, &metrics, started.elapsed(), steps_per_epoch);
            progress.println(&format!(
                "train: {} {}",
                self.name,
                history::describe(&row, epochs, self.config.select())
            ));
            records.save_epoch(training, row)?;
            last_saved = Instant::now();
        }
        progress.clear();
        if self.stops_early(&training.position) {
            let Config { early_stop, .. } = self.config;
            artifacts::progress::line(&format!(
                "train: {} stops after epoch {}, because the {} has not improved in {early_stop} epochs (train.early_stop)",
                self.name,
                training.position.complete_epochs(),
                self.config.select().describe(),
            ));
        }
        Ok(TrainingEnd::Finished(records.rows().to_vec()))
    }

    /// Whether the last epochs, as many as `train.early_stop`, were not better than those before.
    fn stops_early(&self, position: &TrainingPosition) -> bool {
        let patience = self.config.early_stop;
        let best = position.best.map_or(0, |best| best.epoch);
        patience > 0 && position.complete_epochs().saturating_sub(best) >= patience
    }

    /// Waits for the pending batches, and adds their losses and correct classifications, of all processes, to the totals of
    /// the epoch.
    fn read_results(
        &self,
        training: &mut TrainingState,
        pending: &mut PendingBatches,
        records: &mut Records<'_>,
        progress: &Progress,
    ) -> Result<(), Error> {
        let TrainingState { learner, position } = training;
        let results = pending.read(learner.as_mut())?; // for each batch: logits f32 [n, 2], labels u8 [n]
        let of_batch = |(output, batch): &(StepOutput, LaunchedBatch)| {
            let correct = validation::count_correct(&output.logits, &batch.labels) as f64;
            let weight = batch.share * batch.images_of_all as f64 / batch.labels.len() as f64;
            [f64::from(output.loss) * batch.share, correct * weight]
        };
        let mut sums: Vec<f64> = results.iter().flat_map(of_batch).collect();
        self.exchange.sum(&mut sums);
        for ((_, LaunchedBatch { step, ends_step, images_of_all, .. }), sums) in results.iter().zip(sums.chunks(2)) {
            let (step, loss) = (*step, sums[0]);
            self.check_finite_at(loss, "training loss", (step, position.epoch), records)?;
            position.sums.loss += loss * *images_of_all as f64;
            position.sums.correct += sums[1].round() as u64;
            position.sums.images += *images_of_all as u64;
            if *ends_step && step.is_multiple_of(STEPS_PER_EVENT) {
                records.add_loss(step, loss)?;
            }
            progress.message(format!("epoch {}/{}, loss {loss:.4}", position.epoch, self.config.epochs));
        }
        Ok(())
    }

    /// Fails if a weight is not finite.
    fn check_weights(&self, training: &TrainingState, records: &Records<'_>) -> Result<(), Error> {
        for weight in training.learner.weights()?.values() {
            // The sum is infinite or NaN if any element is.
            let sum = weight.sum_all().and_then(|sum| sum.to_scalar::<f32>()).map_err(model::Error::from)?;
            self.check_finite(f64::from(sum), "sum of a layer's weights", &training.position, records)?;
        }
        Ok(())
    }

    /// Fails if the processes have different weights, as after a fault of a machine.
    fn check_equal_weights(&self, training: &TrainingState) -> Result<(), Error> {
        if self.exchange.world() == 1 {
            return Ok(());
        }
        let mut digest = Digest::default();
        for (name, weight) in training.learner.weights()? {
            let values = weight.flatten_all().and_then(|weight| weight.to_vec1::<f32>()).map_err(model::Error::from)?;
            digest = digest.part(&name, bytemuck::cast_slice(&values));
        }
        let equal = self.exchange.is_equal(digest.finish().as_bytes());
        if equal { Ok(()) } else { Err(Error::DifferentWeights { epoch: training.position.epoch }) }
    }

    fn save_is_due(&self, last_saved: Instant) -> bool {
        let interval = Duration::from_secs(self.config.save_minutes.saturating_mul(60));
        !interval.is_zero() && last_saved.elapsed() >= interval
    }

    fn check_finite(
        &self,
        value: f64,
        what: &'static str,
        position: &TrainingPosition,
        records: &Records<'_>,
    ) -> Result<(), Error> {
        self.check_finite_at(value, what, (position.step, position.epoch), records)
    }

    /// Fails if `value` is infinite or NaN. The error names the newest checkpoint, if there is one.
    fn check_finite_at(
        &self,
        value: f64,
        what: &'static str,
        (step, epoch): (u64, usize),
        records: &Records<'_>,
    ) -> Result<(), Error> {
        if value.is_finite() {
            return Ok(());
        }
        Err(Error::NotFinite { what, value, step, epoch, last_good: records.last_checkpoint()? })
    }

    /// Starts the progress report over all remaining images, of both splits and all epochs.
    fn start_progress(&self, position: &TrainingPosition) -> Progress {
        let epochs = self.config.epochs - position.complete_epochs();
        let images =
            ((epochs * (self.train.len() + self.val.validation_len())) as u64).saturating_sub(position.sums.images);
        Progress::new(format!("train: {}", self.name), "images", Some(images))
    }

    /// Returns the row of `metrics.jsonl` for the epoch that was just validated.
    fn summarise_epoch(
        &self,
        training: &TrainingState,
        metrics: &ValidationMetrics,
        validation_time: Duration,
        steps_per_epoch: u64,
    ) -> Epoch {
        let TrainingPosition { epoch, step, ref sums, ref best, .. } = training.position;
        let EpochTotals { loss, correct, images, seconds } = *sums;
        let ValidationMetrics { loss: val_loss, accuracy: val_accuracy, roc_auc: val_roc_auc } = *metrics;
        let candidate = Best { epoch, accuracy: val_accuracy, loss: val_loss, roc_auc: val_roc_auc };
        Epoch {
            epoch,
            step,
            learning_rate: self.config.learning_rate_at(step.saturating_sub(1), steps_per_epoch),
            train_loss: loss / images as f64,
            train_accuracy: correct as f64 / images as f64,
            val_loss,
            val_accuracy,
            val_roc_auc,
            best: candidate.beats(best.as_ref(), self.config.select()),
            train_seconds: seconds,
            val_seconds: validation_time.as_secs_f64(),
            images_per_second: images as f64 / seconds.max(1e-9),
        }
    }
}
