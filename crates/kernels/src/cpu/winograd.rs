//! Winograd convolution F(4x4, 3x3), for 3x3 kernels with stride 1: a quarter of the multiplications.
//!
//! The output is cut into tiles of 4x4 pixels. The 6x6 input patch of each tile is transformed ([`transform`]). At each
//! of the 36 positions of a patch, a matrix product over the channels multiplies the transformed patches with the
//! transformed weights. The output transform gives the tile, which goes through the same epilogues as a tile of a GEMM.
//! A unit of some rows of tiles keeps its transformed patches in the second-level cache, and reads the weights one
//! panel at a time.
//!
//! Rounding errors are about ten times larger than with a GEMM: 1e-6 of the largest result.

pub(crate) mod transform;
pub(crate) mod weight_gradient;

use std::ops::Range;

use rayon::prelude::*;

use super::buffer::with_scratch;
use super::epilogue::{Epilogue, Tile, should_stream};
use super::im2col::MAX_DEPTH;
use super::micro_kernel::{LeftStrides, RowMajor, micro_kernel};
use super::operand::Operand;
use super::simd::{Isa, Kernel, MAX_WIDTH, Simd};
use super::units::{UnitOutput, Units, best_rows_per_unit};
use super::values::ValuesMut;
use crate::shape::ConvShape;
use transform::{KERNEL, PATCH, POSITIONS, TILE};

/// The most tiles that are transformed before their products are computed.
const MAX_TILES: usize = 56;
/// [`MAX_TILES`] for more than [`MANY_CHANNELS`] input channels. It is smaller, so that the patches stay in the cache.
const MAX_TILES_OF_MANY_CHANNELS: usize = 36;
/// Above this number of input channels, [`MAX_TILES_OF_MANY_CHANNELS`] applies.
const MANY_CHANNELS: usize = 128;
/// The fewest units, if there are enough rows of tiles.
const UNITS: usize = 4;
/// The number of channels that are copied and transformed together. A block of the depth consists of whole strips.
const STRIP: usize = 64;
/// The number of rows of the weight matrix that are transposed and transformed together.
const PACKED_AT_ONCE: usize = 8;
/// The number of elements of a cache line. It is added to strides that are multiples of large powers of two, so that
/// data used together map to different cache sets.
const LINE: usize = 16;

/// Whether a convolution is computed with Winograd. The rule ignores the number of images, so that packed weights can
/// be used for batches of any size.
pub(crate) fn is_suitable(shape: &ConvShape) -> bool {
    let ConvShape { height, width, inputs, outputs, kernel, stride, padding, .. } = *shape;
    let products = height.div_ceil(TILE) * width.div_ceil(TILE) * POSITIONS;
    // The transforms pay off if enough channels share them, and if the tiles do not extend far beyond the image.
    (kernel, stride, padding) == (KERNEL, 1, 1)
        && inputs.min(outputs) >= 16
        && 2 * products <= height * width * KERNEL * KERNEL
}

/// The grid of tiles over images of one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiling {
    /// Height of an image.
    pub(crate) height: usize,
    /// Width of an image.
    pub(crate) width: usize,
}

/// The image of a tile, and its top left pixel.
#[derive(Clone, Copy)]
pub(crate) struct TileOrigin {
    image: usize,
    y: usize,
    x: usize,
}

/// The tensor that windows are cut from.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    operand: &'a Operand<'a>,
    /// The number of channels of the tensor.
    channels: usize,
    /// The number of pixels by which a window starts above and to the left of its tile: the padding.
    padding: usize,
}

impl Tiling {
    /// The number of rows of tiles of an image.
    pub(crate) fn rows(self) -> usize {
        self.height.div_ceil(TILE)
    }

    /// The number of tiles of a row.
    pub(crate) fn columns(self) -> usize {
        self.width.div_ceil(TILE)
    }

