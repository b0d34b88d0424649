//! Software prefetching. The memory bus is idle while the micro-kernel computes a block. The input of the next block is
//! prefetched into the second-level cache during that time, a few cache lines per register tile.

use std::ops::Range;

use super::operand::Operand;
use super::simd::Simd;

/// A range of channels of a range of pixels of a tensor.
#[derive(Clone, Debug)]
pub(crate) struct PixelRange {
    /// The pixels, counted over the whole batch. They may extend beyond its end.
    pub(crate) pixels: Range<usize>,
    /// Stride from one pixel to the next.
    pub(crate) pitch: usize,
    /// The channels.
    pub(crate) channels: Range<usize>,
}

/// The cache lines that remain to be prefetched.
pub(crate) struct Prefetcher<'a> {
    operand: &'a Operand<'a>,
    /// The first element of the current contiguous part: of one pixel, or of all pixels if they are contiguous.
    start: usize,
    /// The element to prefetch next.
    next: usize,
    /// The number of elements of a part.
    len: usize,
    /// Stride from one part to the next.
    pitch: usize,
    /// The number of parts that are left, including the current one.
    parts_left: usize,
    lines_per_step: usize,
    /// The number of elements of a cache line.
    line: usize,
}

impl<'a> Prefetcher<'a> {
    /// Plans prefetching the elements of `operand` in `range`, evenly over `steps` calls of [`Prefetcher::step`].
    #[inline(always)]
    pub(crate) fn new(operand: &'a Operand<'a>, range: PixelRange, steps: usize) -> Self {
        let PixelRange { pixels, pitch, channels } = range;
        let start = pixels.start * pitch + channels.start;
        let (len, parts_left) = match channels.len() == pitch {
            true => (pixels.len() * pitch, usize::from(!pixels.is_empty())),
            false => (channels.len(), pixels.len()),
        };
        let line = operand.per_line();
        let lines_per_step = (len.div_ceil(line) * parts_left).div_ceil(steps.max(1));
        Self { operand, start, next: start, len, pitch, parts_left, lines_per_step, line }
    }

    /// Prefetches the cache lines of one step.
    #[inline(always)]
    pub(crate) fn step<S: Simd>(&mut self, simd: S) {
        let mut lines = self.lines_per_step;
        while lines > 0 && self.parts_left > 0 {
            let end = self.start + self.len;
            let stop = end.min(self.next + lines * self.line);
            lines -= (stop - self.next).div_ceil(self.line);
            while self.next < stop {
                self.operand.prefetch(simd, self.next);
                self.next += self.line;
            }
            if self.next >= end {
                self.parts_left -= 1;
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

    /// Returns the element that each step starts at, until everything is prefetched.
    fn lines(pitch: usize, channels: Range<usize>, pixels: Range<usize>, steps: usize) -> Vec<usize> {
        let values = vec![0.0; pixels.end * pitch];
        let operand = Operand::Plain((&values).into());
        let mut prefetcher = Prefetcher::new(&operand, PixelRange { pixels, pitch, channels }, steps);
        let mut starts = Vec::new();
        for _ in 0..steps {
            starts.extend((prefetcher.parts_left > 0).then_some(prefetcher.next));
            prefetcher.step(Portable::new());
        }
        assert_eq!(prefetcher.parts_left, 0, "all lines are prefetched within the steps");
        starts
    }

    #[test]
    fn prefetches_all_lines_within_the_steps() {
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
