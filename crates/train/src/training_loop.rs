//! The training loop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use artifacts::Checkpoint;
use artifacts::atomic::{self, DirWriter};
use artifacts::progress::Progress;
use artifacts::schema::Epoch;

use crate::checkpoint::{self, Best, Description, EpochTotals, TrainingPosition, TrainingState};
use crate::config::Config;
use crate::epoch_batches::EpochBatches;
use crate::error::Error;
use crate::folder::RunFolder;
use crate::history::{self, History};
use crate::images::Images;
use crate::loader::Loader;
use crate::pending_batches::{LaunchedBatch, PendingBatches};
use crate::tensorboard::EventFile;
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
    /// The folder that checkpoints and metrics are written to.
    pub(crate) folder: &'a RunFolder,
    /// Content of the checkpoints' `config.json` and `preprocessor_config.json`.
    pub(crate) description: &'a Description,
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
    pub(crate) fn run_epochs(&self, training: &mut TrainingState) -> Result<TrainingEnd, Error> {
        let Config { epochs, batch: batch_size, augment, accumulate, .. } = *self.config;
        let mut history = History::open(self.folder.path(), training.position.complete_epochs())?;
        let mut events = EventFile::open(self.folder.path(), training.position.events_len)?;
        let progress = self.start_progress(&training.position);
        let mut last_saved = Instant::now();

        for epoch in training.position.epoch..=epochs {
            if self.stops_early(&training.position) {
                break;
            }
            // Train on the whole training split, shuffled.
            let mut started = Instant::now();
            let batches = EpochBatches::shuffled(self.train, batch_size, &augment, self.seed, epoch);
            let mut loader = Loader::start(batches, training.position.batches);
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
                pending.push(LaunchedBatch { step, ends_step, labels: batch.labels().to_vec() });
                progress.add(batch.len() as u64);
                loader.recycle(batch);
                if !ends_step {
                    // A checkpoint has no gradients, so that a step is not interrupted.
                    continue;
                }
                training.position.step = step;

                let stop = (self.stop)(training.position.step);
                let save = stop || self.save_is_due(last_saved);
                if save || pending.should_read() {
                    self.read_results(training, &mut pending, &mut events, &progress)?;
                }
                if save {
                    training.position.sums.seconds += started.elapsed().as_secs_f64();
                    started = Instant::now();
                    self.save_within_epoch(training, &mut events)?;
                    last_saved = Instant::now();
                }
                if stop {
                    return Ok(TrainingEnd::Interrupted);
                }
            }
            self.read_results(training, &mut pending, &mut events, &progress)?;
            training.position.sums.seconds += started.elapsed().as_secs_f64();

            // Compute the metrics of the validation split.
            let started = Instant::now();
            let step = training.position.step;
            let after_batch = |images: usize| {
                progress.add(images as u64);
                !(self.stop)(step)
            };
            let learner = training.learner.as_mut();
            let Some(metrics) = validation::compute_metrics(learner, self.val, batch_size, after_batch)? else {
                self.save_within_epoch(training, &mut events)?;
                return Ok(TrainingEnd::Interrupted);
            };
            self.check_finite(metrics.loss, "validation loss", &training.position)?;

            // Report the epoch, and save it as `last` and, if it is the best so far, as `best`.
            let row = self.summarise_epoch(training, &metrics, started.elapsed(), steps_per_epoch);
            progress.println(&format!(
                "train: {} {}",
                self.name,
                history::describe(&row, epochs, self.config.select())
            ));
            events.add_epoch(&row)?;
            self.save_epoch(training, row, &mut history, &mut events)?;
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
        Ok(TrainingEnd::Finished(history.rows().to_vec()))
    }

    /// Whether the last epochs, as many as `train.early_stop`, were not better than those before.
    fn stops_early(&self, position: &TrainingPosition) -> bool {
        let patience = self.config.early_stop;
        let best = position.best.map_or(0, |best| best.epoch);
        patience > 0 && position.complete_epochs().saturating_sub(best) >= patience
    }

    /// Waits for the pending batches, and adds their losses and correct classifications to the totals of the epoch.
    fn read_results(
        &self,
        training: &mut TrainingState,
        pending: &mut PendingBatches,
        events: &mut EventFile,
        progress: &Progress,
    ) -> Result<(), Error> {
        let TrainingState { learner, position } = training;
        let results = pending.read(learner.as_mut())?; // for each batch: logits f32 [n, 2], labels u8 [n]
        for (output, LaunchedBatch { step, ends_step, labels }) in results {
            let loss = f64::from(output.loss);
            self.check_finite_at(loss, "training loss", step, position.epoch)?;
            position.sums.loss += loss * labels.len() as f64;
            position.sums.correct += validation::count_correct(&output.logits, &labels);
            position.sums.images += labels.len() as u64;
            if ends_step && step.is_multiple_of(STEPS_PER_EVENT) {
                events.add_scalar("train/loss", step, loss)?;
            }
            progress.message(format!("epoch {}/{}, loss {loss:.4}", position.epoch, self.config.epochs));
        }
        Ok(())
    }

    /// Moves the position to the start of the next epoch, and saves `last` and, if the epoch is the best so far,
    /// `best`.
    ///
    /// `last` is published after `best` and the history. A training that is killed before that resumes from the
    /// previous `last` and writes the same files again.
    fn save_epoch(
        &self,
        training: &mut TrainingState,
        row: Epoch,
        history: &mut History,
        events: &mut EventFile,
    ) -> Result<(), Error> {
        let position = &mut training.position;
        if row.best {
            let Epoch { epoch, val_accuracy: accuracy, val_loss: loss, val_roc_auc: roc_auc, .. } = row;
            position.best = Some(Best { epoch, accuracy, loss, roc_auc });
        }
        position.epoch += 1;
        position.batches = 0;
        position.sums = EpochTotals::default();
        position.events_len = events.sync()?;
        let last = self.write_last(training)?;
        if row.best {
            checkpoint::publish_as_best(self.folder.path(), &last)?;
        }
        history.append(row)?;
        Ok(last.publish()?)
    }

    /// Saves `last` in the middle of an epoch.
    fn save_within_epoch(&self, training: &mut TrainingState, events: &mut EventFile) -> Result<(), Error> {
        training.position.events_len = events.sync()?;
        Ok(self.write_last(training)?.publish()?)
    }

    /// Writes `last` under a temporary name. Fails if a weight is not finite.
    fn write_last(&self, training: &TrainingState) -> Result<DirWriter, Error> {
        for weight in training.learner.weights()?.values() {
            // The sum is infinite or NaN if any element is.
            let sum = weight.sum_all().and_then(|sum| sum.to_scalar::<f32>()).map_err(model::Error::from)?;
            self.check_finite(f64::from(sum), "sum of a layer's weights", &training.position)?;
        }
        self.description.write_last(self.folder.path(), training)
    }

    fn save_is_due(&self, last_saved: Instant) -> bool {
        let interval = Duration::from_secs(self.config.save_minutes.saturating_mul(60));
        !interval.is_zero() && last_saved.elapsed() >= interval
    }

    fn check_finite(&self, value: f64, what: &'static str, position: &TrainingPosition) -> Result<(), Error> {
        self.check_finite_at(value, what, position.step, position.epoch)
    }

    /// Fails if `value` is infinite or NaN. The error names the newest checkpoint, if there is one.
    fn check_finite_at(&self, value: f64, what: &'static str, step: u64, epoch: usize) -> Result<(), Error> {
        if value.is_finite() {
            return Ok(());
        }
        let last = Checkpoint::last(self.folder.path());
        atomic::recover(last.path())?;
        let last_good = last.path().exists().then(|| last.path().to_owned());
        Err(Error::NotFinite { what, value, step, epoch, last_good })
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
