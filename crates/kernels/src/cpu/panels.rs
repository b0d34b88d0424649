//! Packing of the right operand, the weights, into panels that are as wide as a register tile.
//!
//! The depth is cut into blocks, and each block into panels, `[depth of the block in packed elements, columns of a
//! tile]`. The micro-kernel reads a panel sequentially.

use std::ops::Range;

use rayon::prelude::*;

use super::bf16_packing::PackAcross;
use super::im2col::MAX_DEPTH;
use super::simd::{BLOCK, Isa, Kernel, MAX_LANES, MAX_WIDTH, Simd};

/// The memory layout of a packed right operand of `depth` x `columns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panels {
    depth: usize,
    columns: usize,
    /// Columns of a register tile.
    width: usize,
    /// Depth of a block. The last block may be shorter.
    block: usize,
    isa: Isa,
}

impl Panels {
    /// Plans blocks of nearly equal depth, at most [`MAX_DEPTH`].
    pub(crate) fn new(depth: usize, columns: usize, isa: Isa) -> Self {
        let blocks = depth.div_ceil(MAX_DEPTH).max(1);
        // A multiple of the widest register, so that packing the left operand works on whole registers, and of the steps
        // that a matrix unit adds at once.
        let multiple = MAX_LANES.max(isa.steps() * isa.depth_multiple());
        let block = depth.div_ceil(blocks).next_multiple_of(multiple).min(depth).max(1);
        Self { depth, columns, width: isa.tile().1, block, isa }
    }

    /// The number of elements of the packed operand. The last panel is padded with zeros.
    pub(crate) fn len(&self) -> usize {
        self.elements(self.depth) * self.padded_columns()
    }

    /// Rows of the operand.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Columns of the operand.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// The blocks of the depth, in order.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let Self { depth, block, .. } = *self;
        (0..depth).step_by(block).map(move |start| start..depth.min(start + block))
    }

    /// Returns the range of the panel that starts at `column` in a block of the depth.
    pub(crate) fn panel(&self, block: &Range<usize>, column: usize) -> Range<usize> {
        let elements = self.elements(block.len());
        let start = self.elements(block.start) * self.padded_columns() + column * elements;
        start..start + elements * self.width
    }

    /// Packs `matrix` into `to`.
    pub(crate) fn pack(&self, matrix: WeightMatrix<'_, impl Fn(usize) -> usize + Sync>, to: &mut [f32]) {
        if self.depth == 0 {
            return;
        }
        let blocks: Vec<_> = self.blocks().collect();
        let block_len = self.elements(self.block) * self.padded_columns();
        to[..self.len()].par_chunks_mut(block_len).zip(&blocks).for_each(|(to, block)| {
            let panels = to.par_chunks_mut(self.elements(block.len()) * self.width).enumerate();
            panels.for_each(|(panel, to)| {
                let first = panel * self.width;
                let valid = self.width.min(self.columns - first);
                // `ROWS_AT_ONCE` rows fit into the first-level cache, even if the weights are read column by column.
                let parts = to.chunks_mut(self.elements(ROWS_AT_ONCE) * self.width);
                for (k, to) in block.clone().step_by(ROWS_AT_ONCE).zip(parts) {
                    if self.isa.steps() == 1 {
                        matrix.copy_rows(self.isa, k, first..first + valid, self.width, to);
                    } else {
                        self.pack_bf16(&matrix, k..block.end.min(k + ROWS_AT_ONCE), first..first + valid, to);
                    }
                }
            });
        });
    }

    /// Packs the rows `depth` of a panel as pairs of bf16.
    fn pack_bf16(
        &self,
        matrix: &WeightMatrix<'_, impl Fn(usize) -> usize>,
        depth: Range<usize>,
        columns: Range<usize>,
        to: &mut [f32],
    ) {
        let mut rows = [0.0; ROWS_AT_ONCE * MAX_WIDTH];
        let rows = &mut rows[..depth.len() * self.width];
        matrix.copy_rows(self.isa, depth.start, columns, self.width, rows);
        self.isa.run(PackAcross { rows, pitch: self.width, count: depth.len() });
        let (to, padding) = to.split_at_mut(depth.len().div_ceil(self.isa.steps()) * self.width);
        to.copy_from_slice(&rows[..to.len()]);
        padding.fill(0.0);
    }

    /// The number of packed elements that hold `steps` steps of the depth, including padding.
    fn elements(&self, steps: usize) -> usize {
        steps.div_ceil(self.isa.steps()).next_multiple_of(self.isa.depth_multiple())
    }

    fn padded_columns(&self) -> usize {
        self.columns.next_multiple_of(self.width)
    }
}

/// The number of rows that are packed at once.
const ROWS_AT_ONCE: usize = 128;

/// A right operand before packing: a strided view of the weights. Row `k` starts at `row_start(k)`.
pub(crate) struct WeightMatrix<'a, F> {
    /// All weights.
    pub(crate) weights: &'a [f32],
    /// The offset of the first element of a row.
    pub(crate) row_start: F,
    /// Stride from one column to the next.
    pub(crate) column_stride: usize,
}

impl<F: Fn(usize) -> usize> WeightMatrix<'_, F> {
    /// Copies `columns` of the rows from `k` on into `to`, `[rows, width]`, and pads each row with zeros.
    fn copy_rows(&self, isa: Isa, k: usize, columns: Range<usize>, width: usize, to: &mut [f32]) {
        let rows = to.len() / width;
        let mut starts = [0; ROWS_AT_ONCE];
        for (i, start) in starts[..rows].iter_mut().enumerate() {
            *start = (self.row_start)(k + i) + columns.start * self.column_stride;
        }
        let starts = &starts[..rows];
        let is_transposed = starts.windows(2).all(|pair| pair[1] == pair[0] + 1);
        if is_transposed && columns.len() == width && width.is_multiple_of(BLOCK) && rows.is_multiple_of(BLOCK) {
            let from = &self.weights[starts[0]..];
            isa.run_in_f32(TransposeBlocks { from, pitch: self.column_stride, width, to: &mut *to });
        } else if self.column_stride == 1 {
            for (&start, to) in starts.iter().zip(to.chunks_exact_mut(width)) {
                to[..columns.len()].copy_from_slice(&self.weights[start..][..columns.len()]);
            }
        } else {
            for j in 0..columns.len() {
                for (&start, to) in starts.iter().zip(to.chunks_exact_mut(width)) {
                    to[j] = self.weights[start + j * self.column_stride];
                }
            }
        }
        for to in to.chunks_exact_mut(width) {
            to[columns.len()..].fill(0.0);
        }
    }
}

/// Transposes blocks of weights: `to[k, j] = from[j * pitch + k]`, where `to` is `[rows, width]`. Both are multiples of
/// [`BLOCK`].
struct TransposeBlocks<'a> {
    from: &'a [f32],
    pitch: usize,
    width: usize,
    to: &'a mut [f32],
}

impl Kernel for TransposeBlocks<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { from, pitch, width, to } = self;
        for column in (0..width).step_by(BLOCK) {
            for k in (0..to.len() / width).step_by(BLOCK) {
                s.transpose_block(&from[column * pitch + k..], pitch, &mut to[k * width + column..], width);
            }
        }
    }
}