    /// Returns the position of tile `index`, counted over all images.
    #[inline(always)]
    pub(crate) fn origin(self, index: usize) -> TileOrigin {
        let (row, x) = (index / self.columns(), index % self.columns());
        TileOrigin { image: row / self.rows(), y: row % self.rows() * TILE, x: x * TILE }
    }

    /// Returns the index of the first pixel of tile row `row`, both counted over all images.
    fn first_pixel(self, row: usize) -> usize {
        (row / self.rows() * self.height + row % self.rows() * TILE) * self.width
    }

    /// Transforms the channels `strip` of a tile's patch. In `to`, the positions are `pitch` elements apart. `window`
    /// is scratch memory of `POSITIONS * STRIP` elements.
    #[inline(always)]
    fn transform_patch<S: Simd>(
        self,
        simd: S,
        source: Source<'_>,
        origin: TileOrigin,
        strip: Range<usize>,
        window: &mut [f32],
        (to, pitch): (&mut [f32], usize),
    ) {
        self.copy_window::<S, PATCH>(simd, source, origin, strip.clone(), window);
        for lane in (0..strip.len()).step_by(S::LANES) {
            let mut patch = [[simd.splat(0.0); PATCH]; PATCH];
            for position in 0..POSITIONS {
                patch[position / PATCH][position % PATCH] = simd.load(&window[position * STRIP + lane..]);
            }
            let patch = transform::input(simd, &patch);
            for position in 0..POSITIONS {
                simd.store(patch[position / PATCH][position % PATCH], &mut to[position * pitch + lane..]);
            }
        }
    }

    /// Copies the channels `strip` of a tile's window of `SIDE` x `SIDE` pixels into `to`, `[SIDE * SIDE, STRIP]`.
    /// Pixels outside of the image are zero.
    #[inline(always)]
    fn copy_window<S: Simd, const SIDE: usize>(
        self,
        simd: S,
        Source { operand, channels, padding }: Source<'_>,
        origin: TileOrigin,
        strip: Range<usize>,
        to: &mut [f32],
    ) {
        let mut to = to.chunks_exact_mut(STRIP);
        for y in origin.y..origin.y + SIDE {
            for x in origin.x..origin.x + SIDE {
                let Some(to) = to.next() else { return };
                let to = &mut to[..strip.len()];
                let (y, x) = (y.wrapping_sub(padding), x.wrapping_sub(padding));
                if y < self.height && x < self.width {
                    let pixel = (origin.image * self.height + y) * self.width + x;
                    operand.copy(simd, pixel * channels + strip.start, strip.start, to);
                } else {
                    to.fill(0.0);
                }
            }
        }
    }
}

/// The plan for the output or the input gradient of a convolution, for one batch shape.
#[derive(Clone, Debug)]
pub struct Winograd {
    tiling: Tiling,
    /// The number of input channels: the depth of the products.
    depth: usize,
    /// The number of output channels.
    channels: usize,
    /// The rows of tiles of each unit, counted over all images.
    rows: Vec<Range<usize>>,
    units: Units,
    /// An instruction set that multiplies f32. The transforms would lose too much of bf16's 7 bits of mantissa.
    isa: Isa,
}

/// The product that the weights, `[outputs, inputs, 3, 3]`, are packed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The output.
    Forward,
    /// The input gradient: the kernels are rotated by 180 degrees, and inputs and outputs exchanged.
    Backward,
}

