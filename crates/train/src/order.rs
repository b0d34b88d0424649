//! Which samples make up which batch of an epoch.

use std::ops::Range;

use artifacts::random;
use rand::seq::SliceRandom;

/// The samples of an epoch, globally shuffled. Depends on the seed and the epoch alone.
pub fn shuffled(seed: u64, epoch: usize, samples: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..samples).collect();
    order.shuffle(&mut random::stream(seed, "shuffle", &[epoch as u64]));
    order
}

/// Cuts `samples` into batches of `size`. The last one holds what is left; a single sample left joins the batch before it,
/// because batch norm cannot learn from one.
pub fn batches(samples: usize, size: usize) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> =
        (0..samples).step_by(size).map(|start| start..(start + size).min(samples)).collect();
    if let [.., before, last] = batches.as_mut_slice()
        && last.len() == 1
    {
        before.end = last.end;
        batches.pop();
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_is_another_permutation() {
        let [mut first, second] = [1, 2].map(|epoch| shuffled(3, epoch, 100));
        assert_ne!(first, second);
        assert_eq!(first, shuffled(3, 1, 100));
        assert_ne!(first, shuffled(4, 1, 100));
        first.sort_unstable();
        assert_eq!(first, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn no_sample_is_left_out_and_none_is_alone() {
        let lengths = |samples, size| batches(samples, size).iter().map(ExactSizeIterator::len).collect::<Vec<_>>();
        assert_eq!(lengths(12, 4), [4, 4, 4]);
        assert_eq!(lengths(14, 4), [4, 4, 4, 2]);
        assert_eq!(lengths(13, 4), [4, 4, 5]);
        assert_eq!(lengths(3, 4), [3]);
        assert_eq!(lengths(1, 4), [1]);
        assert_eq!(lengths(0, 4), [0; 0]);
    }
}
