//! Loss, accuracy and ROC-AUC of a model on the validation split.

use std::sync::Arc;

use artifacts::statistics::cross_entropy;
use artifacts::{Label, roc_auc};
use exchange::Exchange;
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
/// views of each image: as it is, and changed. The processes of `exchange` take turns with the batches, and all receive
/// the metrics of all images.
///
/// Calls `after_batch` with the number of images that were processed since the last call. If it returns `false` in one of
/// the processes, stops and returns `None`.
pub(crate) fn compute_metrics(
    learner: &mut dyn Learner,
    images: &Arc<Images>,
    batch_size: usize,
    exchange: &dyn Exchange,
    after_batch: impl FnMut(usize) -> bool,
) -> Result<Option<ValidationMetrics>, Error> {
    learner.start_validation()?;
    let metrics = infer(learner, images, batch_size, exchange, after_batch)?;
    learner.finish_validation()?;
    Ok(metrics)
}

/// Infers all images. Stops and returns `None` if `after_batch` returns `false`.
fn infer(
    learner: &mut dyn Learner,
    images: &Arc<Images>,
    batch_size: usize,
    exchange: &dyn Exchange,
    mut after_batch: impl FnMut(usize) -> bool,
) -> Result<Option<ValidationMetrics>, Error> {
    let batches = EpochBatches::sequential(images, batch_size);
    // In each round, every process infers one batch, except that some have none in the last round.
    let rounds = batches.ranges().chunks(exchange.world());
    let rounds: Vec<usize> = rounds.map(|ranges| ranges.iter().map(ExactSizeIterator::len).sum()).collect();
    let batches = batches.every(exchange.rank(), exchange.world());
    let mut ranges = batches.ranges().to_vec().into_iter();
    let mut loader = Loader::start(batches, 0);
    let mut scores = Scores::new(rounds.iter().sum());
    let mut pending: Vec<(usize, Vec<u8>)> = Vec::new();
    for images_of_round in rounds {
        if let (Some(batch), Some(range)) = (loader.next_batch(), ranges.next()) {
            let batch = batch?; // pixels u8 [n, height, width, 3] or features f32 [n, width], labels u8 [n]
            learner.start_inference(&batch)?;
            pending.push((range.start, batch.labels().to_vec()));
            loader.recycle(batch);
        }
        let mut stops = [!after_batch(images_of_round)];
        exchange.agree(&mut stops);
        if pending.len() == MAX_PENDING || stops[0] {
            scores.add(&learner.finished_inferences()?, &mut pending);
        }
        if stops[0] {
            return Ok(None);
        }
    }
    scores.add(&learner.finished_inferences()?, &mut pending);
    Ok(Some(scores.metrics(exchange)))
}

/// The scores of all images, in stored order. Those of other processes are 0.
struct Scores {
    /// Cross-entropy, margin and class index of each image.
    values: Vec<f64>,
}

/// The number of values for each image.
const VALUES: usize = 3;

impl Scores {
    fn new(images: usize) -> Scores {
        Scores { values: vec![0.0; images * VALUES] }
    }

    /// Adds the logits of several batches, `[n, 2]` each. Empties `pending`, which holds the number of the first image of
    /// each batch and the class indices, `[n]`.
    fn add(&mut self, logits: &[Logits], pending: &mut Vec<(usize, Vec<u8>)>) {
        for (logits, (first, labels)) in logits.iter().zip(pending.drain(..)) {
            let values = self.values[first * VALUES..].chunks_exact_mut(VALUES);
            for ((row, &label), values) in logits.rows().zip(&labels).zip(values) {
                let loss = cross_entropy(row, usize::from(label));
                values.copy_from_slice(&[loss, margin(row), f64::from(label)]);
            }
        }
    }

    /// Collects the scores of all processes, and computes the metrics.
    fn metrics(mut self, exchange: &dyn Exchange) -> ValidationMetrics {
        exchange.sum(&mut self.values);
        let images = (self.values.len() / VALUES) as f64;
        let is_fake = |label: f64| label == f64::from(Label::Fake.index());
        let mut scores = Vec::with_capacity(self.values.len() / VALUES);
        let (mut loss, mut correct) = (0.0, 0_u64);
        for value in self.values.chunks_exact(VALUES) {
            let (margin, fake) = (value[1], is_fake(value[2]));
            loss += value[0];
            correct += u64::from((margin >= 0.0) == fake);
            scores.push((margin, fake));
        }
        ValidationMetrics { loss: loss / images, accuracy: correct as f64 / images, roc_auc: roc_auc(&mut scores) }
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
