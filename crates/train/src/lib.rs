//! The training stage: reads shards, writes checkpoints.
//!
//! `training_loop` is the loop over epochs and steps; read it first. It uses these modules, in the order of the data
//! flow:
//!
//! - `config`: the sections `[train]` and `[model]` of a pipeline file. The learning rate is set there, in
//!   [`Config::learning_rate`].
//! - `blueprint`: the detector to train, the baseline or branches. `learner`: its model with the optimiser, as the loop
//!   uses them. `images`: the pixels or features of a split.
//! - `epoch_batches`: shuffles the training split and cuts it into batches. `augment`: random changes to images.
//! - `balance`: weights and sampling for unequal numbers of images.
//! - `loader`: assembles batches in background threads while the network computes.
//! - `pending_batches`: training batches whose loss has not been read back from the device.
//! - `validation`: loss, accuracy and ROC-AUC on the validation split after each epoch.
//! - `held_out`: predictions of a detector of branches for generators that it was not trained on.
//! - `checkpoint`: the folders `best` and `last`, written and restored.
//! - `records`: what a training writes. `history`: `metrics.jsonl`. `tensorboard`: the events file.
//!
//! These modules surround the loop:
//!
//! - `processes`: several processes that train together. Each runs the loop on its slice of every batch. `orders`: what
//!   the first of them tells the others.
//! - [`cli`]: the command line. `stage`: finds the runs that are not up to date, and trains each of them.
//! - `folder`: the folder of a run. It keeps a complete run in place until its successor is complete.
//! - `disk_space`: checks before a training that its checkpoints fit on the disk.
//! - `backup`: renames replaced runs. `replacement`: warns about these replacements before the stage starts.
//! - `recorded`: compares the configuration in a manifest with the current one.
//! - `identity`: decides which checkpoints a training can resume from.
//! - `interrupt`: handles SIGINT and SIGTERM.
//! - `throughput`: measures images per second before a long training starts (`candling-train --rate`).
//!
//! # Resuming
//! The checkpoint `last` holds the weights, the running statistics, Adam's moments, the moving average of the weights if
//! it is on, and the position in the epoch. A step of several batches is never interrupted.
//! Shuffles and augmentation are derived from the seed and that position. Nothing else influences a step. On the CPU, a
//! training that was interrupted and resumed therefore ends with the same bits as an uninterrupted one.

mod augment;
mod backup;
mod balance;
mod blueprint;
mod checkpoint;
pub mod cli;
mod config;
mod disk_space;
mod epoch_batches;
mod error;
mod folder;
mod held_out;
mod history;
mod identity;
mod images;
mod input_source;
mod interrupt;
mod item;
mod learner;
mod loader;
mod orders;
mod pending_batches;
mod processes;
mod recorded;
mod records;
mod replacement;
mod stage;
mod tensorboard;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod throughput;
mod training_loop;
mod validation;

pub use balance::{Balance, BalanceBy, ClassBalance};
pub use checkpoint::check_training_state;
pub use config::{Augment, Blur, Colour, Config, Criterion, Crop, Cutout, Jpeg, Noise, Rotate, Schedule, Webp};
pub use epoch_batches::EpochBatches;
pub use error::Error;
pub use images::Images;
pub use loader::{Batch, Loader};
pub use stage::Train;
pub use throughput::measure_throughput;
