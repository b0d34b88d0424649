//! `metrics.jsonl`, the history of a training run, and the output of `candling-train --rate`.

use serde::{Deserialize, Serialize};

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Optimiser steps since the start.
    pub step: u64,
    /// Learning rate of the last step of the epoch.
    pub learning_rate: f64,
    /// Mean cross-entropy over the training images of the epoch, in nats.
    pub train_loss: f64,
    /// Share of training images classified correctly in the forward passes of training.
    pub train_accuracy: f64,
    /// Mean cross-entropy over the validation split, in nats.
    pub val_loss: f64,
    /// Accuracy on the validation split at threshold 0.5.
    pub val_accuracy: f64,
    /// ROC-AUC on the validation split; `None` if it has images of one class only.
    pub val_roc_auc: Option<f64>,
    /// Whether this epoch has the best validation result so far, so that its checkpoint became `best`.
    pub best: bool,
    /// Wall-clock seconds of training.
    pub train_seconds: f64,
    /// Wall-clock seconds of validation.
    pub val_seconds: f64,
    /// Training images per second.
    pub images_per_second: f64,
}

/// Output of `candling-train --rate`: the speed of optimiser steps, without loading, validation and checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingRate {
    /// The device.
    pub device: String,
    /// Images per second.
    pub images_per_second: f64,
}
