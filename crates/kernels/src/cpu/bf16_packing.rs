//! Converts packed f32 operands to bf16 in place. A packed element of 32 bits then holds two bf16 values, for two
//! consecutive steps of the depth.
//!
//! Operands are always packed as f32 first. For instruction sets that multiply f32, the packing functions do nothing.

use super::simd::{Kernel, Simd};

/// The number of packed elements that hold `steps` steps of the depth, including padding.
#[inline(always)]
pub(crate) fn elements<S: Simd>(steps: usize) -> usize {
    steps.div_ceil(S::STEPS).next_multiple_of(S::DEPTH_MULTIPLE)
}

/// Packs operands whose depth runs along the rows: the first `len` elements of each row become half as many. The rows
/// are `pitch` elements apart.
#[inline(always)]
pub(crate) fn pack_along<S: Simd>(simd: S, rows: &mut [f32], pitch: usize, len: usize) {
    if S::STEPS == 1 {
        return;
    }
    for row in rows.chunks_mut(pitch) {
        for start in (0..len).step_by(S::LANES) {
            // `load` pads with zeros, so an odd last step is paired with zero.
            let steps = simd.load(&row[start..len.min(start + S::LANES)]);
            let end = len.min(start + S::LANES);
            simd.narrow(steps, &mut row[start / S::STEPS..end.div_ceil(S::STEPS)]);
        }
        row[len.div_ceil(S::STEPS)..elements::<S>(len)].fill(0.0);
    }
}

/// Packs operands whose depth runs across the rows: `count` rows of `len` elements become half as many rows. The rows
/// are `pitch` elements apart.
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

/// [`pack_across`] as a [`Kernel`], over whole rows.
pub(crate) struct PackAcross<'a> {
    /// `[count, pitch]`.
    pub(crate) rows: &'a mut [f32],
    /// The number of elements of each row.
    pub(crate) pitch: usize,
    /// The number of rows.
    pub(crate) count: usize,
}

impl Kernel for PackAcross<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        pack_across(simd, self.rows, self.pitch, self.count, self.pitch);
    }
}
