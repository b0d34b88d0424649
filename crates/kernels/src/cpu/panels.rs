//! Packing of the right operand: blocks of the depth, each cut into panels as wide as a register tile.
//!
//! A panel, `[depth of the block in packed elements, columns of a tile]`, is read from its first element to its last by the innermost loop.

use std::ops::Range;

use rayon::prelude::*;

use super::bf16_packing::PackAcross;
use super::im2col::MAX_DEPTH;
use super::simd::{Isa, MAX_WIDTH};

/// How a right operand of `depth` x `columns` is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panels {
    depth: usize,
    columns: usize,
    /// Columns of a tile.
    width: usize,
    /// Depth of a block; the last may be shorter.
    block: usize,
    isa: Isa,
}

impl Panels {
    /// Blocks of nearly equal depth, none above [`MAX_DEPTH`].
    pub(crate) fn new(depth: usize, columns: usize, isa: Isa) -> Self {
        let blocks = depth.div_ceil(MAX_DEPTH).max(1);
        // Whole vectors of the widest instruction set, so that packing the left operand works on whole vectors.
        let block = depth.div_ceil(blocks).next_multiple_of(16).min(depth).max(1);
        Self { depth, columns, width: isa.tile().1, block, isa }
    }

    /// Elements of the packed operand; the last panel is filled up with zeros.
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

    /// The blocks of the depth in order.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let Self { depth, block, .. } = *self;
        (0..depth).step_by(block).map(move |start| start..depth.min(start + block))
    }

    /// Where the panel lies that starts at `column` of a block of the depth.
    pub(crate) fn panel(&self, block: &Range<usize>, column: usize) -> Range<usize> {
        let elements = self.elements(block.len());
        let start = self.elements(block.start) * self.padded_columns() + column * elements;
        start..start + elements * self.width
    }

    /// Packs the operand that `columns` gives.
    pub(crate) fn pack(&self, columns: Columns<'_, impl Fn(usize) -> usize + Sync>, to: &mut [f32]) {
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
                // Some rows at a time stay in the first-level cache, in either order of reading.
                let parts = to.chunks_mut(self.elements(ROWS_AT_ONCE) * self.width);
                for (k, to) in block.clone().step_by(ROWS_AT_ONCE).zip(parts) {
                    if self.isa.steps() == 1 {
                        columns.copy(k, first..first + valid, self.width, to);
                    } else {
                        self.pack_steps(&columns, k..block.end.min(k + ROWS_AT_ONCE), first..first + valid, to);
                    }
                }
            });
        });
    }

    /// Packs some rows of a panel, more than one step to an element.
    fn pack_steps(
        &self,
        columns: &Columns<'_, impl Fn(usize) -> usize>,
        depth: Range<usize>,
        of: Range<usize>,
        to: &mut [f32],
    ) {
        let mut rows = [0.0; ROWS_AT_ONCE * MAX_WIDTH];
        let rows = &mut rows[..depth.len() * self.width];
        columns.copy(depth.start, of, self.width, rows);
        self.isa.run(PackAcross { rows, pitch: self.width, count: depth.len() });
        to.copy_from_slice(&rows[..to.len()]);
    }

    /// Elements that hold `steps` of the depth.
    fn elements(&self, steps: usize) -> usize {
        steps.div_ceil(self.isa.steps())
    }

    fn padded_columns(&self) -> usize {
        self.columns.next_multiple_of(self.width)
    }
}

/// Rows that are packed at once.
const ROWS_AT_ONCE: usize = 128;

/// A right operand as it lies in the weights: row `k` starts at `first(k)`, and its elements are `step` apart.
pub(crate) struct Columns<'a, F> {
    /// All weights.
    pub(crate) weights: &'a [f32],
    /// Where a row starts.
    pub(crate) first: F,
    /// From one column to the next.
    pub(crate) step: usize,
}

impl<F: Fn(usize) -> usize> Columns<'_, F> {
    /// Copies the rows from `k` on, of the `columns`, to as many rows of `width` as `to` has; zeros follow the columns.
    fn copy(&self, k: usize, columns: Range<usize>, width: usize, to: &mut [f32]) {
        let rows = to.len() / width;
        let mut starts = [0; ROWS_AT_ONCE];
        for (i, start) in starts[..rows].iter_mut().enumerate() {
            *start = (self.first)(k + i) + columns.start * self.step;
        }
        let starts = &starts[..rows];
        if self.step == 1 {
            for (&start, to) in starts.iter().zip(to.chunks_exact_mut(width)) {
                to[..columns.len()].copy_from_slice(&self.weights[start..][..columns.len()]);
            }
        } else {
            for j in 0..columns.len() {
                for (&start, to) in starts.iter().zip(to.chunks_exact_mut(width)) {
                    to[j] = self.weights[start + j * self.step];
                }
            }
        }
        for to in to.chunks_exact_mut(width) {
            to[columns.len()..].fill(0.0);
        }
    }
}
