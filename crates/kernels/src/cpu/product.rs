//! A convolution as a blocked matrix product (GEMM): the loops around the micro-kernel.
//!
//! The output is cut into units of some rows of pixels, which are computed in parallel. A unit loops over blocks of
//! pixels, of output channels and of the depth. For each block it packs the left operand into the second-level cache,
//! and computes the register tiles, one panel of the right operand after the other. After the last block of the depth,
//! each tile goes to the epilogue. (Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM
//! TOMS 34, 2008.)
//!
//! The units, and therefore the order of all additions, depend only on the shapes and the instruction set. Results do
//! not depend on the number of threads.

use std::ops::Range;

use half::bf16;
use rayon::prelude::*;

use super::bf16_packing;
use super::buffer::with_scratch;
use super::epilogue::{Epilogue, Tile, should_stream};
use super::im2col::{Im2col, ImageLayout, MAX_DEPTH, RowSegment};
use super::micro_kernel::{LeftStrides, RowMajor, micro_kernel};
use super::operand::Operand;
use super::panels::Panels;
use super::prefetch::{PixelRange, Prefetcher};
use super::simd::{Isa, Kernel, Simd};
use super::units::{UnitOutput, Units, best_rows_per_unit};
use super::values::ValuesMut;

/// The most pixels that are packed at once (`mc` in BLIS).
const MAX_PIXELS: usize = 112;
/// The same for a matrix unit. It multiplies faster, so that it needs the weights less often.
const MAX_PIXELS_OF_MATRIX_UNIT: usize = 256;
/// The most output channels whose tiles are kept over all blocks of the depth (`nc` in BLIS).
const MAX_COLUMNS: usize = 512;
/// The fewest pixels of a unit, even if that gives fewer than [`UNITS`] units.
const MIN_PIXELS: usize = 56;
/// The number of units to aim for.
const UNITS: usize = 16;

/// A product for every `step`-th pixel of the output in both directions, starting at `first`.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    /// The left operand.
    pub(crate) im2col: Im2col,
    /// The layout of the right operand.
    pub(crate) panels: Panels,
    /// The offset of the right operand in the packed weights.
    pub(crate) weights_offset: usize,
    /// The first pixel of the output (down, right).
    pub(crate) first: (usize, usize),
}

/// The plan for the output or the input gradient of a convolution, for one batch shape.
#[derive(Clone, Debug)]
pub struct Product {
    /// The layout of the output.
    to: ImageLayout,
    channels: usize,
    /// The distance between neighbouring pixels of a phase, in rows and columns of the output.
    step: usize,
    phases: Vec<Phase>,
    /// The rows of each unit in the grid of a phase, counted over all images.
    rows: Vec<Range<usize>>,
    units: Units,
    /// The most pixels that are packed at once.
    max_pixels: usize,
    isa: Isa,
}

impl Product {
    /// Plans a product with the output `[images, height, width, channels]`, where `to` is (height, width). There are
    /// `step` x `step` phases, which together cover the output.
    pub(crate) fn new(images: usize, to: (usize, usize), channels: usize, phases: Vec<Phase>, isa: Isa) -> Self {
        let step = phases.len().isqrt();
        let to = ImageLayout::contiguous(to.0, to.1, channels);
        let rows = images * to.height.div_ceil(step);
        let max_pixels = if isa.has_matrix_unit() { MAX_PIXELS_OF_MATRIX_UNIT } else { MAX_PIXELS };
        let per_unit = rows_per_unit(rows, to.width.div_ceil(step), isa.tile().0, max_pixels);
        let rows: Vec<_> = (0..rows).step_by(per_unit).map(|start| start..rows.min(start + per_unit)).collect();
        // The first output pixel of a row of the grid, counted over the whole batch.
        let per_image = to.height.div_ceil(step);
        let first = |row: usize| (row / per_image * to.height + row % per_image * step) * to.width;
        let starts = rows.iter().map(|rows| first(rows.start)).chain([images * to.height * to.width]).collect();
        Self { to, channels, step, phases, rows, units: Units::new(channels, starts), max_pixels, isa }
    }

    /// The units of the output.
    pub(crate) fn units(&self) -> &Units {
        &self.units
    }

    /// The phases, with the layouts of their right operands.
    pub(crate) fn phases(&self) -> &[Phase] {
        &self.phases
    }

    /// The number of elements of the packed weights.
    pub(crate) fn packed_len(&self) -> usize {
        self.phases.iter().map(|phase| phase.panels.len()).sum()
    }

