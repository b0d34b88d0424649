//! A convolution as a blocked matrix product: the loops around the register tile.
//!
//! For each unit of the output (some rows of pixels; the grain of parallel work), each block of its pixels, of the output's
//! channels and of the depth: pack the left operand into the second-level cache, then, panel by panel of the right
//! operand, compute the register tiles; after the last block of the depth hand each tile to the epilogue.
//! (Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34, 2008.)
//!
//! The units depend on the shapes alone, and so does the order of all additions: the number of threads changes nothing.

use std::ops::Range;

use rayon::prelude::*;

use super::bf16_packing;
use super::buffer::with_scratch;
use super::epilogue::{Epilogue, Tile, streams};
use super::im2col::{Im2col, MAX_DEPTH, Picture, Run};
use super::micro_kernel::{ByRow, Pitch, fullest, tile};
use super::operand::Operand;
use super::panels::Panels;
use super::prefetch::{LINE, Pixels, Prefetcher};
use super::simd::{Isa, Kernel, Simd};
use super::units::{Share, Units};

/// Most pixels that are packed at once.
const MAX_PIXELS: usize = 112;
/// Most output channels whose tiles are kept while the depth is worked through.
const MAX_COLUMNS: usize = 512;
/// Pixels of a unit are not cut below this for the sake of more units.
const MIN_PIXELS: usize = 56;
/// As many units as this are made, if the pixels suffice.
const UNITS: usize = 16;

/// A product whose rows are every `step`-th pixel of the output, in both directions, from `first` (down, right) on.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    /// The left operand.
    pub(crate) im2col: Im2col,
    /// Layout of the right operand.
    pub(crate) panels: Panels,
    /// Where the right operand starts in the packed weights.
    pub(crate) weights: usize,
    /// First pixel of the output.
    pub(crate) first: (usize, usize),
}

/// The plan of a convolution, forward or of its input's gradient, for one batch shape.
#[derive(Clone, Debug)]
pub struct Product {
    /// A picture of the output.
    to: Picture,
    channels: usize,
    /// Distance between neighbouring pixels of a phase, in rows and in columns of the output.
    step: usize,
    phases: Vec<Phase>,
    /// Rows of the grid, over all images, of each unit.
    rows: Vec<Range<usize>>,
    units: Units,
    isa: Isa,
}

impl Product {
    /// Plans a product with an output of `images` pictures of `to`, `[height, width, channels]`, that the `phases`
    /// (`step` x `step` of them) cover.
    pub(crate) fn new(images: usize, to: (usize, usize), channels: usize, phases: Vec<Phase>, isa: Isa) -> Self {
        let step = phases.len().isqrt();
        let to = Picture::dense(to.0, to.1, channels);
        let rows = images * to.height.div_ceil(step);
        let per_unit = rows_per_unit(rows, to.width.div_ceil(step), isa.tile().0);
        let rows: Vec<_> = (0..rows).step_by(per_unit).map(|start| start..rows.min(start + per_unit)).collect();
        // The pixels of the output that some rows of the grid stand for, counted over the whole batch.
        let per_image = to.height.div_ceil(step);
        let first = |row: usize| (row / per_image * to.height + row % per_image * step) * to.width;
        let starts = rows.iter().map(|rows| first(rows.start)).chain([images * to.height * to.width]).collect();
        Self { to, channels, step, phases, rows, units: Units::new(channels, starts), isa }
    }

    /// The units of the output.
    pub(crate) fn units(&self) -> &Units {
        &self.units
    }

    /// The right operands' layouts, with where each starts in the packed weights.
    pub(crate) fn phases(&self) -> &[Phase] {
        &self.phases
    }

    /// Elements of the packed weights.
    pub(crate) fn packed_len(&self) -> usize {
        self.phases.iter().map(|phase| phase.panels.len()).sum()
    }

