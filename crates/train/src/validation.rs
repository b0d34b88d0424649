//! What a network is worth on the validation split.

use std::sync::Arc;

use artifacts::shard::Shards;
use artifacts::statistics::cross_entropy;
use artifacts::{Label, roc_auc};
use model::{Logits, Network};

use crate::error::Error;
use crate::loader::{Loader, Plan};
use crate::order;

/// Batches whose scores wait on a card.
const MOST_UNREAD: usize = 16;

/// Scores on the validation split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Validation {
    /// Mean cross-entropy in nats.
    pub(crate) loss: f64,
    /// Accuracy at threshold 0.5.
    pub(crate) accuracy: f64,
    /// Area under the ROC curve, if the split has both classes.
    pub(crate) roc_auc: Option<f64>,
}

/// Judges `network` in evaluation mode on all of `shards`. `each` is told the number of images of every batch, and says
/// whether to go on; `None` is returned if not.
pub(crate) fn validate(
    network: &mut Network,
    shards: &Arc<Shards>,
    batch: usize,
    mut each: impl FnMut(usize) -> bool,
) -> Result<Option<Validation>, Error> {
    let batches = order::batches(shards.len(), batch);
    let plan = Plan { shards: Arc::clone(shards), order: (0..shards.len()).collect(), batches, augmenter: None };
    let mut loader = Loader::start(plan, 0);
    let mut loss = 0.0;
    let mut correct = 0;
    let mut scored = Vec::with_capacity(shards.len());
    let mut judge = |logits: Vec<Logits>, labels: &mut Vec<Vec<u8>>| {
        for (logits, labels) in logits.iter().zip(labels.drain(..)) {
            for (row, &label) in logits.rows().zip(&labels) {
                loss += cross_entropy(row, usize::from(label));
                scored.push((score(row), label == Label::Fake.index()));
            }
            correct += count_correct(logits, &labels);
        }
    };
    // Read together, so that a card computes while the next batches are made ready.
    let mut unread = Vec::new();
    while let Some(batch) = loader.next_batch() {
        let batch = batch?;
        network.start_inference(&batch.pixels())?; // [n, 2]
        unread.push(batch.labels().to_vec());
        let go_on = each(batch.len());
        loader.recycle(batch);
        if unread.len() == MOST_UNREAD || !go_on {
            judge(network.finished_inferences()?, &mut unread);
        }
        if !go_on {
            return Ok(None);
        }
    }
    judge(network.finished_inferences()?, &mut unread);
    let images = scored.len() as f64;
    let roc_auc = roc_auc(&mut scored);
    Ok(Some(Validation { loss: loss / images, accuracy: correct as f64 / images, roc_auc }))
}

/// How many rows of `[n, 2]` logits are right at threshold 0.5: P(fake) of one half or more is called fake.
pub(crate) fn count_correct(logits: &Logits, labels: &[u8]) -> u64 {
    let called = |row: &[f32]| if score(row) >= 0.0 { Label::Fake } else { Label::Real };
    logits.rows().zip(labels).filter(|&(row, &label)| called(row).index() == label).count() as u64
}

/// The log odds of being fake, which orders images as P(fake) does.
fn score(row: &[f32]) -> f64 {
    f64::from(row[usize::from(Label::Fake.index())]) - f64::from(row[usize::from(Label::Real.index())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_half_is_called_fake() {
        let logits = Logits { values: vec![0.5, 0.5, 1.0, 0.0, 0.0, 1.0], classes: 2 };
        assert_eq!(count_correct(&logits, &[1, 0, 1]), 3);
        assert_eq!(count_correct(&logits, &[0, 1, 0]), 0);
    }
}