    /// Computes the product into `to`. `sums`, `[units, E::SUMS, channels]`, receives the sums of the epilogue.
    pub(crate) fn run<E: Epilogue>(
        &self,
        operand: &Operand<'_>,
        weights: &[f32],
        epilogue: &E,
        to: ValuesMut<'_>,
        sums: &mut [f32],
    ) {
        let stream = should_stream(to.as_values().slice(0..self.units.output_len()));
        let outputs = self.units.split(E::SUMS, to, sums).into_iter().zip(&self.rows);
        let unit = |(output, rows): (_, &Range<usize>)| Unit {
            product: self,
            operand,
            weights,
            epilogue,
            rows: rows.clone(),
            stream,
            output,
        };
        let units: Vec<_> = outputs.map(unit).collect();
        let (rows, columns) = self.isa.tile();
        let pixels = self.max_pixels.next_multiple_of(rows);
        let scratch = [pixels * RowMajor::ROW, pixels * MAX_COLUMNS.next_multiple_of(columns)];
        units.into_par_iter().for_each(|unit| {
            with_scratch(scratch, |[left, tiles]| self.isa.run(Task { unit, left, tiles }));
        });
    }
}

/// Returns the number of rows of `width` pixels in a unit. A unit has about `max_pixels` pixels, or fewer if there would
/// be fewer than [`UNITS`] units.
fn rows_per_unit(rows: usize, width: usize, tile: usize, max_pixels: usize) -> usize {
    let pixels = (rows * width / UNITS).clamp(MIN_PIXELS, max_pixels);
    best_rows_per_unit((pixels / width).max(1), width, tile)
}

/// The operands and the output of one unit.
struct Unit<'a, E> {
    product: &'a Product,
    operand: &'a Operand<'a>,
    weights: &'a [f32],
    epilogue: &'a E,
    /// The rows of the unit in the grid.
    rows: Range<usize>,
    stream: bool,
    output: UnitOutput<'a>,
}

/// Computes one unit, with scratch memory for its packed left operand and its tiles.
struct Task<'a, E> {
    unit: Unit<'a, E>,
    left: &'a mut [f32],
    tiles: &'a mut [f32],
}

impl<E: Epilogue> Kernel for Task<'_, E> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { mut unit, left, tiles } = self;
        unit.output.sums.fill(0.0);
        let mut first = true;
        for phase in &unit.product.phases {
            for block in unit.product.blocks(phase, &unit.rows) {
                unit.block(simd, phase, &block, left, tiles, first);
                first = false;
            }
        }
    }
}

impl Product {
    /// Returns the height and width of the grid of a phase.
    fn grid(&self, phase: &Phase) -> (usize, usize) {
        let side = |side: usize, first: usize| (side - first.min(side)).div_ceil(self.step);
        (side(self.to.height, phase.first.0), side(self.to.width, phase.first.1))
    }

    /// Cuts the pixels of a phase in some rows of the grid into blocks.
    fn blocks(&self, phase: &Phase, rows: &Range<usize>) -> Vec<Block> {
        let (height, width) = self.grid(phase);
        let per_image = self.to.height.div_ceil(self.step);
        let mut blocks = vec![Block::default()];
        for row in rows.clone().filter(|row| row % per_image < height) {
            let mut rest = RowSegment { image: row / per_image, y: row % per_image, x: 0, len: width };
            while rest.len > 0 {
                let last = blocks.len() - 1;
                let taken = blocks[last].push(self, phase, rest);
                if taken == 0 {
                    blocks.push(Block::default());
                }
                rest = RowSegment { x: rest.x + taken, len: rest.len - taken, ..rest };
            }
        }
        blocks.retain(|block| !block.pixels.is_empty());
        blocks
    }
}

/// Pixels that are packed together.
#[derive(Default)]
struct Block {
    /// Their positions in the grid.
    segments: Vec<RowSegment>,
    /// The same pixels, as indices in the output over the whole batch.
    pixels: Vec<usize>,
}

impl Block {
    /// Appends as many pixels of `segment` as fit, and returns their number.
    fn push(&mut self, product: &Product, phase: &Phase, segment: RowSegment) -> usize {
        let len = segment.len.min(product.max_pixels - self.pixels.len());
        if len == 0 {
            return 0;
        }
        self.segments.push(RowSegment { len, ..segment });
        let y = segment.image * product.to.height + segment.y * product.step + phase.first.0;
        let pixel = |x: usize| y * product.to.width + x * product.step + phase.first.1;
        self.pixels.extend((segment.x..segment.x + len).map(pixel));
        len
    }
}

