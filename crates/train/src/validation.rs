//! Loss, accuracy and ROC-AUC of a model on the validation split.

use std::sync::Arc;

use artifacts::statistics::cross_entropy;
use artifacts::{Label, roc_auc};
use model::Logits;

use crate::epoch_batches::EpochBatches;
use crate::error::Error;
use crate::images::Images;
use crate::learner::Learner;
use crate::loader::Loader;

/// The number of batches after which logits are read back from the device. Until then, a GPU computes without waiting
/// while the CPU prepares the next batches.
const MAX_PENDING: usize = 16;

/// The metrics of one pass over the validation split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ValidationMetrics {
    /// Mean cross-entropy in nats.
    pub(crate) loss: f64,
    /// Accuracy at threshold 0.5.
    pub(crate) accuracy: f64,
    /// Area under the ROC curve, if the split has both classes.
    pub(crate) roc_auc: Option<f64>,
}

/// Computes the metrics of a model, in evaluation mode, on all images. A detector of branches is measured on several
/// views of each image: as it is, and changed.
///
/// Calls `after_batch` with the number of images of each batch. If it returns `false`, stops and returns `None`.
pub(crate) fn compute_metrics(
    learner: &mut dyn Learner,
    images: &Arc<Images>,
    batch_size: usize,
    after_batch: impl FnMut(usize) -> bool,
) -> Result<Option<ValidationMetrics>, Error> {
    learner.start_validation()?;
    let metrics = infer(learner, images, batch_size, after_batch)?;
    learner.finish_validation()?;
    Ok(metrics)
}

/// Infers all images. Stops and returns `None` if `after_batch` returns `false`.
fn infer(
    learner: &mut dyn Learner,
    images: &Arc<Images>,
    batch_size: usize,
    mut after_batch: impl FnMut(usize) -> bool,
) -> Result<Option<ValidationMetrics>, Error> {
    let mut loader = Loader::start(EpochBatches::sequential(images, batch_size), 0);
    let mut totals = Totals { loss: 0.0, correct: 0, scores: Vec::with_capacity(images.validation_len()) };
    let mut pending_labels: Vec<Vec<u8>> = Vec::new();
    while let Some(batch) = loader.next_batch() {
        let batch = batch?; // pixels u8 [n, height, width, 3] or features f32 [n, width], labels u8 [n]
        learner.start_inference(&batch)?;
        pending_labels.push(batch.labels().to_vec());
        let proceed = after_batch(batch.len());
        loader.recycle(batch);
        if pending_labels.len() == MAX_PENDING || !proceed {
            totals.add(&learner.finished_inferences()?, &mut pending_labels);
        }
        if !proceed {
            return Ok(None);
        }
    }
    totals.add(&learner.finished_inferences()?, &mut pending_labels);
    Ok(Some(totals.metrics()))
}

/// Sums over the images so far.
struct Totals {
    loss: f64,
    correct: u64,
    /// The margin of each image, and whether it is fake.
    scores: Vec<(f64, bool)>,
}

impl Totals {
    /// Adds the logits of several batches, `[n, 2]` each, and empties `labels`, `[n]` each.
    fn add(&mut self, logits: &[Logits], labels: &mut Vec<Vec<u8>>) {
        for (logits, labels) in logits.iter().zip(labels.drain(..)) {
            for (row, &label) in logits.rows().zip(&labels) {
                self.loss += cross_entropy(row, usize::from(label));
                self.scores.push((margin(row), label == Label::Fake.index()));
            }
            self.correct += count_correct(logits, &labels);
        }
    }

    fn metrics(mut self) -> ValidationMetrics {
        let images = self.scores.len() as f64;
        ValidationMetrics {
            loss: self.loss / images,
            accuracy: self.correct as f64 / images,
            roc_auc: roc_auc(&mut self.scores),
        }
    }
}

/// Counts the rows of `logits`, `[n, 2]`, that are classified correctly at threshold 0.5. P(fake) = 0.5 is classified
/// as fake.
pub(crate) fn count_correct(logits: &Logits, labels: &[u8]) -> u64 {
    let classify = |row: &[f32]| if margin(row) >= 0.0 { Label::Fake } else { Label::Real };
    logits.rows().zip(labels).filter(|&(row, &label)| classify(row).index() == label).count() as u64
}

/// `logit_fake - logit_real`, the log odds of P(fake).
fn margin(row: &[f32]) -> f64 {
    f64::from(row[usize::from(Label::Fake.index())]) - f64::from(row[usize::from(Label::Real.index())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classifies_one_half_as_fake() {
        let logits = Logits { values: vec![0.5, 0.5, 1.0, 0.0, 0.0, 1.0], classes: 2 };
        assert_eq!(count_correct(&logits, &[1, 0, 1]), 3);
        assert_eq!(count_correct(&logits, &[0, 1, 0]), 0);
    }
}
