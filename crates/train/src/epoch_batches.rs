//! The batches of one epoch: which images, in which order, with which augmentation.

use std::ops::Range;
use std::sync::Arc;

use artifacts::random;
use rand::RngExt;
use rand::seq::SliceRandom;

use crate::augment::Augmenter;
use crate::config::Augment;
use crate::images::Images;
use crate::item::Item;

/// The batches of one epoch.
#[derive(Debug)]
pub struct EpochBatches {
    /// The split that the images are read from.
    pub(crate) split: Arc<Images>,
    /// The images in the order of the epoch.
    order: Vec<Item>,
    /// The range of `order` that each batch holds.
    ranges: Vec<Range<usize>>,
    /// The number of the epoch, for training. `None` for validation.
    pub(crate) epoch: Option<usize>,
    /// Random changes to the images, if any are configured.
    pub(crate) augmenter: Option<Augmenter>,
}

impl EpochBatches {
    /// Returns training batches: all images of `split`, or as many that [`crate::balance::Balance`] draws, shuffled
    /// globally, each in one randomly chosen view. Order and views depend only on `seed` and `epoch`.
    pub fn shuffled(
        split: &Arc<Images>,
        batch_size: usize,
        augment: &Augment,
        seed: u64,
        epoch: usize,
    ) -> EpochBatches {
        let views = split.views();
        let view = |row: usize| match views {
            1 => 0,
            views => random::stream(seed, "choice of view", &[epoch as u64, row as u64]).random_range(0..views),
        };
        let rows: Vec<(usize, usize)> = if split.balance.samples() {
            split.balance.sample(split.len(), seed, epoch)
        } else {
            shuffled_indices(seed, epoch, split.len()).into_iter().map(|index| (split.rows[index], 0)).collect()
        };
        EpochBatches {
            split: Arc::clone(split),
            order: rows.into_iter().map(|(row, repeat)| Item { row, view: view(row), repeat }).collect(),
            ranges: batch_ranges(split.len(), batch_size),
            epoch: Some(epoch),
            augmenter: Augmenter::new(augment, seed, epoch),
        }
    }

    /// Returns validation batches: all views of all images of `split` in stored order, without augmentation.
    pub fn sequential(split: &Arc<Images>, batch_size: usize) -> EpochBatches {
        EpochBatches::sequential_views(split, batch_size, split.views())
    }

    /// Returns batches like [`EpochBatches::sequential`] with the first views only.
    pub(crate) fn sequential_views(split: &Arc<Images>, batch_size: usize, views: usize) -> EpochBatches {
        let rows = |view| split.rows.iter().map(move |&row| Item { row, view, repeat: 0 });
        EpochBatches {
            split: Arc::clone(split),
            order: (0..views).flat_map(rows).collect(),
            ranges: batch_ranges(split.len() * views, batch_size),
            epoch: None,
            augmenter: None,
        }
    }

    /// The number of batches.
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Returns the images of batch `batch`. Panics if there is no such batch.
    pub(crate) fn images(&self, batch: usize) -> &[Item] {
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