impl<E: Epilogue> Unit<'_, E> {
    /// Computes a block of pixels for all output channels.
    #[inline(always)]
    fn block<S: Simd>(
        &mut self,
        simd: S,
        phase: &Phase,
        block: &Block,
        left: &mut [f32],
        tiles: &mut [f32],
        first: bool,
    ) {
        let panels = &phase.panels;
        let rows = block.pixels.len();
        let row_tiles = rows.div_ceil(S::ROWS);
        let tile_len = S::ROWS * S::COLUMNS;
        let mut prefetcher = Prefetcher::new(
            self.operand,
            self.next_pixels(phase, block),
            panels.columns().div_ceil(S::COLUMNS) * row_tiles,
        );
        for first_column in (0..panels.columns()).step_by(MAX_COLUMNS) {
            let columns = first_column..panels.columns().min(first_column + MAX_COLUMNS);
            for depth in panels.blocks() {
                let elements = bf16_packing::elements::<S>(depth.len());
                if S::STEPS == 1 {
                    phase.im2col.pack(simd, self.operand, &block.segments, depth.clone(), left, RowMajor::ROW);
                } else {
                    let left: &mut [bf16] = bytemuck::cast_slice_mut(left);
                    let pitch = S::STEPS * RowMajor::ROW;
                    phase.im2col.pack(simd, self.operand, &block.segments, depth.clone(), left, pitch);
                    if depth.len() < S::STEPS * elements {
                        for row in left.chunks_exact_mut(pitch).take(rows) {
                            row[depth.len()..S::STEPS * elements].fill(bf16::ZERO);
                        }
                    }
                }
                for column in columns.clone().step_by(S::COLUMNS) {
                    let at = phase.weights_offset + panels.panel(&depth, column).start;
                    let right = &self.weights[at..][..elements * S::COLUMNS];
                    for t in 0..row_tiles {
                        // With one block of depth a tile is finished at once. All tiles then use the same memory, which
                        // stays in the first-level cache.
                        let offset = match depth.len() == panels.depth() {
                            true => 0,
                            false => ((column - first_column) / S::COLUMNS * row_tiles + t) * tile_len,
                        };
                        let left = &left[t * S::ROWS * RowMajor::ROW..];
                        let count = S::ROWS.min(rows - t * S::ROWS);
                        let to = &mut tiles[offset..offset + tile_len];
                        prefetcher.step(simd);
                        if depth.end == panels.depth() {
                            self.prefetch(simd, block, t, column);
                        }
                        micro_kernel::<S, RowMajor>(simd, count, elements, left, right, to, depth.start > 0);
                        if depth.end == panels.depth() {
                            self.finish(simd, &tiles[offset..], block, t, columns.end, column, first && t == 0);
                        }
                    }
                }
            }
            if panels.depth() == 0 {
                // No tap of the kernel reads these pixels, so their gradient is zero.
                tiles[..tile_len].fill(0.0);
                for column in columns.clone().step_by(S::COLUMNS) {
                    for t in 0..row_tiles {
                        self.finish(simd, tiles, block, t, columns.end, column, first && t == 0);
                    }
                }
            }
        }
    }

    /// Returns the input pixels that follow those of `block`, for 1x1 convolutions with stride 1. For others, the range
    /// is empty. The pixels may belong to the next unit, which the same thread is likely to compute.
    #[inline(always)]
    fn next_pixels(&self, phase: &Phase, block: &Block) -> PixelRange {
        let Im2col { ref source, stride, ref taps, channels } = phase.im2col;
        let next = block.pixels.last().map_or(0, |last| last + 1);
        let simple = stride == 1 && taps[..] == [(0, 0)] && source.pixel == channels && channels <= MAX_DEPTH;
        let pixels = if simple { next..next + block.pixels.len() } else { 0..0 };
        PixelRange { pixels, pitch: channels, channels: 0..channels }
    }

    /// Prefetches the memory that the epilogue accesses for the row tile `t` of a panel.
    #[inline(always)]
    fn prefetch<S: Simd>(&self, simd: S, block: &Block, t: usize, column: usize) {
        let channels = self.product.channels;
        // An output that is written with non-temporal stores and not read need not be in the cache.
        let output = !(S::STREAMS && self.stream) || self.epilogue.reads_output();
        let to = self.output.to.as_values();
        for &pixel in &block.pixels[t * S::ROWS..block.pixels.len().min((t + 1) * S::ROWS)] {
            for line in (0..S::COLUMNS).step_by(to.per_line()) {
                let at = pixel * channels + column + line;
                if output {
                    to.prefetch(simd, at - self.output.first_pixel * channels);
                }
                self.epilogue.prefetch(simd, at);
            }
        }
    }

    /// Passes the row tile `t` of a panel to the epilogue.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "the values and the position of one tile")]
    fn finish<S: Simd>(
        &mut self,
        simd: S,
        values: &[f32],
        block: &Block,
        t: usize,
        end: usize,
        column: usize,
        first: bool,
    ) {
        let pixels = &block.pixels[t * S::ROWS..block.pixels.len().min((t + 1) * S::ROWS)];
        let tile = Tile {
            values: &values[..pixels.len() * S::COLUMNS],
            pixels,
            first_pixel: self.output.first_pixel,
            column,
            columns: S::COLUMNS.min(end - column),
            channels: self.product.channels,
            first,
            stream: self.stream,
        };
        self.epilogue.finish(simd, tile, self.output.to.reborrow(), self.output.sums);
    }
}
