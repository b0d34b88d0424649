//! The batches of one epoch: which images, in which order, with which augmentation.

use std::ops::Range;
use std::sync::Arc;

use artifacts::random;
use artifacts::shard::Shards;
use rand::seq::SliceRandom;

use crate::augment::Augmenter;
use crate::config::Augment;

/// The batches of one epoch.
#[derive(Debug)]
pub struct EpochBatches {
    /// The split that the images are read from.
    pub(crate) shards: Arc<Shards>,
    /// Indices of images in the split, in the order of the epoch.
    order: Vec<usize>,
    /// The range of `order` that each batch holds.
    ranges: Vec<Range<usize>>,
    /// Random changes to the images, if any are configured.
    pub(crate) augmenter: Option<Augmenter>,
}

impl EpochBatches {
    /// Returns training batches: all images of `shards`, shuffled globally. The order depends only on `seed` and
    /// `epoch`.
    pub fn shuffled(
        shards: &Arc<Shards>,
        batch_size: usize,
        augment: &Augment,
        seed: u64,
        epoch: usize,
    ) -> EpochBatches {
        EpochBatches {
            shards: Arc::clone(shards),
            order: shuffled_indices(seed, epoch, shards.len()),
            ranges: batch_ranges(shards.len(), batch_size),
            augmenter: Augmenter::new(augment, seed, epoch),
        }
    }

    /// Returns validation batches: all images of `shards` in stored order, without augmentation.
    pub fn sequential(shards: &Arc<Shards>, batch_size: usize) -> EpochBatches {
        EpochBatches {
            shards: Arc::clone(shards),
            order: (0..shards.len()).collect(),
            ranges: batch_ranges(shards.len(), batch_size),
            augmenter: None,
        }
    }

    /// The number of batches.
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Returns the indices in `shards` of the images of batch `batch`. Panics if there is no such batch.
    pub(crate) fn images(&self, batch: usize) -> &[usize] {
        &self.order[self.ranges[batch].clone()]
    }
}

/// Returns the indices `0..images` in a random order that depends on `seed` and `epoch` only.
fn shuffled_indices(seed: u64, epoch: usize, images: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..images).collect();
    order.shuffle(&mut random::stream(seed, "shuffle", &[epoch as u64]));
    order
}

/// Cuts `0..images` into ranges of `batch_size`. The last range holds the remainder. A remainder of one image joins the
/// range before it, because batch normalisation cannot train on a single image.
fn batch_ranges(images: usize, batch_size: usize) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> =
        (0..images).step_by(batch_size).map(|start| start..(start + batch_size).min(images)).collect();
    if let [.., before, last] = ranges.as_mut_slice()
        && last.len() == 1
    {
        before.end = last.end;
        ranges.pop();
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffles_every_epoch_differently_and_repeatably() {
        let [mut first, second] = [1, 2].map(|epoch| shuffled_indices(3, epoch, 100));
        assert_ne!(first, second);
        assert_eq!(first, shuffled_indices(3, 1, 100));
        assert_ne!(first, shuffled_indices(4, 1, 100));
        first.sort_unstable();
        assert_eq!(first, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn appends_single_leftover_image_to_previous_batch() {
        let lengths = |images, batch_size| {
            batch_ranges(images, batch_size).iter().map(ExactSizeIterator::len).collect::<Vec<_>>()
        };
        assert_eq!(lengths(12, 4), [4, 4, 4]);
        assert_eq!(lengths(14, 4), [4, 4, 4, 2]);
        assert_eq!(lengths(13, 4), [4, 4, 5]);
        assert_eq!(lengths(3, 4), [3]);
        assert_eq!(lengths(1, 4), [1]);
        assert_eq!(lengths(0, 4), [0; 0]);
    }
}
