//! Prefetching: while a block's products are computed, memory is idle; so what the next block will be packed from is
//! brought into the second-level cache meanwhile, some lines with each tile.

use std::ops::Range;

use super::operand::Operand;
use super::simd::Simd;

/// Elements of a cache line.
const LINE: usize = 16;

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
pub(crate) struct Ahead<'a> {
    operand: &'a Operand<'a>,
    rest: Pixels,
    /// The next channel of the first pixel.
    channel: usize,
    lines_per_step: usize,
}

impl<'a> Ahead<'a> {
    /// Fetches what `operand` reads for `pixels`, in `steps`.
    #[inline(always)]
    pub(crate) fn new(operand: &'a Operand<'a>, pixels: Pixels, steps: usize) -> Self {
        let lines = pixels.pixels.len() * pixels.channels.len().div_ceil(LINE);
        Self { operand, channel: pixels.channels.start, rest: pixels, lines_per_step: lines.div_ceil(steps.max(1)) }
    }

    /// Fetches some lines.
    #[inline(always)]
    pub(crate) fn step<S: Simd>(&mut self, simd: S) {
        for _ in 0..self.lines_per_step {
            if self.rest.pixels.is_empty() {
                return;
            }
            self.operand.prefetch(simd, self.rest.pixels.start * self.rest.pitch + self.channel);
            self.channel += LINE;
            if self.channel >= self.rest.channels.end {
                self.channel = self.rest.channels.start;
                self.rest.pixels.start += 1;
            }
        }
    }
}
