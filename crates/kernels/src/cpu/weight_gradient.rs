//! The weight gradient of a convolution as a blocked matrix product (GEMM).
//!
//! The result has a row for each (tap, input channel) and a column for each output channel. The depth runs over the
//! pixels of the batch. The work is cut into units of rows and columns. If there are fewer than `UNITS`, each is cut
//! further into ranges of pixels, whose partial results are added in order. The units depend only on the shapes, so
//! results do not depend on the number of threads.

use std::ops::Range;

use half::bf16;
use rayon::prelude::*;

use super::bf16_packing;
use super::buffer::with_scratch;
use super::im2col::{Im2col, MAX_DEPTH, RowSegment, row_segments};
use super::micro_kernel::{LeftStrides, RowMajor, micro_kernel};
use super::operand::Operand;
use super::prefetch::{PixelRange, Prefetcher};
use super::simd::{BLOCK, Isa, Kernel, MAX_WIDTH, Simd};

/// The most rows of the result in a unit.
const MAX_ROWS: usize = 288;
/// The most columns of the result in a unit.
const MAX_COLUMNS: usize = 256;
/// The most pixels that are packed at once.
const MAX_PIXELS: usize = 112;
/// The same for a matrix unit: as many pairs of pixels as a row of [`RowMajor`] has steps.
const MAX_PIXELS_OF_MATRIX_UNIT: usize = 2 * MAX_DEPTH;
/// The number of units to aim for.
const UNITS: usize = 16;
/// The number of weights of an output channel that are written at once.
const WEIGHTS_AT_ONCE: usize = 64;

/// The left operand is packed with one row for each step of the depth. (For a matrix unit, it is packed as [`RowMajor`].)
struct DepthMajor;

impl LeftStrides for DepthMajor {
    const ROW: usize = 1;
    const DEPTH: usize = MAX_ROWS + 16;
}

/// The plan for the weight gradient of a convolution, for one batch shape.
#[derive(Clone, Debug)]
pub struct WeightGradient {
    im2col: Im2col,
    /// Height and width of the grid, which is the convolution's output.
    grid: (usize, usize),
    /// The number of output channels.
    columns: usize,
    row_block: usize,
    column_block: usize,
    /// The most pixels that are packed at once.
    max_pixels: usize,
    pixel_ranges: Vec<Range<usize>>,
    isa: Isa,
    /// The row of the result for each weight of an output channel, `[inputs, kernel, kernel]`.
    row_of_weight: Vec<u32>,
}

impl WeightGradient {
    /// Plans the weight gradient of a convolution with the im2col matrix `im2col` and outputs of (height, width)
    /// `grid`. `weight_offsets` is the offset of each row of the result, a (tap, input channel), among the weights of
    /// an output channel.
    pub(crate) fn new(
        im2col: Im2col,
        images: usize,
        grid: (usize, usize),
        columns: usize,
        weight_offsets: &[u32],
        isa: Isa,
    ) -> Self {
        let rows = im2col.depth();
        let row_block = rows.div_ceil(rows.div_ceil(MAX_ROWS)).next_multiple_of(4).min(MAX_ROWS);
        let column_block = columns.min(MAX_COLUMNS);
        let blocks = rows.div_ceil(row_block) * columns.div_ceil(column_block);
        let pixels = images * grid.0 * grid.1;
        let max_pixels = if isa.has_matrix_unit() { MAX_PIXELS_OF_MATRIX_UNIT } else { MAX_PIXELS };
        let ranges = UNITS.div_ceil(blocks).min(pixels.div_ceil(max_pixels));
        let per_range = pixels.div_ceil(ranges).next_multiple_of(max_pixels);
        let pixel_ranges = (0..pixels).step_by(per_range).map(|start| start..pixels.min(start + per_range)).collect();
        let mut row_of_weight = vec![0; weight_offsets.len()];
        for (row, &offset) in weight_offsets.iter().enumerate() {
            row_of_weight[offset as usize] = row as u32;
        }
        Self { im2col, grid, columns, row_block, column_block, max_pixels, pixel_ranges, isa, row_of_weight }
    }

    /// The number of elements of scratch memory for partial results.
    pub(crate) fn partial_len(&self) -> usize {
        self.pixel_ranges.len() * self.blocks().count() * self.unit_len()
    }

