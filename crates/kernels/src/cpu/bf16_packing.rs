//! Packed elements of two bf16 values, for two consecutive steps of the depth. They are stored in the 32 bits of an f32.
//!
//! Where the depth runs along the rows of an operand, the rows are packed as consecutive bf16. Where it runs across them,
//! they are packed as f32 first and then paired in place. For instruction sets that multiply f32, an element is an f32 and
//! [`pack_across`] does nothing.

use super::simd::{Kernel, Simd};

/// The number of packed elements that hold `steps` steps of the depth, including padding.
#[inline(always)]
pub(crate) fn elements<S: Simd>(steps: usize) -> usize {
    steps.div_ceil(S::STEPS).next_multiple_of(S::DEPTH_MULTIPLE)
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