impl Winograd {
    /// Plans a convolution from `[images, height, width, depth]` to `[images, height, width, channels]`.
    pub(crate) fn new(images: usize, (height, width): (usize, usize), depth: usize, channels: usize, isa: Isa) -> Self {
        let isa = isa.in_f32();
        let tiling = Tiling { height, width };
        let tiles = if depth > MANY_CHANNELS { MAX_TILES_OF_MANY_CHANNELS } else { MAX_TILES };
        let rows = images * tiling.rows();
        // Each unit reads all weights, so that large units read them less often in total. This matters more than full
        // register tiles.
        let per_unit = best_rows_per_unit((tiles / tiling.columns()).max(1), tiling.columns(), isa.tile().0);
        let per_unit = per_unit.min(rows.div_ceil(UNITS));
        let rows: Vec<_> = (0..rows).step_by(per_unit).map(|start| start..rows.min(start + per_unit)).collect();
        let starts = rows.iter().map(|rows| tiling.first_pixel(rows.start)).chain([images * height * width]).collect();
        Self { tiling, depth, channels, rows, units: Units::new(channels, starts), isa }
    }

    /// The number of columns of a register tile.
    fn columns(&self) -> usize {
        self.isa.tile().1
    }

    /// The partition of the output into units.
    pub(crate) fn units(&self) -> &Units {
        &self.units
    }

    /// The number of elements of the packed weights.
    pub(crate) fn packed_len(&self) -> usize {
        self.panel_len() * self.channels.div_ceil(self.columns())
    }

    /// The number of elements of a panel of transformed weights, `[blocks][positions][depth, columns]`.
    fn panel_len(&self) -> usize {
        POSITIONS * self.depth * self.columns()
    }

    /// Transforms and packs weights, `[outputs, inputs, 3, 3]`.
    pub(crate) fn pack(&self, weights: &[f32], direction: Direction, to: &mut [f32]) {
        let panels = to[..self.packed_len()].par_chunks_mut(self.panel_len()).enumerate();
        panels.for_each(|(panel, to)| {
            self.isa.run_in_f32(PackPanel { plan: self, weights, direction, first: panel * self.columns(), to });
        });
    }

    /// Computes the convolution into `to`. `sums`, `[units, E::SUMS, channels]`, receives the sums of the epilogue.
    pub(crate) fn run<E: Epilogue>(
        &self,
        operand: &Operand<'_>,
        weights: &[f32],
        epilogue: &E,
        to: ValuesMut<'_>,
        sums: &mut [f32],
    ) {
        let columns = self.tiling.columns();
        let stream = should_stream(to.as_values().slice(0..self.units.output_len()));
        let outputs = self.units.split(E::SUMS, to, sums).into_iter().zip(&self.rows);
        let unit = |(output, rows): (_, &Range<usize>)| Unit {
            plan: self,
            operand,
            weights,
            epilogue,
            tiles: rows.start * columns..rows.end * columns,
            stream,
            output,
        };
        let units: Vec<_> = outputs.map(unit).collect();
        let scratch = [POSITIONS * self.patches_pitch(), POSITIONS * products_pitch(self.columns())];
        units.into_par_iter().for_each(|unit| {
            with_scratch(scratch, |[patches, products]| self.isa.run_in_f32(Task { unit, patches, products }));
        });
    }

    /// Stride between the transformed patches, `[blocks, tiles, RowMajor::ROW]`, of consecutive positions.
    fn patches_pitch(&self) -> usize {
        self.depth.div_ceil(MAX_DEPTH) * MAX_TILES * RowMajor::ROW + LINE
    }
}

/// Stride between the products, `[tiles, columns]`, of consecutive positions.
fn products_pitch(columns: usize) -> usize {
    MAX_TILES * columns + LINE
}

/// Transforms and packs the weights of one panel.
struct PackPanel<'a> {
    plan: &'a Winograd,
    weights: &'a [f32],
    direction: Direction,
    /// The first output channel.
    first: usize,
    to: &'a mut [f32],
}

impl Kernel for PackPanel<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        const TAPS: usize = KERNEL * KERNEL;
        let Self { plan: &Winograd { depth, channels, .. }, weights, direction, first, to } = self;
        let valid = S::COLUMNS.min(channels - first);
        // Strides in the weights between input channels (k) and between columns.
        let (step, column_step) = match direction {
            Direction::Forward => (TAPS, depth * TAPS),
            Direction::Backward => (channels * TAPS, TAPS),
        };
        // Shape: [k, tap, column].
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