    /// Computes the weight gradient into `to`, `[outputs, inputs, kernel, kernel]`, from the convolution's input and
    /// the gradient of its output. `partial` is scratch memory.
    pub(crate) fn run(&self, input: &Operand<'_>, gradient: &Operand<'_>, partial: &mut [f32], to: &mut [f32]) {
        let partial = &mut partial[..self.partial_len()];
        let blocks: Vec<_> = self.blocks().collect();
        partial.par_chunks_mut(self.unit_len()).enumerate().for_each(|(i, partial)| {
            let (rows, columns) = blocks[i % blocks.len()].clone();
            let pixels = self.pixel_ranges[i / blocks.len()].clone();
            with_scratch(self.scratch(), |[left, right]| {
                self.isa.run(Unit { plan: self, input, gradient, rows, columns, pixels, partial, left, right });
            });
        });
        self.sum_partial_results(partial, to);
    }

    /// The number of elements of scratch memory for the packed operands of a unit.
    fn scratch(&self) -> [usize; 2] {
        let (rows, columns) = self.isa.tile();
        let right = self.max_pixels * MAX_COLUMNS.next_multiple_of(columns);
        match self.isa.has_matrix_unit() {
            true => [self.staged_len() + MAX_ROWS.next_multiple_of(rows) * RowMajor::ROW, right],
            false => [self.max_pixels * DepthMajor::DEPTH + rows, right],
        }
    }

    /// The number of pixels that are packed together for a matrix unit: those of a block of the transpose.
    fn staged_pixels(&self) -> usize {
        self.isa.steps() * BLOCK
    }

    /// The number of elements of staging memory for these pixels, and for their pairs.
    fn staged_len(&self) -> usize {
        2 * BLOCK * DepthMajor::DEPTH
    }

    /// Returns the part of the input that the rows `rows` read at `pixels`, for 1x1 convolutions with stride 1. For
    /// others, the range is empty.
    #[inline(always)]
    fn input_pixels(&self, rows: &Range<usize>, pixels: &Range<usize>) -> PixelRange {
        let Im2col { ref source, stride, ref taps, channels } = self.im2col;
        let simple = stride == 1 && taps[..] == [(0, 0)] && source.pixel == channels;
        PixelRange { pixels: if simple { pixels.clone() } else { 0..0 }, pitch: channels, channels: rows.clone() }
    }

    /// Returns the part of the output gradient that the columns `columns` read at `pixels`.
    #[inline(always)]
    fn gradient_pixels(&self, columns: &Range<usize>, pixels: &Range<usize>) -> PixelRange {
        PixelRange { pixels: pixels.clone(), pitch: self.columns, channels: columns.clone() }
    }

    /// Iterates over the rows and columns of each unit.
    fn blocks(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let rows = self.im2col.depth();
        (0..self.columns).step_by(self.column_block).flat_map(move |column| {
            let columns = column..self.columns.min(column + self.column_block);
            (0..rows).step_by(self.row_block).map(move |row| (row..rows.min(row + self.row_block), columns.clone()))
        })
    }

    /// The number of elements of a unit's result, in full register tiles.
    fn unit_len(&self) -> usize {
        self.row_block.next_multiple_of(self.isa.tile().0) * self.column_block.next_multiple_of(self.isa.tile().1)
    }

    /// Adds the partial results of the pixel ranges in order, and writes them in the order of the weights.
    fn sum_partial_results(&self, partial: &[f32], to: &mut [f32]) {
        let rows = self.im2col.depth();
        let width = self.isa.tile().1;
        let blocks: Vec<_> = self.blocks().collect();
        let stride = blocks.len() * self.unit_len();
        to.par_chunks_mut(width * rows).enumerate().for_each(|(panel, to)| {
            let first = panel * width;
            // The units of these columns are consecutive, one for each block of rows.
            let unit = first / self.column_block * rows.div_ceil(self.row_block);
            let mut sums = [0.0; WEIGHTS_AT_ONCE * MAX_WIDTH];
            for (chunk, row_of_weight) in self.row_of_weight.chunks(WEIGHTS_AT_ONCE).enumerate() {
                for (&row, sums) in row_of_weight.iter().zip(sums.chunks_exact_mut(width)) {
                    let (block, row) = (row as usize / self.row_block, row as usize % self.row_block);
                    let row_tiles = blocks[unit + block].0.len().div_ceil(self.isa.tile().0);
                    let row = first % self.column_block / width * row_tiles * self.isa.tile().0 + row;
                    let at = (unit + block) * self.unit_len() + row * width;
                    sums.copy_from_slice(&partial[at..][..width]);
                    for range in 1..self.pixel_ranges.len() {
                        let partial = &partial[range * stride + at..][..width];
                        sums.iter_mut().zip(partial).for_each(|(sum, value)| *sum += value);
                    }
                }
                // Transpose in the cache, so that the weights of each output channel are written sequentially.
                for (j, to) in to.chunks_exact_mut(rows).enumerate() {
                    let to = &mut to[chunk * WEIGHTS_AT_ONCE..][..row_of_weight.len()];
                    for (to, sums) in to.iter_mut().zip(sums.chunks_exact(width)) {
                        *to = sums[j];
                    }
                }
            }
        });
    }
}

