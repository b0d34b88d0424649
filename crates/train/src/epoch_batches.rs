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
    /// The number of images of each batch over all processes.
    images: Vec<usize>,
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
        let ranges = batch_ranges(split.len(), batch_size);
        EpochBatches {
            split: Arc::clone(split),
            order: rows.into_iter().map(|(row, repeat)| Item { row, view: view(row), repeat }).collect(),
            images: ranges.iter().map(ExactSizeIterator::len).collect(),
            ranges,
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
        let ranges = batch_ranges(split.len() * views, batch_size);
        let rows = |view| split.rows.iter().map(move |&row| Item { row, view, repeat: 0 });
        EpochBatches {
            split: Arc::clone(split),
            order: (0..views).flat_map(rows).collect(),
            images: ranges.iter().map(ExactSizeIterator::len).collect(),
            ranges,
            epoch: None,
            augmenter: None,
        }
    }

    /// Leaves the slice of each batch that process `rank` of `world` computes. Slices differ by at most one image. A batch
    /// with fewer images than processes is computed by all of them.
    #[must_use]
    pub(crate) fn slices(mut self, rank: usize, world: usize) -> EpochBatches {
        for range in &mut self.ranges {
            let images = range.len();
            if images >= world {
                let cut = |part: usize| range.start + part * images / world;
                *range = cut(rank)..cut(rank + 1);
            }
        }
        self
    }

    /// Leaves whole batches: every one whose number is `rank` more than a multiple of `world`.
    #[must_use]
    pub(crate) fn every(mut self, rank: usize, world: usize) -> EpochBatches {
        self.ranges = self.ranges.into_iter().skip(rank).step_by(world).collect();
        self.images = self.images.into_iter().skip(rank).step_by(world).collect();
        self
    }

    /// The range of the epoch's images that each batch holds, of this process alone.
    pub(crate) fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }

    /// The number of images of batch `batch` over all processes.
    pub(crate) fn images_of_all(&self, batch: usize) -> usize {
        self.images[batch]
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
    use artifacts::Split;
    use artifacts::shard::Shards;

    use super::*;
    use crate::testing;

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
    fn slices_of_a_batch_differ_by_at_most_one_image() {
        let slices = |world: usize| {
            let cut = |rank: usize| {
                let run = testing::ingested(&[(Split::Train, 14)]);
                let shards = Arc::new(Shards::open(&run.dir().ingest(), Split::Train).unwrap());
                let epoch = EpochBatches::sequential(&Arc::new(Images::pixels(shards)), 6).slices(rank, world);
                assert_eq!((0..3).map(|batch| epoch.images_of_all(batch)).collect::<Vec<_>>(), [6, 6, 2]);
                epoch.ranges().to_vec()
            };
            (0..world).map(cut).collect::<Vec<_>>()
        };
        assert_eq!(slices(1), [[0..6, 6..12, 12..14]]);
        assert_eq!(slices(2), [[0..3, 6..9, 12..13], [3..6, 9..12, 13..14]]);
        // All processes compute the last batch, which has fewer images than there are processes.
        assert_eq!(slices(4)[2], [3..4, 9..10, 12..14]);
        assert_eq!(slices(4)[3], [4..6, 10..12, 12..14]);
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
