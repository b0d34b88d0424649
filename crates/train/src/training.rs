//! The training loop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use artifacts::Checkpoint;
use artifacts::atomic::{self, DirWriter};
use artifacts::progress::Progress;
use artifacts::schema::Epoch;
use artifacts::shard::Shards;

use crate::augment::Augmenter;
use crate::checkpoint::{self, Best, Description, Sums, Training};
use crate::config::Config;
use crate::error::Error;
use crate::events::Events;
use crate::folder::RunFolder;
use crate::history::History;
use crate::loader::{Loader, Plan};
use crate::order;
use crate::unread::Unread;
use crate::validation::{self, Validation};

/// Steps between two points of the loss curve in TensorBoard.
const STEPS_PER_EVENT: u64 = 10;

/// One run: what is trained, on what, and where it is saved.
pub(crate) struct Run<'a> {
    /// The recipe.
    pub(crate) config: &'a Config,
    /// What shuffles and augmentation are derived from.
    pub(crate) seed: u64,
    /// Images that are learnt from.
    pub(crate) train: &'a Arc<Shards>,
    /// Images that choose the best epoch.
    pub(crate) val: &'a Arc<Shards>,
    /// Where it is saved.
    pub(crate) folder: &'a RunFolder,
    /// What checkpoints say of themselves.
    pub(crate) description: &'a Description,
    /// The run's name, for people.
    pub(crate) name: &'a str,
    /// Whether to save and end after the step of this number.
    pub(crate) stop: &'a dyn Fn(u64) -> bool,
}

/// How a training ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All epochs are done.
    Complete(Vec<Epoch>),
    /// It was told to stop, and `last` holds where it stands.
    Interrupted,
}