    /// Computes the product. `sums` is `[units, E::SUMS, channels]`.
    pub(crate) fn run<E: Epilogue>(
        &self,
        operand: &Operand<'_>,
        weights: &[f32],
        epilogue: &E,
        to: &mut [f32],
        sums: &mut [f32],
    ) {
        let stream = streams(self.units.output_len());
        let shares = self.units.split(E::SUMS, to, sums).into_iter().zip(&self.rows);
        let unit = |(share, rows): (_, &Range<usize>)| Unit {
            product: self,
            operand,
            weights,
            epilogue,
            rows: rows.clone(),
            stream,
            share,
        };
        let work: Vec<_> = shares.map(unit).collect();
        let (rows, columns) = self.isa.tile();
        let pixels = MAX_PIXELS.next_multiple_of(rows);
        let scratch = [pixels * ByRow::ROW, pixels * MAX_COLUMNS.next_multiple_of(columns)];
        work.into_par_iter().for_each(|unit| {
            with_scratch(scratch, |[left, tiles]| self.isa.run(Work { unit, left, tiles }));
        });
    }
}

/// As many rows of `width` pixels as make up a unit: about [`MAX_PIXELS`], fewer where that gives fewer than [`UNITS`].
fn rows_per_unit(rows: usize, width: usize, tile: usize) -> usize {
    let pixels = (rows * width / UNITS).clamp(MIN_PIXELS, MAX_PIXELS);
    fullest((pixels / width).max(1), width, tile)
}

/// The work on one unit.
struct Unit<'a, E> {
    product: &'a Product,
    operand: &'a Operand<'a>,
    weights: &'a [f32],
    epilogue: &'a E,
    /// Rows of the grid.
    rows: Range<usize>,
    stream: bool,
    share: Share<'a>,
}

/// A unit with the memory to pack its operand and to keep its tiles.
struct Work<'a, E> {
    unit: Unit<'a, E>,
    left: &'a mut [f32],
    tiles: &'a mut [f32],
}

impl<E: Epilogue> Kernel for Work<'_, E> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { mut unit, left, tiles } = self;
        unit.share.sums.fill(0.0);
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
    /// Rows and columns of the grid of a phase.
    fn grid(&self, phase: &Phase) -> (usize, usize) {
        let side = |side: usize, first: usize| (side - first.min(side)).div_ceil(self.step);
        (side(self.to.height, phase.first.0), side(self.to.width, phase.first.1))
    }

    /// The pixels of a phase in some rows of the grid, cut into what is packed at once.
    fn blocks(&self, phase: &Phase, rows: &Range<usize>) -> Vec<Block> {
        let (height, width) = self.grid(phase);
        let per_image = self.to.height.div_ceil(self.step);
        let mut blocks = vec![Block::default()];
        for row in rows.clone().filter(|row| row % per_image < height) {
            let mut rest = Run { image: row / per_image, y: row % per_image, x: 0, len: width };
            while rest.len > 0 {
                let last = blocks.len() - 1;
                let taken = blocks[last].push(self, phase, rest);
                if taken == 0 {
                    blocks.push(Block::default());
                }
                rest = Run { x: rest.x + taken, len: rest.len - taken, ..rest };
            }
        }
        blocks.retain(|block| !block.pixels.is_empty());
        blocks
    }
}

/// Pixels that are packed together: as positions of the grid, and as pixels of the output.
#[derive(Default)]
struct Block {
    runs: Vec<Run>,
    pixels: Vec<usize>,
}

impl Block {
    /// Takes as much of `run` as there is room for and says how many pixels that is.
    fn push(&mut self, product: &Product, phase: &Phase, run: Run) -> usize {
        let len = run.len.min(MAX_PIXELS - self.pixels.len());
        if len == 0 {
            return 0;
        }
        self.runs.push(Run { len, ..run });
        let y = run.image * product.to.height + run.y * product.step + phase.first.0;
        let pixel = |x: usize| y * product.to.width + x * product.step + phase.first.1;
        self.pixels.extend((run.x..run.x + len).map(pixel));
        len
    }
}

