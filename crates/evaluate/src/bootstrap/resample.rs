//! Drawing one resample.

use artifacts::random::stream;
use rand::Rng;

use crate::metrics::Weights;

/// Random words taken from the stream at once.
const BUFFER: usize = 1024;

/// Fills `weights` with resample `index`: as many draws with replacement from each class as it has images.
pub fn resample(weights: &mut Weights, seed: u64, index: u64) {
    let mut words = Words::new(stream(seed, "bootstrap", &[index]));
    let (fake, real) = weights.split_mut();
    draw(fake, &mut words);
    draw(real, &mut words);
}

fn draw(counts: &mut [u8], words: &mut Words<impl Rng>) {
    counts.fill(0);
    // A class has at most `u32::MAX` images, which `Ranking` ensures.
    let n = counts.len() as u32;
    for _ in 0..counts.len() {
        let position = words.below(n) as usize;
        counts[position] = counts[position].wrapping_add(1);
    }
}

/// Random words in blocks, which the generator makes faster than one by one.
struct Words<R> {
    rng: R,
    bytes: [u8; 4 * BUFFER],
    used: usize,
}

impl<R: Rng> Words<R> {
    fn new(rng: R) -> Words<R> {
        Words { rng, bytes: [0; 4 * BUFFER], used: BUFFER }
    }

    #[inline(always)]
    fn next(&mut self) -> u32 {
        if self.used == BUFFER {
            self.rng.fill_bytes(&mut self.bytes);
            self.used = 0;
        }
        let at = 4 * self.used;
        self.used += 1;
        u32::from_le_bytes([self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], self.bytes[at + 3]])
    }

    /// An exactly uniform number below `n`, which is not 0 (Lemire 2019, "Fast random integer generation in an
    /// interval").
    #[inline(always)]
    fn below(&mut self, n: u32) -> u32 {
        let mut product = u64::from(self.next()) * u64::from(n);
        if (product as u32) < n {
            let least = n.wrapping_neg() % n;
            while (product as u32) < least {
                product = u64::from(self.next()) * u64::from(n);
            }
        }
        (product >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use artifacts::Label;

    use super::*;
    use crate::metrics::Ranking;

    fn weights(fakes: usize, reals: usize) -> Weights {
        let labels: Vec<Label> = (0..fakes).map(|_| Label::Fake).chain((0..reals).map(|_| Label::Real)).collect();
        Weights::ones(&Ranking::new(&labels, &vec![0.5; labels.len()]).unwrap())
    }

    #[test]
    fn a_resample_keeps_the_class_sizes_and_is_its_own() {
        let draw = |index| {
            let mut weights = weights(1000, 37);
            resample(&mut weights, 5, index);
            weights
        };
        let weights = draw(3);
        let total = |counts: &[u8]| counts.iter().map(|&count| u32::from(count)).sum::<u32>();
        assert_eq!((total(weights.fake()), total(weights.real())), (1000, 37));
        assert_eq!(weights, draw(3));
        assert_ne!(weights, draw(4));
    }

    #[test]
    fn draws_are_uniform() {
        let mut totals = [0_u32; 7];
        let mut weights = weights(7, 0);
        for index in 0..10_000 {
            resample(&mut weights, 1, index);
            totals.iter_mut().zip(weights.fake()).for_each(|(total, &count)| *total += u32::from(count));
        }
        // 70,000 draws over 7 positions: a standard deviation of 93 each.
        assert!(totals.iter().all(|total| total.abs_diff(10_000) < 400), "{totals:?}");
    }
}
