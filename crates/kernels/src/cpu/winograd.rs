//! Convolutions of 3x3 without stride by Winograd's F(4x4, 3x3): a quarter of the multiplications.
//!
//! The output is cut into tiles of 4x4. A tile's patch of 6x6 inputs is transformed ([`transform`]); at each of the 36
//! positions of a patch, a matrix product over the channels multiplies it with the transformed weights; the inverse
//! transform gives the tile, which the epilogue receives as it does one of a direct product. A unit of some rows of tiles
//! keeps its transformed patches in the second-level cache and streams the weights through, a panel at a time.
//!
//! Rounding errors are about ten times those of a direct product, 1e-6 of the largest result.

pub(crate) mod transform;
pub(crate) mod weight_gradient;

use std::ops::Range;

use rayon::prelude::*;

use super::buffer::with_scratch;
use super::epilogue::{Epilogue, Tile, streams};
use super::im2col::MAX_DEPTH;
use super::micro_kernel::{ByRow, Pitch, fullest, tile};
use super::operand::Operand;
use super::simd::{Isa, Kernel, MAX_WIDTH, Simd};
use super::units::{Share, Units};
use crate::shape::ConvShape;
use transform::{KERNEL, PATCH, POSITIONS, TILE};

/// Tiles that are transformed before their products are computed.
const MAX_TILES: usize = 56;
/// The same where the channels are many, so that the patches do not leave the cache.
const FEW_TILES: usize = 36;
/// More channels than this are many.
const MANY_CHANNELS: usize = 128;
/// At least as many units as this are made, if the rows of tiles suffice.
const UNITS: usize = 4;
/// Channels that are gathered before they are transformed; blocks of the depth are made of whole ones.
const STRIP: usize = 64;
/// Rows of the weights' matrix that are brought into the order of registers at once.
const PACKED_AT_ONCE: usize = 8;
/// Elements of a cache line: added to a power of two, so that what is used together falls on different sets of the cache.
const LINE: usize = 16;

/// Whether a convolution on pictures of `(height, width)` is computed this way. A rule by shape, and not by the number of
/// images, so that packed weights serve all batches.
pub(crate) fn suits(shape: &ConvShape) -> bool {
    let ConvShape { height, width, inputs, outputs, kernel, stride, padding, .. } = *shape;
    let products = height.div_ceil(TILE) * width.div_ceil(TILE) * POSITIONS;
    // The transforms are worth their while where enough channels share them, and the tiles are not mostly margin.
    (kernel, stride, padding) == (KERNEL, 1, 1)
        && inputs.min(outputs) >= 16
        && 2 * products <= height * width * KERNEL * KERNEL
}

/// Rows and columns of tiles over pictures of one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiling {
    /// Rows of a picture.
    pub(crate) height: usize,
    /// Columns of a picture.
    pub(crate) width: usize,
}

/// A tile: the picture and its first pixel.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    image: usize,
    y: usize,
    x: usize,
}

/// What the tiles are cut from.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    operand: &'a Operand<'a>,
    /// Channels of the tensor.
    channels: usize,
    /// How far the first pixel of a window is up and left of its tile's.
    above: usize,
}

impl Tiling {
    /// Rows of tiles of a picture.
    pub(crate) fn rows(self) -> usize {
        self.height.div_ceil(TILE)
    }

    /// Tiles of a row.
    pub(crate) fn columns(self) -> usize {
        self.width.div_ceil(TILE)
    }

    /// Where the tile lies that is `index`-th over all pictures.
    #[inline(always)]
    pub(crate) fn place(self, index: usize) -> Place {
        let (row, x) = (index / self.columns(), index % self.columns());
        Place { image: row / self.rows(), y: row % self.rows() * TILE, x: x * TILE }
    }

    /// Index of the first pixel of tile row `row`, over all pictures.
    fn pixel(self, row: usize) -> usize {
        (row / self.rows() * self.height + row % self.rows() * TILE) * self.width
    }