impl Run<'_> {
    /// Trains from where `training` stands to the last epoch.
    pub(crate) fn train(&self, training: &mut Training) -> Result<Outcome, Error> {
        let Config { epochs, batch: batch_size, .. } = *self.config;
        let mut history = History::open(self.folder.path(), training.position.complete_epochs())?;
        let mut events = Events::open(self.folder.path(), training.position.events_len)?;
        let mut saved = Instant::now();
        let progress = self.progress(training);

        for epoch in training.position.epoch..=epochs {
            let mut started = Instant::now();
            let mut loader = Loader::start(self.plan(epoch), training.position.batches);
            let mut unread = Unread::none();
            while let Some(batch) = loader.next_batch() {
                let batch = batch?; // pixels u8 [n, height, width, 3], labels u8 [n]
                training.network.start_step(&batch.pixels(), batch.labels())?;
                training.adam.step(&mut training.network)?;
                unread.push(batch.labels());
                training.position.step += 1;
                training.position.batches += 1;
                progress.add(batch.len() as u64);
                loader.recycle(batch);

                let step = training.position.step;
                let stop = (self.stop)(step);
                let save = stop || self.save_is_due(saved);
                if save || unread.is_due() {
                    self.read(training, &mut unread, &mut events, &progress)?;
                }
                if save {
                    training.position.sums.seconds += started.elapsed().as_secs_f64();
                    started = Instant::now();
                    self.save_last(training, &mut events)?;
                    saved = Instant::now();
                }
                if stop {
                    return Ok(Outcome::Interrupted);
                }
            }
            self.read(training, &mut unread, &mut events, &progress)?;
            training.position.sums.seconds += started.elapsed().as_secs_f64();

            let started = Instant::now();
            let step = training.position.step;
            let go_on = |images: usize| {
                progress.add(images as u64);
                !(self.stop)(step)
            };
            let Some(validation) = validation::validate(&mut training.network, self.val, batch_size, go_on)? else {
                self.save_last(training, &mut events)?;
                return Ok(Outcome::Interrupted);
            };
            self.check(validation.loss, "validation loss", step, epoch)?;

            let row = self.row(training, &validation, started.elapsed());
            progress.say(&self.sentence(&row));
            record(&mut events, &row)?;
            self.save_epoch(training, row, &mut history, &mut events)?;
            saved = Instant::now();
        }
        progress.clear();
        Ok(Outcome::Complete(history.rows().to_vec()))
    }

    /// Looks at what the steps since the last reading gave, and adds it to the epoch's sums.
    fn read(
        &self,
        training: &mut Training,
        unread: &mut Unread,
        events: &mut Events,
        progress: &Progress,
    ) -> Result<(), Error> {
        let Training { network, position, .. } = training;
        let results = unread.read(network)?; // logits f32 [n, 2] and labels u8 [n] of each step
        let first = position.step + 1 - results.len() as u64;
        for (step, (output, labels)) in (first..).zip(results) {
            let loss = f64::from(output.loss);
            self.check(loss, "training loss", step, position.epoch)?;
            position.sums.loss += loss * labels.len() as f64;
            position.sums.correct += validation::count_correct(&output.logits, &labels);
            position.sums.images += labels.len() as u64;
            if step.is_multiple_of(STEPS_PER_EVENT) {
                events.scalar("train/loss", step, loss)?;
            }
            progress.message(format!("epoch {}/{}, loss {loss:.4}", position.epoch, self.config.epochs));
        }
        Ok(())
    }

    /// The batches of an epoch.
    fn plan(&self, epoch: usize) -> Plan {
        Plan {
            shards: Arc::clone(self.train),
            order: order::shuffled(self.seed, epoch, self.train.len()),
            batches: order::batches(self.train.len(), self.config.batch),
            augmenter: Augmenter::new(&self.config.augment, self.seed, epoch),
        }
    }

    /// What one epoch gave.
    fn row(&self, training: &Training, validation: &Validation, took: Duration) -> Epoch {
        let Sums { loss, correct, images, seconds } = training.position.sums;
        let epoch = training.position.epoch;
        let candidate = Best { epoch, accuracy: validation.accuracy, loss: validation.loss };
        Epoch {
            epoch,
            step: training.position.step,
            learning_rate: training.adam.config.lr,
            train_loss: loss / images as f64,
            train_accuracy: correct as f64 / images as f64,
            val_loss: validation.loss,
            val_accuracy: validation.accuracy,
            val_roc_auc: validation.roc_auc,
            best: candidate.beats(training.position.best.as_ref()),
            train_seconds: seconds,
            val_seconds: took.as_secs_f64(),
            images_per_second: images as f64 / seconds.max(1e-9),
        }
    }

    /// Saves the end of an epoch. `last` is published after all that belongs to it: a training that is killed in between
    /// goes on from the `last` before, and makes the same again.
    fn save_epoch(
        &self,
        training: &mut Training,
        row: Epoch,
        history: &mut History,
        events: &mut Events,
    ) -> Result<(), Error> {
        let position = &mut training.position;
        if row.best {
            position.best = Some(Best { epoch: row.epoch, accuracy: row.val_accuracy, loss: row.val_loss });
        }
        position.epoch += 1;
        position.batches = 0;
        position.sums = Sums::default();
        position.events_len = events.sync()?;
        let last = self.write_last(training)?;
        if row.best {
            checkpoint::publish_as_best(self.folder.path(), &last)?;
        }
        history.push(row)?;
        Ok(last.publish()?)
    }

    /// Saves the middle of an epoch.
    fn save_last(&self, training: &mut Training, events: &mut Events) -> Result<(), Error> {
        training.position.events_len = events.sync()?;
        Ok(self.write_last(training)?.publish()?)
    }

    /// Fills `last`, unless the weights are not worth going on from.
    fn write_last(&self, training: &Training) -> Result<DirWriter, Error> {
        for weight in training.network.parameters()?.values() {
            // Any infinite or undefined element makes the sum so.
            let sum = weight.sum_all().and_then(|sum| sum.to_scalar::<f32>()).map_err(model::Error::from)?;
            self.check(f64::from(sum), "sum of a layer's weights", training.position.step, training.position.epoch)?;
        }
        self.description.write_last(self.folder.path(), training)
    }

    fn save_is_due(&self, saved: Instant) -> bool {
        let interval = Duration::from_secs(self.config.save_minutes.saturating_mul(60));
        !interval.is_zero() && saved.elapsed() >= interval
    }

    /// Ends the training where numbers have become infinite or undefined, before they are saved.
    fn check(&self, value: f64, what: &'static str, step: u64, epoch: usize) -> Result<(), Error> {
        if value.is_finite() {
            return Ok(());
        }
        let last = Checkpoint::last(self.folder.path());
        atomic::recover(last.path())?;
        let last_good = last.path().exists().then(|| last.path().to_owned());
        Err(Error::NotFinite { what, value, step, epoch, last_good })
    }

    /// Counts images that go through the network, those of validation included.
    fn progress(&self, training: &Training) -> Progress {
        let position = &training.position;
        let epochs = self.config.epochs - position.complete_epochs();
        let images = (epochs * (self.train.len() + self.val.len())) as u64 - position.sums.images;
        Progress::new(format!("train: {}", self.name), "images", Some(images))
    }

    /// One epoch in a line.
    fn sentence(&self, row: &Epoch) -> String {
        let roc_auc = row.val_roc_auc.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.4}"));
        format!(
            "train: {} epoch {}/{}: loss {:.4}, accuracy {:.4}; validation loss {:.4}, accuracy {:.4}, ROC-AUC {roc_auc}{}; \
             {:.1} images/s",
            self.name,
            row.epoch,
            self.config.epochs,
            row.train_loss,
            row.train_accuracy,
            row.val_loss,
            row.val_accuracy,
            if row.best { " (best so far)" } else { "" },
            row.images_per_second
        )
    }
}

/// The scalars of one epoch for TensorBoard.
fn record(events: &mut Events, row: &Epoch) -> Result<(), Error> {
    let scalars = [
        ("epoch/train_loss", Some(row.train_loss)),
        ("epoch/train_accuracy", Some(row.train_accuracy)),
        ("epoch/val_loss", Some(row.val_loss)),
        ("epoch/val_accuracy", Some(row.val_accuracy)),
        ("epoch/val_roc_auc", row.val_roc_auc),
        ("epoch/learning_rate", Some(row.learning_rate)),
        ("epoch/images_per_second", Some(row.images_per_second)),
    ];
    for (tag, value) in scalars {
        if let Some(value) = value {
            events.scalar(tag, row.step, value)?;
        }
    }
    Ok(())
}
