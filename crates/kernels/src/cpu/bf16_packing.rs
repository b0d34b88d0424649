//! Packed operands of more than one step of the depth in an element: pairs of bf16, made of packed f32 in place.
//!
//! Operands are gathered as f32 in any case; where the instructions multiply f32, that is all.

use super::simd::{Kernel, Simd};

/// Elements that hold `steps` of the depth.
#[inline(always)]
pub(crate) fn elements<S: Simd>(steps: usize) -> usize {
    steps.div_ceil(S::STEPS)
}

/// The depth runs along the rows: the first `len` elements of each of the rows, `pitch` apart, become half as many.
#[inline(always)]
pub(crate) fn pack_along<S: Simd>(simd: S, rows: &mut [f32], pitch: usize, len: usize) {
    if S::STEPS == 1 {
        return;
    }
    for row in rows.chunks_mut(pitch) {
        for start in (0..len).step_by(S::LANES) {
            // What follows the last step is zero, and so is its partner.
            let steps = simd.load(&row[start..len.min(start + S::LANES)]);
            simd.narrow(steps, &mut row[elements::<S>(start)..elements::<S>(len.min(start + S::LANES))]);
        }
    }
}

/// The depth runs from row to row: the first `len` elements of `count` rows, `pitch` apart, become half as many rows.
#[inline(always)]
pub(crate) fn pack_across<S: Simd>(simd: S, rows: &mut [f32], pitch: usize, count: usize, len: usize) {
    if S::STEPS == 1 {
        return;
    }
    for (to, even) in (0..count).step_by(S::STEPS).enumerate() {
        for start in (0..len).step_by(S::LANES) {
            let lanes = S::LANES.min(len - start);
            let first = simd.load(&rows[even * pitch + start..][..lanes]);
            let second = match even + 1 < count {
                true => simd.load(&rows[(even + 1) * pitch + start..][..lanes]),
                false => simd.splat(0.0),
            };
            simd.store(simd.pair(first, second), &mut rows[to * pitch + start..][..lanes]);
        }
    }
}

/// [`pack_across`] as work of its own.
pub(crate) struct PackAcross<'a> {
    /// `[count, pitch]`.
    pub(crate) rows: &'a mut [f32],
    /// From one row to the next, and the elements of each.
    pub(crate) pitch: usize,
    /// Number of rows.
    pub(crate) count: usize,
}

impl Kernel for PackAcross<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        pack_across(simd, self.rows, self.pitch, self.count, self.pitch);
    }
}