    /// Transforms the channels `strip` of a tile's patch: those of each position begin `pitch` after the one before in `to`.
    /// `window` is scratch memory of `POSITIONS * STRIP`.
    #[inline(always)]
    fn patch<S: Simd>(
        self,
        simd: S,
        source: Source<'_>,
        place: Place,
        strip: Range<usize>,
        window: &mut [f32],
        (to, pitch): (&mut [f32], usize),
    ) {
        self.window::<S, PATCH>(simd, source, place, strip.clone(), window);
        for lane in (0..strip.len()).step_by(S::LANES) {
            let mut patch = [[simd.splat(0.0); PATCH]; PATCH];
            for position in 0..POSITIONS {
                patch[position / PATCH][position % PATCH] = simd.load(&window[position * STRIP + lane..]);
            }
            let patch = transform::patch(simd, &patch);
            for position in 0..POSITIONS {
                simd.store(patch[position / PATCH][position % PATCH], &mut to[position * pitch + lane..]);
            }
        }
    }

    /// Copies the channels `strip` of a tile's window of `SIDE` x `SIDE` pixels, `[SIDE * SIDE, STRIP]`; zeros outside of
    /// the picture.
    #[inline(always)]
    fn window<S: Simd, const SIDE: usize>(
        self,
        simd: S,
        Source { operand, channels, above }: Source<'_>,
        place: Place,
        strip: Range<usize>,
        to: &mut [f32],
    ) {
        let mut to = to.chunks_exact_mut(STRIP);
        for y in place.y..place.y + SIDE {
            for x in place.x..place.x + SIDE {
                let Some(to) = to.next() else { return };
                let to = &mut to[..strip.len()];
                let (y, x) = (y.wrapping_sub(above), x.wrapping_sub(above));
                if y < self.height && x < self.width {
                    let pixel = (place.image * self.height + y) * self.width + x;
                    operand.copy(simd, pixel * channels + strip.start, strip.start, to);
                } else {
                    to.fill(0.0);
                }
            }
        }
    }
}

/// The plan of a convolution, forward or of its input's gradient, for one batch shape.
#[derive(Clone, Debug)]
pub struct Winograd {
    tiling: Tiling,
    /// Channels that go in: the depth of the products.
    depth: usize,
    /// Channels that come out.
    channels: usize,
    /// Rows of tiles, over all images, of each unit.
    rows: Vec<Range<usize>>,
    units: Units,
    /// With products of f32: the transforms would lose too many of the seven bits of bf16.
    isa: Isa,
}

/// How the weights of a product lie in memory, `[outputs, inputs, 3, 3]` of the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the layer's inputs to its outputs.
    Forward,
    /// From the gradients of its outputs to those of its inputs: the kernels turned by half a turn.
    Backward,
}

impl Winograd {
    /// Plans a product of `images` pictures of `(height, width)` with `depth` channels to as many with `channels`.
    pub(crate) fn new(images: usize, (height, width): (usize, usize), depth: usize, channels: usize, isa: Isa) -> Self {
        let isa = isa.in_f32();
        let tiling = Tiling { height, width };
        let tiles = if depth > MANY_CHANNELS { FEW_TILES } else { MAX_TILES };
        let rows = images * tiling.rows();
        // Where the rows are few, units as large as can be stream the weights as seldom as can be, however full their tiles.
        let per_unit = fullest((tiles / tiling.columns()).max(1), tiling.columns(), isa.tile().0);
        let per_unit = per_unit.min(rows.div_ceil(UNITS));
        let rows: Vec<_> = (0..rows).step_by(per_unit).map(|start| start..rows.min(start + per_unit)).collect();
        let starts = rows.iter().map(|rows| tiling.pixel(rows.start)).chain([images * height * width]).collect();
        Self { tiling, depth, channels, rows, units: Units::new(channels, starts), isa }
    }

    /// Columns of a register tile.
    fn columns(&self) -> usize {
        self.isa.tile().1
    }

    /// The units of the output.
    pub(crate) fn units(&self) -> &Units {
        &self.units
    }

    /// Elements of the packed weights.
    pub(crate) fn packed_len(&self) -> usize {
        self.panel_len() * self.channels.div_ceil(self.columns())
    }

    /// Elements of the transformed weights for one register tile's columns, `[blocks][positions][depth, columns]`.
    fn panel_len(&self) -> usize {
        POSITIONS * self.depth * self.columns()
    }

