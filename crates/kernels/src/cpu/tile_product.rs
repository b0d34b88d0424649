//! Small matrix products inside one task, such as those of one head of an attention. The operands are strided views.

use super::im2col::MAX_DEPTH;
use super::micro_kernel::{LeftStrides, RowMajor, micro_kernel};
use super::simd::Simd;

/// A strided view of a matrix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix<'a> {
    /// The elements, from the first of the matrix on.
    pub(super) data: &'a [f32],
    /// Stride from one row to the next.
    pub(super) row: usize,
    /// Stride from one column to the next.
    pub(super) column: usize,
}

impl Matrix<'_> {
    /// Returns the transpose.
    #[inline(always)]
    pub(super) fn transposed(self) -> Self {
        Self { data: self.data, row: self.column, column: self.row }
    }
}

/// The number of packed elements of a right operand with this depth and number of columns, for register tiles of `width`
/// columns.
pub(super) fn packed_right_len(depth: usize, columns: usize, width: usize) -> usize {
    depth * columns.next_multiple_of(width)
}

/// The number of packed elements of a register tile's left operand with this depth, for register tiles of `rows` rows.
pub(super) fn packed_left_len(depth: usize, rows: usize) -> usize {
    depth.div_ceil(MAX_DEPTH) * rows * RowMajor::ROW
}

/// Packs a right operand into panels, `[columns of the operand / columns of a tile, depth, columns of a tile]`. Missing
/// columns are zero.
#[inline(always)]
pub(super) fn pack_right<S: Simd>(m: Matrix<'_>, depth: usize, columns: usize, to: &mut [f32]) {
    for (panel, to) in
        to[..packed_right_len(depth, columns, S::COLUMNS)].chunks_exact_mut(depth * S::COLUMNS).enumerate()
    {
        let first = panel * S::COLUMNS;
        let count = S::COLUMNS.min(columns - first);
        if m.column == 1 {
            for (k, to) in to.chunks_exact_mut(S::COLUMNS).enumerate() {
                to[..count].copy_from_slice(&m.data[k * m.row + first..][..count]);
                to[count..].fill(0.0);
            }
        } else {
            if count < S::COLUMNS {
                to.fill(0.0);
            }
            for j in 0..count {
                let from = &m.data[(first + j) * m.column..];
                for (k, to) in to.chunks_exact_mut(S::COLUMNS).enumerate() {
                    to[j] = from[k * m.row];
                }
            }
        }
    }
}

/// Packs `rows` rows of a left operand, times `factor`: at most as many as a register tile has.
#[inline(always)]
pub(super) fn pack_left<S: Simd>(s: S, m: Matrix<'_>, rows: usize, depth: usize, factor: f32, to: &mut [f32]) {
    for (block, to) in (0..depth).step_by(MAX_DEPTH).zip(to.chunks_exact_mut(S::ROWS * RowMajor::ROW)) {
        let len = MAX_DEPTH.min(depth - block);
        for (i, to) in to.chunks_exact_mut(RowMajor::ROW).take(rows).enumerate() {
            let from = &m.data[i * m.row + block * m.column..];
            if m.column == 1 {
                for (to, from) in to[..len].chunks_mut(S::LANES).zip(from[..len].chunks(S::LANES)) {
                    s.store(s.mul(s.load(from), s.splat(factor)), to);
                }
            } else {
                for (k, to) in to[..len].iter_mut().enumerate() {
                    *to = from[k * m.column] * factor;
                }
            }
        }
    }
}

/// Computes a register tile, `[rows, columns of a tile]`, from a packed left operand and a panel of a right operand.
#[inline(always)]
pub(super) fn tile<S: Simd>(s: S, rows: usize, depth: usize, left: &[f32], panel: &[f32], to: &mut [f32]) {
    for (start, left) in (0..depth).step_by(MAX_DEPTH).zip(left.chunks_exact(S::ROWS * RowMajor::ROW)) {
        let len = MAX_DEPTH.min(depth - start);
        let right = &panel[start * S::COLUMNS..][..len * S::COLUMNS];
        micro_kernel::<S, RowMajor>(s, rows, len, left, right, to, start > 0);
    }
}

