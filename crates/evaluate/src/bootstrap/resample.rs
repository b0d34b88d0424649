//! Drawing a resample.

use artifacts::random::stream;
use rand::Rng;
use rand_distr::{Binomial, Distribution};

use crate::metrics::ResampleCounts;

/// The number of random words that are taken from the stream at once.
const BUFFER: usize = 1024;
/// Bits of a position in a segment, so that one random word of 32 bits holds two positions.
const SEGMENT_BITS: u32 = 15;
/// The number of images in a segment. Its counts take 32 kB, the size of a first-level cache.
const SEGMENT: usize = 1 << SEGMENT_BITS;

/// Fills `weights` with resample number `index`: as many draws with replacement from each class as it has images.
pub fn resample(weights: &mut ResampleCounts, seed: u64, index: u64) {
    let mut words = Words::new(stream(seed, "bootstrap", &[index]));
    let (fake, real) = weights.split_mut();
    draw(fake, &mut words);
    draw(real, &mut words);
}

/// Draws as many images as there are counts, in two steps. The number of draws in each segment comes first, from the
/// exact conditional binomials of the multinomial distribution. The draws within a segment then stay in the first-level
/// cache.
fn draw(counts: &mut [u8], words: &mut Words<impl Rng>) {
    counts.fill(0);
    let (mut images, mut draws) = (counts.len(), counts.len() as u64);
    for segment in counts.chunks_mut(SEGMENT) {
        let share = segment.len() as f64 / images as f64;
        let here = if segment.len() == images { draws } else { words.binomial(draws, share) };
        draw_in_segment(segment, here, words);
        images -= segment.len();
        draws -= here;
    }
}

/// Draws uniformly among the images of one segment.
fn draw_in_segment(segment: &mut [u8], draws: u64, words: &mut Words<impl Rng>) {
    let images = segment.len() as u32; // at most SEGMENT
    let add = |count: &mut u8| *count = count.wrapping_add(1);
    match <&mut [u8; SEGMENT]>::try_from(&mut *segment) {
        Ok(whole) => {
            for _ in 0..draws / 2 {
                let word = words.next();
                add(&mut whole[word as usize % SEGMENT]);
                add(&mut whole[(word >> SEGMENT_BITS) as usize % SEGMENT]);
            }
            if draws % 2 == 1 {
                add(&mut whole[words.next() as usize % SEGMENT]);
            }
        }
        Err(_) => (0..draws).for_each(|_| add(&mut segment[words.below(images) as usize])),
    }
}

/// Random words from a buffer, because the generator fills blocks faster than it returns single words.
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

    /// Draws from the binomial distribution: the number of `draws` whose outcome has probability `share`.
    fn binomial(&mut self, draws: u64, share: f64) -> u64 {
        // `Binomial::new` fails only for a share outside 0 to 1; this one is the quotient of a part and its whole.
        Binomial::new(draws, share).map_or(draws, |binomial| binomial.sample(&mut self.rng))
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

    fn weights(fakes: usize, reals: usize) -> ResampleCounts {
        let labels: Vec<Label> = (0..fakes).map(|_| Label::Fake).chain((0..reals).map(|_| Label::Real)).collect();
        ResampleCounts::ones(&Ranking::new(&labels, &vec![0.5; labels.len()]).unwrap())
    }

    #[test]
    fn resample_keeps_class_sizes_and_depends_on_index() {
        let total = |counts: &[u8]| counts.iter().map(|&count| usize::from(count)).sum::<usize>();
        for sizes in [(1000, 37), (SEGMENT, SEGMENT + 1), (3 * SEGMENT + 12_345, 1)] {
            let draw = |index| {
                let mut weights = weights(sizes.0, sizes.1);
                resample(&mut weights, 5, index);
                weights
            };
            let weights = draw(3);
            assert_eq!((total(weights.fake()), total(weights.real())), sizes);
            assert_eq!(weights, draw(3));
            assert_ne!(weights, draw(4));
        }
    }

    #[test]
    fn draws_over_several_segments_are_multinomial() {
        // The number of n draws that fall into a part of m images has mean m and variance m (1 - m / n). The count of a
        // position is nearly Poisson: an image is left out with probability 1 / e.
        let n = 2 * SEGMENT + 10_000;
        let parts = [0..SEGMENT, SEGMENT - 500..SEGMENT + 500, 2 * SEGMENT..n];
        let repetitions = 400;
        let (mut squares, mut left_out) = (vec![0.0; parts.len()], 0);
        let mut weights = weights(n, 0);
        for index in 0..repetitions {
            resample(&mut weights, 9, index);
            for (part, squares) in parts.iter().zip(&mut squares) {
                let m = part.len() as f64;
                let drawn: f64 = weights.fake()[part.clone()].iter().map(|&count| f64::from(count)).sum();
                *squares += (drawn - m).powi(2) / (m * (1.0 - m / n as f64));
            }
            left_out += weights.fake().iter().filter(|count| **count == 0).count();
        }
        // The sum of 400 squares of standard normal values has mean 400 and standard deviation 28.
        assert!(squares.iter().all(|squares| (squares - 400.0).abs() < 130.0), "{squares:?}");
        let share = left_out as f64 / (n as f64 * repetitions as f64);
        assert!((share - (-1.0_f64).exp()).abs() < 1e-3, "{share}");
    }

    #[test]
    fn draws_are_uniform() {
        let mut totals = [0_u32; 7];
        let mut weights = weights(7, 0);
        for index in 0..10_000 {
            resample(&mut weights, 1, index);
            totals.iter_mut().zip(weights.fake()).for_each(|(total, &count)| *total += u32::from(count));
        }
        // 70,000 draws over 7 positions: each count has a standard deviation of 93.
        assert!(totals.iter().all(|total| total.abs_diff(10_000) < 400), "{totals:?}");
    }
}