    /// Transforms and packs weights, `[outputs, inputs, 3, 3]`.
    pub(crate) fn pack(&self, weights: &[f32], direction: Direction, to: &mut [f32]) {
        let panels = to[..self.packed_len()].par_chunks_mut(self.panel_len()).enumerate();
        panels.for_each(|(panel, to)| {
            self.isa.run(PackPanel { plan: self, weights, direction, first: panel * self.columns(), to });
        });
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
        let columns = self.tiling.columns();
        let shares = self.units.split(E::SUMS, to, sums).into_iter().zip(&self.rows);
        let unit = |(share, rows): (_, &Range<usize>)| Unit {
            plan: self,
            operand,
            weights,
            epilogue,
            tiles: rows.start * columns..rows.end * columns,
            share,
        };
        let work: Vec<_> = shares.map(unit).collect();
        let scratch = [POSITIONS * self.patches_pitch(), POSITIONS * products_pitch(self.columns())];
        work.into_par_iter().for_each(|unit| {
            with_scratch(scratch, |[patches, products]| self.isa.run(Work { unit, patches, products }));
        });
    }

    /// From one position's transformed patches, `[blocks, tiles, ByRow::ROW]`, to the next's.
    fn patches_pitch(&self) -> usize {
        self.depth.div_ceil(MAX_DEPTH) * MAX_TILES * ByRow::ROW + LINE
    }
}

/// From one position's products, `[tiles, columns]`, to the next's.
fn products_pitch(columns: usize) -> usize {
    MAX_TILES * columns + LINE
}

/// Transforms the weights of one panel.
struct PackPanel<'a> {
    plan: &'a Winograd,
    weights: &'a [f32],
    direction: Direction,
    /// The first column.
    first: usize,
    to: &'a mut [f32],
}

impl Kernel for PackPanel<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        const TAPS: usize = KERNEL * KERNEL;
        let Self { plan: &Winograd { depth, channels, .. }, weights, direction, first, to } = self;
        let valid = S::COLUMNS.min(channels - first);
        // Steps in the weights from one k, and from one column, to the next.
        let (step, column_step) = match direction {
            Direction::Forward => (TAPS, depth * TAPS),
            Direction::Backward => (channels * TAPS, TAPS),
        };
        // [k, tap, column]
        let mut taps = [0.0; PACKED_AT_ONCE * TAPS * MAX_WIDTH];
        for start in (0..depth).step_by(PACKED_AT_ONCE) {
            let count = PACKED_AT_ONCE.min(depth - start);
            for j in 0..valid {
                for k in 0..count {
                    let kernel = &weights[(start + k) * step + (first + j) * column_step..][..TAPS];
                    for (tap, &weight) in kernel.iter().enumerate() {
                        let tap = if direction == Direction::Forward { tap } else { TAPS - 1 - tap };
                        taps[(k * TAPS + tap) * S::COLUMNS + j] = weight;
                    }
                }
            }
            for k in 0..count {
                let block = (start + k) / MAX_DEPTH * MAX_DEPTH;
                let len = MAX_DEPTH.min(depth - block);
                for lane in (0..S::COLUMNS).step_by(S::LANES) {
                    let mut kernel = [[simd.splat(0.0); KERNEL]; KERNEL];
                    for tap in 0..TAPS {
                        let from = &taps[(k * TAPS + tap) * S::COLUMNS + lane..];
                        kernel[tap / KERNEL][tap % KERNEL] = simd.load(from);
                    }
                    let kernel = transform::kernel(simd, &kernel);
                    for position in 0..POSITIONS {
                        let row = block * POSITIONS + position * len + start + k - block;
                        let to = &mut to[row * S::COLUMNS + lane..];
                        simd.store(kernel[position / PATCH][position % PATCH], to);
                    }
                }
            }
        }
    }
}

/// The work on one unit.
struct Unit<'a, E> {
    plan: &'a Winograd,
    operand: &'a Operand<'a>,
    weights: &'a [f32],
    epilogue: &'a E,
    /// Tiles over all images.
    tiles: Range<usize>,
    share: Share<'a>,
}

/// A unit with the memory for its transformed patches and its products.
struct Work<'a, E> {
    unit: Unit<'a, E>,
    patches: &'a mut [f32],
    products: &'a mut [f32],
}