impl<E: Epilogue> Unit<'_, E> {
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
        let mut ahead =
            Prefetcher::new(self.operand, self.after(phase, block), panels.columns().div_ceil(S::COLUMNS) * row_tiles);
        for first_column in (0..panels.columns()).step_by(MAX_COLUMNS) {
            let columns = first_column..panels.columns().min(first_column + MAX_COLUMNS);
            for depth in panels.blocks() {
                phase.im2col.pack(simd, self.operand, &block.runs, depth.clone(), left, ByRow::ROW);
                bf16_packing::pack_along(simd, &mut left[..rows * ByRow::ROW], ByRow::ROW, depth.len());
                let elements = bf16_packing::elements::<S>(depth.len());
                for column in columns.clone().step_by(S::COLUMNS) {
                    let at = phase.weights + panels.panel(&depth, column).start;
                    let right = &self.weights[at..][..elements * S::COLUMNS];
                    for t in 0..row_tiles {
                        // A tile that is finished at once needs no place of its own, and stays in the first-level cache.
                        let place = match depth.len() == panels.depth() {
                            true => 0,
                            false => ((column - first_column) / S::COLUMNS * row_tiles + t) * tile_len,
                        };
                        let left = &left[t * S::ROWS * ByRow::ROW..];
                        let count = S::ROWS.min(rows - t * S::ROWS);
                        let to = &mut tiles[place..place + tile_len];
                        ahead.step(simd);
                        if depth.end == panels.depth() {
                            self.prefetch(simd, block, t, column);
                        }
                        tile::<S, ByRow>(simd, count, elements, left, right, to, depth.start > 0);
                        if depth.end == panels.depth() {
                            self.finish(simd, &tiles[place..], block, t, columns.end, column, first && t == 0);
                        }
                    }
                }
            }
            if panels.depth() == 0 {
                // No tap sees these pixels.
                tiles[..tile_len].fill(0.0);
                for column in columns.clone().step_by(S::COLUMNS) {
                    for t in 0..row_tiles {
                        self.finish(simd, tiles, block, t, columns.end, column, first && t == 0);
                    }
                }
            }
        }
    }

    /// What the pixels after those of `block` are packed from, where that is easily said: the next unit is likely to be
    /// this thread's too.
    #[inline(always)]
    fn after(&self, phase: &Phase, block: &Block) -> Pixels {
        let Im2col { ref source, stride, ref taps, channels } = phase.im2col;
        let next = block.pixels.last().map_or(0, |last| last + 1);
        let simple = stride == 1 && taps[..] == [(0, 0)] && source.pixel == channels && channels <= MAX_DEPTH;
        let pixels = if simple { next..next + block.pixels.len() } else { 0..0 };
        Pixels { pixels, pitch: channels, channels: 0..channels }
    }

    /// Asks for what the epilogue will need of the row tile `t` of a panel.
    #[inline(always)]
    fn prefetch<S: Simd>(&self, simd: S, block: &Block, t: usize, column: usize) {
        let channels = self.product.channels;
        // What is written past the caches without being read need not come into them.
        let output = !(S::STREAMS && self.stream) || self.epilogue.reads_output();
        for &pixel in &block.pixels[t * S::ROWS..block.pixels.len().min((t + 1) * S::ROWS)] {
            for line in (0..S::COLUMNS).step_by(LINE) {
                let at = pixel * channels + column + line;
                if output {
                    simd.prefetch(self.share.to, at - self.share.first_pixel * channels);
                }
                self.epilogue.prefetch(simd, at);
            }
        }
    }

    /// Hands the row tile `t` of a panel to the epilogue.
    #[inline(always)]
    #[expect(
        clippy::too_many_arguments,
        reason = "one tile: its values, its place, and what is done to it on the way out"
    )]
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
            first_pixel: self.share.first_pixel,
            column,
            columns: S::COLUMNS.min(end - column),
            channels: self.product.channels,
            first,
            stream: self.stream,
        };
        self.epilogue.finish(simd, tile, self.share.to, self.share.sums);
    }
}