/// The size of a product: rows, depth, columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Rows of the left operand and of the output.
    pub(super) rows: usize,
    /// Columns of the left operand and rows of the right one.
    pub(super) depth: usize,
    /// Columns of the right operand and of the output.
    pub(super) columns: usize,
}

impl Size {
    /// The number of elements of scratch memory for [`multiply`].
    pub(super) fn scratch_len(self, (rows, width): (usize, usize)) -> usize {
        packed_right_len(self.depth, self.columns, width) + packed_left_len(self.depth, rows) + rows * width
    }
}

/// Computes `factor * left * right` into `to`, whose rows are `pitch` elements apart.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "two operands, the output and scratch memory")]
pub(super) fn multiply<S: Simd>(
    s: S,
    size: Size,
    left: Matrix<'_>,
    right: Matrix<'_>,
    factor: f32,
    to: &mut [f32],
    pitch: usize,
    scratch: &mut [f32],
) {
    let Size { rows, depth, columns } = size;
    let (packed_right, rest) = scratch.split_at_mut(packed_right_len(depth, columns, S::COLUMNS));
    let (packed_left, rest) = rest.split_at_mut(packed_left_len(depth, S::ROWS));
    let result = &mut rest[..S::ROWS * S::COLUMNS];
    pack_right::<S>(right, depth, columns, packed_right);
    for first in (0..rows).step_by(S::ROWS) {
        let count = S::ROWS.min(rows - first);
        let block = Matrix { data: &left.data[first * left.row..], ..left };
        pack_left(s, block, count, depth, factor, packed_left);
        for (column, panel) in (0..columns).step_by(S::COLUMNS).zip(packed_right.chunks_exact(depth * S::COLUMNS)) {
            tile(s, count, depth, packed_left, panel, result);
            let valid = S::COLUMNS.min(columns - column);
            for (i, values) in result.chunks_exact(S::COLUMNS).take(count).enumerate() {
                to[(first + i) * pitch + column..][..valid].copy_from_slice(&values[..valid]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::{assert_close, noise};
    use super::super::simd::{Isa, Kernel};
    use super::*;

    struct Multiply<'a> {
        size: Size,
        left: Matrix<'a>,
        right: Matrix<'a>,
        to: &'a mut [f32],
        pitch: usize,
    }

    impl Kernel for Multiply<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let mut scratch = vec![f32::NAN; self.size.scratch_len((S::ROWS, S::COLUMNS))];
            multiply(s, self.size, self.left, self.right, 0.5, self.to, self.pitch, &mut scratch);
        }
    }

    #[test]
    fn matches_reference_for_odd_shapes_and_transposes() {
        for isa in Isa::available() {
            for [rows, depth, columns] in [[1, 1, 1], [15, 7, 33], [29, 300, 5], [6, 513, 70]] {
                let (a, b) = (noise(1, rows * depth), noise(2, depth * columns));
                let straight =
                    [Matrix { data: &a, row: depth, column: 1 }, Matrix { data: &b, row: columns, column: 1 }];
                let transposed =
                    [Matrix { data: &a, row: 1, column: rows }, Matrix { data: &b, row: 1, column: depth }];
                for [left, right] in [straight, transposed] {
                    let pitch = columns + 3;
                    let mut to = vec![7.0; rows * pitch];
                    isa.run(Multiply { size: Size { rows, depth, columns }, left, right, to: &mut to, pitch });
                    let mut expected = vec![7.0; to.len()];
                    for i in 0..rows {
                        for j in 0..columns {
                            let product = |k: usize| {
                                let a = left.data[i * left.row + k * left.column];
                                f64::from(a) * f64::from(right.data[k * right.row + j * right.column])
                            };
                            expected[i * pitch + j] = 0.5 * (0..depth).map(product).sum::<f64>();
                        }
                    }
                    assert_close(&to, &expected, 1e-5, &format!("{isa:?} {rows}x{depth}x{columns}"));
                }
            }
        }
    }
}
