//! The GEMM micro-kernel: a register tile of `C += A x B`, the innermost loop of every convolution.
//!
//! A tile has at most [`Simd::ROWS`] rows and exactly [`Simd::COLUMNS`] columns. `B` is a packed panel, `[depth,
//! COLUMNS]`. `C` is a packed tile, `[rows, COLUMNS]`. `A` is read one element at a time and broadcast, so its rows or
//! its columns may be contiguous: [`LeftStrides`] has its strides as constants. With bf16 instructions, each element of
//! `A` and `B` is a pair of bf16 values, for two consecutive steps of the depth. A matrix unit computes a tile by itself
//! ([`Simd::multiply_tile`]).
#![expect(unsafe_code, reason = "the micro-kernel reads its left operand without bounds checks")]

use super::simd::Simd;

/// The strides of the packed left operand, in elements.
pub(crate) trait LeftStrides {
    /// Stride from one row of the tile to the next.
    const ROW: usize;
    /// Stride from one step of the depth to the next.
    const DEPTH: usize;
}

/// The left operand is packed row by row: for outputs and input gradients of convolutions.
pub(crate) struct RowMajor;

impl LeftStrides for RowMajor {
    // Not a power of two, so that the rows of a tile map to different cache sets.
    const ROW: usize = super::im2col::MAX_DEPTH + 16;
    const DEPTH: usize = 1;
}

/// Computes a tile: `c[i, j] = sum over k of a[i * L::ROW + k * L::DEPTH] * b[k, j]`, plus the old `c[i, j]` if
/// `accumulate`. `depth` counts packed elements.
///
/// # Panics
/// If a slice is too short for the tile, or `rows` exceeds [`Simd::ROWS`]. For a matrix unit, `a` and `c` must be long
/// enough for [`Simd::ROWS`] rows.
#[inline(always)]
pub(crate) fn micro_kernel<S: Simd, L: LeftStrides>(
    simd: S,
    rows: usize,
    depth: usize,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    accumulate: bool,
) {
    assert!(rows > 0 && rows <= S::ROWS && depth > 0);
    if S::MATRIX_UNIT {
        assert!(L::DEPTH == 1, "a matrix unit reads its left operand row by row");
        return simd.multiply_tile(rows, a, L::ROW, &b[..depth * S::COLUMNS], c, accumulate);
    }
    assert!(a.len() > (rows - 1) * L::ROW + (depth - 1) * L::DEPTH);
    let (b, c) = (&b[..depth * S::COLUMNS], &mut c[..rows * S::COLUMNS]);
    macro_rules! by_rows {
        ($($n:literal)*) => {
            match rows {
                // SAFETY: the assertion on `a` above is the contract of `fixed_rows`.
                $($n => unsafe { fixed_rows::<S, L, $n>(simd, a, b, c, accumulate) },)*
                _ => unreachable!("a register tile has at most 14 rows"),
            }
        };
    }
    by_rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

/// Computes a tile with a number of rows that is known at compile time, so that the accumulators stay in registers. `b`
/// is `[depth, COLUMNS]`.
///
/// # Safety
/// `a` holds more than `(ROWS - 1) * L::ROW + (depth - 1) * L::DEPTH` elements.
#[inline(always)]
unsafe fn fixed_rows<S: Simd, L: LeftStrides, const ROWS: usize>(
    simd: S,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    accumulate: bool,
) {
    let mut sums = [[simd.splat(0.0); 2]; ROWS];
    if accumulate {
        for (sums, c) in sums.iter_mut().zip(c.chunks_exact(S::COLUMNS)) {
            *sums = [simd.load(&c[..S::LANES]), simd.load(&c[S::LANES..])];
        }
    }
    let mut step = a.as_ptr();
    for b in b.chunks_exact(S::COLUMNS) {
        let right = [simd.load(&b[..S::LANES]), simd.load(&b[S::LANES..])];
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: `step` is at `k * L::DEPTH`, and the contract bounds `i * L::ROW + k * L::DEPTH`.
            let left = simd.splat(unsafe { *step.add(i * L::ROW) });
            sums[0] = simd.accumulate(left, right[0], sums[0]);
            sums[1] = simd.accumulate(left, right[1], sums[1]);
        }
        // After the last step, the pointer may be outside of the slice. It is not read then.
        step = step.wrapping_add(L::DEPTH);
    }
    for (sums, c) in sums.iter().zip(c.chunks_exact_mut(S::COLUMNS)) {
        simd.store(sums[0], &mut c[..S::LANES]);
        simd.store(sums[1], &mut c[S::LANES..]);
    }
}