/// Computes one unit.
struct Unit<'a> {
    plan: &'a WeightGradient,
    input: &'a Operand<'a>,
    gradient: &'a Operand<'a>,
    rows: Range<usize>,
    columns: Range<usize>,
    pixels: Range<usize>,
    partial: &'a mut [f32],
    left: &'a mut [f32],
    right: &'a mut [f32],
}

impl Kernel for Unit<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        for start in self.pixels.clone().step_by(self.plan.max_pixels) {
            let pixels = start..self.pixels.end.min(start + self.plan.max_pixels);
            if S::MATRIX_UNIT {
                self.pack_for_matrix_unit(simd, pixels.clone());
                let panel_len = bf16_packing::elements::<S>(pixels.len()) * S::COLUMNS;
                self.multiply::<S, RowMajor>(simd, pixels, self.plan.staged_len(), panel_len);
            } else {
                self.pack(simd, pixels.clone());
                let panel_len = pixels.len() * S::COLUMNS;
                self.multiply::<S, DepthMajor>(simd, pixels, 0, panel_len);
            }
        }
    }
}

impl Unit<'_> {
    /// Packs the operands at `pixels`: the left one as `[pixels, rows]`, in packed elements, and the right one with
    /// [`pack_right`].
    #[inline(always)]
    fn pack<S: Simd>(&mut self, simd: S, pixels: Range<usize>) {
        let (height, width) = self.plan.grid;
        let segments: Vec<RowSegment> = row_segments(pixels.clone(), height, width).collect();
        self.plan.im2col.pack(simd, self.input, &segments, self.rows.clone(), self.left, DepthMajor::DEPTH);
        bf16_packing::pack_across(simd, self.left, DepthMajor::DEPTH, pixels.len(), self.rows.len());
        pack_right(simd, self.gradient, self.plan.columns, pixels, self.columns.clone(), self.right);
    }

    /// Packs the operands at `pixels`: the left one as `[rows, pairs of pixels]`, after the staging memory, and the right
    /// one as panels, `[pairs of pixels, columns of a tile]`. Missing pixels are zero.
    ///
    /// Some pixels at a time are copied as bf16 into the staging memory, which stays in the first-level cache. Then their
    /// values are paired. The left operand is also transposed.
    #[inline(always)]
    fn pack_for_matrix_unit<S: Simd>(&mut self, simd: S, pixels: Range<usize>) {
        assert!(S::DEPTH_MULTIPLE == BLOCK, "the padding of the depth fills whole blocks of the transpose");
        let (height, width) = self.plan.grid;
        let panel_len = bf16_packing::elements::<S>(pixels.len()) * S::COLUMNS;
        let (stage, left) = self.left.split_at_mut(self.plan.staged_len());
        let (stage, pairs) = stage.split_at_mut(BLOCK * DepthMajor::DEPTH);
        let stage: &mut [bf16] = bytemuck::cast_slice_mut(stage);
        let staged = self.plan.staged_pixels();
        for (part, start) in pixels.clone().step_by(staged).enumerate() {
            let some = start..pixels.end.min(start + staged);
            let segments: Vec<RowSegment> = row_segments(some.clone(), height, width).collect();
            self.plan.im2col.pack(simd, self.input, &segments, self.rows.clone(), stage, DepthMajor::DEPTH);
            stage[some.len() * DepthMajor::DEPTH..staged * DepthMajor::DEPTH].fill(bf16::ZERO);
            let rows = self.rows.len();
            for (two, pairs) in
                stage.chunks_exact(2 * DepthMajor::DEPTH).zip(pairs.chunks_exact_mut(DepthMajor::DEPTH)).take(BLOCK)
            {
                let (even, odd) = two.split_at(DepthMajor::DEPTH);
                for column in (0..rows).step_by(S::COLUMNS) {
                    simd.interleave(&even[column..], &odd[column..], &mut pairs[column..]);
                }
            }
            for row in (0..rows).step_by(BLOCK) {
                let to = &mut left[row * RowMajor::ROW + part * BLOCK..];
                simd.transpose_block(&pairs[row..], DepthMajor::DEPTH, to, RowMajor::ROW);
            }

            let columns = self.columns.len();
            let pitch = columns.next_multiple_of(S::COLUMNS);
            for (pixel, stage) in some.clone().zip(stage.chunks_exact_mut(pitch)) {
                let at = pixel * self.plan.columns + self.columns.start;
                self.gradient.copy(simd, at, self.columns.start, &mut stage[..columns]);
                stage[columns..].fill(bf16::ZERO);
            }
            stage[some.len() * pitch..staged * pitch].fill(bf16::ZERO);
            for (panel, to) in self.right.chunks_exact_mut(panel_len).take(pitch / S::COLUMNS).enumerate() {
                let to = &mut to[part * BLOCK * S::COLUMNS..][..BLOCK * S::COLUMNS];
                for (two, to) in stage.chunks_exact(2 * pitch).zip(to.chunks_exact_mut(S::COLUMNS)) {
                    let (even, odd) = two.split_at(pitch);
                    simd.interleave(&even[panel * S::COLUMNS..], &odd[panel * S::COLUMNS..], to);
                }
            }
        }
    }

    /// Adds the product of the packed operands at `pixels` to the result. The left operand starts at `left`.
    #[inline(always)]
    fn multiply<S: Simd, L: LeftStrides>(&mut self, simd: S, pixels: Range<usize>, left: usize, panel_len: usize) {
        let Self { plan, .. } = *self;
        let row_tiles = self.rows.len().div_ceil(S::ROWS);
        let tile_len = S::ROWS * S::COLUMNS;
        let panels = self.columns.len().div_ceil(S::COLUMNS);
        let elements = bf16_packing::elements::<S>(pixels.len());
        let next = pixels.end..self.pixels.end.min(pixels.end + plan.max_pixels);
        let (input, gradient) = (plan.input_pixels(&self.rows, &next), plan.gradient_pixels(&self.columns, &next));
        let mut input = Prefetcher::new(self.input, input, row_tiles * panels);
        let mut gradient = Prefetcher::new(self.gradient, gradient, row_tiles * panels);
        let accumulate = pixels.start > self.pixels.start;
        for (panel, right) in self.right.chunks_exact(panel_len).take(panels).enumerate() {
            for t in 0..row_tiles {
                let rows = S::ROWS.min(self.rows.len() - t * S::ROWS);
                let to = &mut self.partial[(panel * row_tiles + t) * tile_len..][..tile_len];
                let left = &self.left[left + t * S::ROWS * L::ROW..];
                input.step(simd);
                gradient.step(simd);
                micro_kernel::<S, L>(simd, rows, elements, left, right, to, accumulate);
            }
        }
    }
}

/// Packs `columns` of the output gradient, which has `channels` channels, into panels, `[pixels, columns of a tile]` in
/// packed elements. The last panel is padded with zeros.
#[inline(always)]
fn pack_right<S: Simd>(
    simd: S,
    gradient: &Operand<'_>,
    channels: usize,
    pixels: Range<usize>,
    columns: Range<usize>,
    to: &mut [f32],
) {
    let panel_len = pixels.len() * S::COLUMNS;
    // Read the gradient sequentially, pixel by pixel. The panels stay in the second-level cache.
    for (i, pixel) in pixels.clone().enumerate() {
        for (panel, column) in columns.clone().step_by(S::COLUMNS).enumerate() {
            let to = &mut to[panel * panel_len + i * S::COLUMNS..][..S::COLUMNS];
            let (to, padding) = to.split_at_mut(S::COLUMNS.min(columns.end - column));
            gradient.copy(simd, pixel * channels + column, column, to);
            padding.fill(0.0);
        }
    }
    for panel in to.chunks_exact_mut(panel_len).take(columns.len().div_ceil(S::COLUMNS)) {
        bf16_packing::pack_across(simd, panel, S::COLUMNS, pixels.len(), S::COLUMNS);
    }
}