/// The operands and the output of one unit.
struct Unit<'a, E> {
    plan: &'a Winograd,
    operand: &'a Operand<'a>,
    weights: &'a [f32],
    epilogue: &'a E,
    /// The tiles of the unit, counted over all images.
    tiles: Range<usize>,
    stream: bool,
    output: UnitOutput<'a>,
}

/// Computes one unit, with scratch memory for its transformed patches and its products.
struct Task<'a, E> {
    unit: Unit<'a, E>,
    patches: &'a mut [f32],
    products: &'a mut [f32],
}

impl<E: Epilogue> Kernel for Task<'_, E> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { mut unit, patches, products } = self;
        unit.output.sums.fill(0.0);
        let all = unit.tiles.clone();
        for start in all.clone().step_by(MAX_TILES) {
            let tiles = start..all.end.min(start + MAX_TILES);
            unit.transform_patches(simd, tiles.clone(), patches);
            for column in (0..unit.plan.channels).step_by(S::COLUMNS) {
                unit.multiply(simd, tiles.len(), column, patches, products);
                unit.finish(simd, tiles.clone(), column, products, start == all.start);
            }
        }
    }
}

impl<E: Epilogue> Unit<'_, E> {
    /// Transforms the patches of `tiles` into `to`: for each position, `[blocks, tiles, RowMajor::ROW]`.
    #[inline(always)]
    fn transform_patches<S: Simd>(&self, simd: S, tiles: Range<usize>, to: &mut [f32]) {
        let &Winograd { tiling, depth, .. } = self.plan;
        let pitch = self.plan.patches_pitch();
        let source = Source { operand: self.operand, channels: depth, padding: 1 };
        let mut window = [0.0; POSITIONS * STRIP];
        for (t, tile) in tiles.enumerate() {
            let origin = tiling.origin(tile);
            for start in (0..depth).step_by(STRIP) {
                let strip = start..depth.min(start + STRIP);
                let row = (start / MAX_DEPTH * MAX_TILES + t) * RowMajor::ROW + start % MAX_DEPTH;
                tiling.transform_patch(simd, source, origin, strip, &mut window, (&mut to[row..], pitch));
            }
        }
    }

    /// Multiplies the transformed patches with the panel at `column` into `to`: for each position, `[tiles, columns]`.
    #[inline(always)]
    fn multiply<S: Simd>(&self, simd: S, tiles: usize, column: usize, patches: &[f32], to: &mut [f32]) {
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
                    let left = &patches[position * pitch + (block / MAX_DEPTH * MAX_TILES + t) * RowMajor::ROW..];
                    micro_kernel::<S, RowMajor>(simd, rows, len, left, right, to, block > 0);
                }
            }
        }
    }

    /// Applies the output transform to the products of `tiles`, and passes the tiles to the epilogue.
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, tiles: Range<usize>, column: usize, products: &[f32], first: bool) {
        let &Winograd { tiling, channels, .. } = self.plan;
        let pitch = products_pitch(S::COLUMNS);
        let mut values = [0.0; TILE * TILE * MAX_WIDTH];
        for (t, tile) in tiles.enumerate() {
            let TileOrigin { image, y, x } = tiling.origin(tile);
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
                let result = transform::output(simd, &product);
                for i in 0..height {
                    for j in 0..width {
                        simd.store(result[i][j], &mut values[(i * width + j) * S::COLUMNS + lane..]);
                    }
                }
            }
            let tile = Tile {
                values: &values[..height * width * S::COLUMNS],
                pixels: &pixels[..height * width],
                first_pixel: self.output.first_pixel,
                column,
                columns: S::COLUMNS.min(channels - column),
                channels,
                first: first && t == 0,
                stream: self.stream,
            };
            self.epilogue.finish(simd, tile, self.output.to.reborrow(), self.output.sums);
        }
    }
}
