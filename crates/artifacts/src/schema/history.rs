//! `metrics.jsonl`: what each epoch of training gave; and how fast training is, before it starts.

use serde::{Deserialize, Serialize};

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// Optimiser steps taken since the start.
    pub step: u64,
    /// Learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Mean cross-entropy over the epoch's training samples, in nats.
    pub train_loss: f64,
    /// Share of training samples classified correctly while they were trained on.
    pub train_accuracy: f64,
    /// Mean cross-entropy over the validation split, in nats.
    pub val_loss: f64,
    /// Accuracy on the validation split at threshold 0.5.
    pub val_accuracy: f64,
    /// Area under the ROC curve on the validation split; null if it has one class only.
    pub val_roc_auc: Option<f64>,
    /// Whether this epoch became the best checkpoint.
    pub best: bool,
    /// Wall-clock seconds of training in this epoch.
    pub train_seconds: f64,
    /// Wall-clock seconds of validation after it.
    pub val_seconds: f64,
    /// Training samples a second.
    pub images_per_second: f64,
}

/// How fast a machine trains, as `candling-train --rate` prints it: steps alone, without loading, validation and checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingRate {
    /// Where.
    pub device: String,
    /// How fast.
    pub images_per_second: f64,
}