impl<E: Epilogue> Kernel for Work<'_, E> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { mut unit, patches, products } = self;
        unit.share.sums.fill(0.0);
        let all = unit.tiles.clone();
        for start in all.clone().step_by(MAX_TILES) {
            let tiles = start..all.end.min(start + MAX_TILES);
            unit.patches(simd, tiles.clone(), patches);
            for column in (0..unit.plan.channels).step_by(S::COLUMNS) {
                unit.products(simd, tiles.len(), column, patches, products);
                unit.finish(simd, tiles.clone(), column, products, start == all.start);
            }
        }
    }
}

impl<E: Epilogue> Unit<'_, E> {
    /// Transforms the patches of `tiles`: for each position, `[blocks, tiles, ByRow::ROW]`.
    #[inline(always)]
    fn patches<S: Simd>(&self, simd: S, tiles: Range<usize>, to: &mut [f32]) {
        let &Winograd { tiling, depth, .. } = self.plan;
        let pitch = self.plan.patches_pitch();
        let source = Source { operand: self.operand, channels: depth, above: 1 };
        let mut window = [0.0; POSITIONS * STRIP];
        for (t, tile) in tiles.enumerate() {
            let place = tiling.place(tile);
            for start in (0..depth).step_by(STRIP) {
                let strip = start..depth.min(start + STRIP);
                let row = (start / MAX_DEPTH * MAX_TILES + t) * ByRow::ROW + start % MAX_DEPTH;
                tiling.patch(simd, source, place, strip, &mut window, (&mut to[row..], pitch));
            }
        }
    }

    /// The products of `tiles` transformed patches with the panel at `column`: for each position, `[tiles, columns]`.
    #[inline(always)]
    fn products<S: Simd>(&self, simd: S, tiles: usize, column: usize, patches: &[f32], to: &mut [f32]) {
        let depth = self.plan.depth;
        let panel = &self.weights[column / S::COLUMNS * self.plan.panel_len()..][..self.plan.panel_len()];
        let (pitch, to_pitch) = (self.plan.patches_pitch(), products_pitch(S::COLUMNS));
        for position in 0..POSITIONS {
            for t in (0..tiles).step_by(S::ROWS) {
                let rows = S::ROWS.min(tiles - t);
                let to = &mut to[position * to_pitch + t * S::COLUMNS..][..rows * S::COLUMNS];
                for block in (0..depth).step_by(MAX_DEPTH) {
                    let len = MAX_DEPTH.min(depth - block);
                    let right = &panel[(block * POSITIONS + position * len) * S::COLUMNS..][..len * S::COLUMNS];
                    let left = &patches[position * pitch + (block / MAX_DEPTH * MAX_TILES + t) * ByRow::ROW..];
                    tile::<S, ByRow>(simd, rows, len, left, right, to, block > 0);
                }
            }
        }
    }

    /// Transforms the products of `tiles` back and hands them to the epilogue.
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, tiles: Range<usize>, column: usize, products: &[f32], first: bool) {
        let &Winograd { tiling, channels, .. } = self.plan;
        let pitch = products_pitch(S::COLUMNS);
        let mut values = [0.0; TILE * TILE * MAX_WIDTH];
        for (t, tile) in tiles.enumerate() {
            let Place { image, y, x } = tiling.place(tile);
            let (height, width) = (TILE.min(tiling.height - y), TILE.min(tiling.width - x));
            let mut pixels = [0; TILE * TILE];
            for i in 0..height {
                for j in 0..width {
                    pixels[i * width + j] = (image * tiling.height + y + i) * tiling.width + x + j;
                }
            }
            for lane in (0..S::COLUMNS).step_by(S::LANES) {
                let mut product = [[simd.splat(0.0); PATCH]; PATCH];
                for position in 0..POSITIONS {
                    let from = &products[position * pitch + t * S::COLUMNS + lane..];
                    product[position / PATCH][position % PATCH] = simd.load(from);
                }
                let result = transform::results(simd, &product);
                for i in 0..height {
                    for j in 0..width {
                        simd.store(result[i][j], &mut values[(i * width + j) * S::COLUMNS + lane..]);
                    }
                }
            }
            let tile = Tile {
                values: &values[..height * width * S::COLUMNS],
                pixels: &pixels[..height * width],
                first_pixel: self.share.first_pixel,
                column,
                columns: S::COLUMNS.min(channels - column),
                channels,
                first: first && t == 0,
                stream: streams(self.plan.units.output_len()),
            };
            self.epilogue.finish(simd, tile, self.share.to, self.share.sums);
        }
    }
}
