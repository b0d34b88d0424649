//! Prefetching: while a block's products are computed, memory is idle; so what the next block will be packed from is
//! brought into the second-level cache meanwhile, some lines with each tile.

use std::ops::Range;

use super::operand::Operand;
use super::simd::Simd;

/// Elements of a cache line.
pub(crate) const LINE: usize = 16;

/// Some channels of some pixels of a tensor.
#[derive(Clone, Debug)]
pub(crate) struct Pixels {
    /// Counted over the whole batch; those beyond its end do no harm.
    pub(crate) pixels: Range<usize>,
    /// Elements from one pixel to the next.
    pub(crate) pitch: usize,
    /// The channels.
    pub(crate) channels: Range<usize>,
}

/// The lines that are still to be fetched.
pub(crate) struct Prefetcher<'a> {
    operand: &'a Operand<'a>,
    /// The first element of the next pixel, or of all of them where they lie one after the other.
    start: usize,
    /// The element to be fetched next.
    next: usize,
    /// The elements to be fetched from each start.
    len: usize,
    /// From one start to the next.
    pitch: usize,
    /// How many starts are left.
    rest: usize,
    lines_per_step: usize,
}

impl<'a> Prefetcher<'a> {
    /// Fetches what `operand` reads for `pixels`, in `steps`.
    #[inline(always)]
    pub(crate) fn new(operand: &'a Operand<'a>, pixels: Pixels, steps: usize) -> Self {
        let Pixels { pixels, pitch, channels } = pixels;
        let start = pixels.start * pitch + channels.start;
        let (len, rest) = match channels.len() == pitch {
            true => (pixels.len() * pitch, usize::from(!pixels.is_empty())),
            false => (channels.len(), pixels.len()),
        };
        let lines_per_step = (len.div_ceil(LINE) * rest).div_ceil(steps.max(1));
        Self { operand, start, next: start, len, pitch, rest, lines_per_step }
    }

    /// Fetches some lines.
    #[inline(always)]
    pub(crate) fn step<S: Simd>(&mut self, simd: S) {
        let mut lines = self.lines_per_step;
        while lines > 0 && self.rest > 0 {
            let end = self.start + self.len;
            let stop = end.min(self.next + lines * LINE);
            lines -= (stop - self.next).div_ceil(LINE);
            while self.next < stop {
                self.operand.prefetch(simd, self.next);
                self.next += LINE;
            }
            if self.next >= end {
                self.rest -= 1;
                self.start += self.pitch;
                self.next = self.start;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::Portable;
    use super::*;

    /// The element at which each step begins, while there is something left.
    fn lines(pitch: usize, channels: Range<usize>, pixels: Range<usize>, steps: usize) -> Vec<usize> {
        let values = vec![0.0; pixels.end * pitch];
        let operand = Operand::Plain(&values);
        let mut ahead = Prefetcher::new(&operand, Pixels { pixels, pitch, channels }, steps);
        let mut starts = Vec::new();
        for _ in 0..steps {
            starts.extend((ahead.rest > 0).then_some(ahead.next));
            ahead.step(Portable::new());
        }
        assert_eq!(ahead.rest, 0, "all lines are asked for in the given steps");
        starts
    }

    #[test]
    fn all_lines_are_asked_for_within_the_steps() {
        for steps in [1, 3, 7, 40] {
            for (pitch, channels) in [(64, 0..64), (64, 16..48), (40, 0..40), (300, 256..300)] {
                let starts = lines(pitch, channels.clone(), 2..11, steps);
                assert_eq!(starts[0], 2 * pitch + channels.start);
                assert!(starts.is_sorted());
            }
        }
        assert!(lines(64, 0..64, 5..5, 4).is_empty());
    }
}
