//! The innermost loop of every convolution: a register tile of `C += A x B`.
//!
//! Where the instructions multiply bf16, an element of `A` and `B` is a pair of them, two steps of the depth (`steps`).
//!
//! A tile has at most [`Simd::ROWS`] rows and exactly [`Simd::COLUMNS`] columns. `B` is a packed panel, `[depth, COLUMNS]`;
//! `C` is a packed tile, `[rows, COLUMNS]`; `A` is read one element at a time and broadcast, so it needs no transposing:
//! its pitches are constants of a [`Pitch`].
#![expect(unsafe_code, reason = "the register tile is addressed without bounds checks")]

use super::simd::Simd;

/// Distances between the elements of the left operand.
pub(crate) trait Pitch {
    /// From one row of the tile to the next.
    const ROW: usize;
    /// From one step of the depth to the next.
    const DEPTH: usize;
}

/// The left operand is packed row by row: convolutions forward, and gradients of their inputs.
pub(crate) struct ByRow;

impl Pitch for ByRow {
    // Not a power of two, so that the rows of a tile fall on different sets of the cache.
    const ROW: usize = super::im2col::MAX_DEPTH + 16;
    const DEPTH: usize = 1;
}

/// How many rows of `width` results make up a unit: at most `most`, and at least half of that, so that register tiles of
/// `tile` results are as full as can be.
pub(crate) fn fullest(most: usize, width: usize, tile: usize) -> usize {
    let fullness = |&count: &usize| {
        let results = count * width;
        (results * 1000 / results.next_multiple_of(tile), count)
    };
    (most.div_ceil(2)..=most).max_by_key(fullness).unwrap_or(1)
}

/// One tile: `c[i, j] (+)= sum over k of a[i * P::ROW + k * P::DEPTH] * b[k, j]`; `depth` counts packed elements.
///
/// # Panics
/// If a slice is too short for the tile, or `rows` is more than a register tile holds.
#[inline(always)]
pub(crate) fn tile<S: Simd, P: Pitch>(
    simd: S,
    rows: usize,
    depth: usize,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    accumulate: bool,
) {
    assert!(rows > 0 && rows <= S::ROWS && depth > 0);
    assert!(a.len() > (rows - 1) * P::ROW + (depth - 1) * P::DEPTH);
    let (b, c) = (&b[..depth * S::COLUMNS], &mut c[..rows * S::COLUMNS]);
    macro_rules! by_rows {
        ($($n:literal)*) => {
            match rows {
                // SAFETY: the assertion on `a` above is the contract of `fixed`.
                $($n => unsafe { fixed::<S, P, $n>(simd, a, b, c, accumulate) },)*
                _ => unreachable!("a register tile has at most 14 rows"),
            }
        };
    }
    by_rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

/// A tile of a fixed number of rows, whose accumulators stay in registers; `b` is `[depth, COLUMNS]`.
///
/// # Safety
/// `a` holds more than `(ROWS - 1) * P::ROW + (depth - 1) * P::DEPTH` elements.
#[inline(always)]
unsafe fn fixed<S: Simd, P: Pitch, const ROWS: usize>(simd: S, a: &[f32], b: &[f32], c: &mut [f32], accumulate: bool) {
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
            // SAFETY: `step` is at `k * P::DEPTH`, and the contract bounds `i * P::ROW + k * P::DEPTH`.
            let left = simd.splat(unsafe { *step.add(i * P::ROW) });
            sums[0] = simd.accumulate(left, right[0], sums[0]);
            sums[1] = simd.accumulate(left, right[1], sums[1]);
        }
        // Past the last step it may leave the slice, but is not read from any more.
        step = step.wrapping_add(P::DEPTH);
    }
    for (sums, c) in sums.iter().zip(c.chunks_exact_mut(S::COLUMNS)) {
        simd.store(sums[0], &mut c[..S::LANES]);
        simd.store(sums[1], &mut c[S::LANES..]);
    }
}

#[cfg(test)]
mod tests {
    use super::fullest;

    #[test]
    fn units_fill_their_register_tiles() {
        assert_eq!([fullest(9, 4, 6), fullest(9, 4, 14), fullest(4, 14, 6), fullest(1, 230, 6)], [9, 7, 3, 1]);
        for most in 1..20_usize {
            for width in [1, 2, 7, 56] {
                assert!((most.div_ceil(2)..=most).contains(&fullest(most, width, 6)), "{most} rows of {width}");
            }
        }
    }
}
