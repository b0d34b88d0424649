//! The gradient of the weights of a convolution of 3x3 without stride, by the adjoint of Winograd's F(4x4, 3x3).
//!
//! At each of the 36 positions, a matrix product over all tiles of the transformed patches with the spread-out gradients
//! of the results gives the gradient of the transformed weights; the inverse transform comes once, at the end. The work
//! is cut into blocks of input and output channels and, where that is not enough, ranges of tiles, whose partial results
//! are added in order. All of it depends on the shapes alone.

use std::ops::Range;

use rayon::prelude::*;

use super::super::buffer::with_scratch;
use super::super::micro_kernel::{Pitch, tile};
use super::super::operand::Operand;
use super::super::simd::{Isa, Kernel, MAX_WIDTH, Simd};
use super::transform::{self, KERNEL, PATCH, POSITIONS, TILE};
use super::{LINE, STRIP, Source, Tiling};

/// Most input channels that a unit works on.
const MAX_INPUTS: usize = 128;
/// Most output channels that a unit works on.
const MAX_OUTPUTS: usize = 64;
// Their gradients are spread in one strip.
const _: () = assert!(MAX_OUTPUTS <= STRIP);
/// Tiles that are transformed before their products are added.
const MAX_TILES: usize = 48;
/// As many units as this are made, if the tiles suffice.
const UNITS: usize = 8;
/// Input channels whose gradients are brought into the weights' order at once.
const INPUTS_AT_ONCE: usize = 8;

/// The left operand: transformed patches, a row of channels for each tile.
struct ByTile;

impl Pitch for ByTile {
    const ROW: usize = 1;
    const DEPTH: usize = MAX_INPUTS + LINE;
}

/// The plan of one convolution's weight gradient for one batch shape.
#[derive(Clone, Debug)]
pub struct WinogradGradient {
    tiling: Tiling,
    inputs: usize,
    outputs: usize,
    /// Ranges of tiles over all images.
    ranges: Vec<Range<usize>>,
    /// With products of f32, as [`super::Winograd`].
    isa: Isa,
}

impl WinogradGradient {
    /// Plans the gradient for `images` pictures of `(height, width)`.
    pub(crate) fn new(images: usize, (height, width): (usize, usize), inputs: usize, outputs: usize, isa: Isa) -> Self {
        let tiling = Tiling { height, width };
        let tiles = images * tiling.rows() * tiling.columns();
        let blocks = inputs.div_ceil(MAX_INPUTS) * outputs.div_ceil(MAX_OUTPUTS);
        let ranges = UNITS.div_ceil(blocks).min(tiles.div_ceil(MAX_TILES));
        let per_range = tiles.div_ceil(ranges).next_multiple_of(MAX_TILES);
        let ranges = (0..tiles).step_by(per_range).map(|start| start..tiles.min(start + per_range)).collect();
        Self { tiling, inputs, outputs, ranges, isa: isa.in_f32() }
    }

    /// Elements of scratch memory for the partial results.
    pub(crate) fn partial_len(&self) -> usize {
        self.ranges.len() * self.blocks().count() * self.unit_len()
    }

    /// Computes the gradient into `to`, `[outputs, inputs, 3, 3]`, from the convolution's input and the gradient of its
    /// output; `partial` is scratch memory.
    pub(crate) fn run(&self, input: &Operand<'_>, gradient: &Operand<'_>, partial: &mut [f32], to: &mut [f32]) {
        let partial = &mut partial[..self.partial_len()];
        let blocks: Vec<_> = self.blocks().collect();
        let scratch = [POSITIONS * patches_pitch(), POSITIONS * spreads_pitch()];
        partial.par_chunks_mut(self.unit_len()).enumerate().for_each(|(i, partial)| {
            let (inputs, outputs) = blocks[i % blocks.len()].clone();
            let tiles = self.ranges[i / blocks.len()].clone();
            with_scratch(scratch, |[patches, spreads]| {
                self.isa.run(Unit { plan: self, input, gradient, inputs, outputs, tiles, partial, patches, spreads });
            });
        });
        let (_, columns) = self.isa.tile();
        let per_panel = columns * self.inputs * KERNEL * KERNEL;
        to.par_chunks_mut(per_panel).enumerate().for_each(|(panel, to)| {
            self.isa.run(InverseTransform { plan: self, partial, blocks: &blocks, first: panel * columns, to });
        });
    }

    /// Input and output channels of each unit.
    fn blocks(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let Self { inputs, outputs, .. } = *self;
        (0..outputs).step_by(MAX_OUTPUTS).flat_map(move |output| {
            let of_output = output..outputs.min(output + MAX_OUTPUTS);
            (0..inputs).step_by(MAX_INPUTS).map(move |input| (input..inputs.min(input + MAX_INPUTS), of_output.clone()))
        })
    }

    /// Rows of a unit's result at one position: full register tiles.
    fn unit_rows(&self) -> usize {
        self.inputs.min(MAX_INPUTS).next_multiple_of(self.isa.tile().0)
    }

    /// Elements of a unit's result, `[positions][panels][rows, columns of a register tile]`.
    fn unit_len(&self) -> usize {
        POSITIONS * self.unit_rows() * self.outputs.min(MAX_OUTPUTS).next_multiple_of(self.isa.tile().1)
    }
}

/// From one position's transformed patches, `[tiles, ByTile::DEPTH]`, to the next's.
fn patches_pitch() -> usize {
    MAX_TILES * ByTile::DEPTH + LINE
}

/// From one position's spread-out gradients, `[panels][tiles, columns of a register tile]`, to the next's.
fn spreads_pitch() -> usize {
    MAX_TILES * MAX_OUTPUTS.next_multiple_of(MAX_WIDTH) + LINE
}

/// The work on one unit.
struct Unit<'a> {
    plan: &'a WinogradGradient,
    input: &'a Operand<'a>,
    gradient: &'a Operand<'a>,
    inputs: Range<usize>,
    outputs: Range<usize>,
    tiles: Range<usize>,
    partial: &'a mut [f32],
    patches: &'a mut [f32],
    spreads: &'a mut [f32],
}

impl Kernel for Unit<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let all = self.tiles.clone();
        for start in all.clone().step_by(MAX_TILES) {
            let tiles = start..all.end.min(start + MAX_TILES);
            self.patches(simd, tiles.clone());
            self.spreads(simd, tiles.clone());
            self.products(simd, tiles.len(), start > all.start);
        }
    }
}

impl Unit<'_> {
    /// Transforms the inputs of `tiles`.
    #[inline(always)]
    fn patches<S: Simd>(&mut self, simd: S, tiles: Range<usize>) {
        let &WinogradGradient { tiling, inputs: channels, .. } = self.plan;
        let source = Source { operand: self.input, channels, above: 1 };
        let mut window = [0.0; POSITIONS * STRIP];
        for (t, tile) in tiles.enumerate() {
            let place = tiling.place(tile);
            for start in self.inputs.clone().step_by(STRIP) {
                let strip = start..self.inputs.end.min(start + STRIP);
                let row = t * ByTile::DEPTH + start - self.inputs.start;
                tiling.patch(simd, source, place, strip, &mut window, (&mut self.patches[row..], patches_pitch()));
            }
        }
    }

    /// Spreads the gradients of the results of `tiles` out over the positions.
    #[inline(always)]
    fn spreads<S: Simd>(&mut self, simd: S, tiles: Range<usize>) {
        let &WinogradGradient { tiling, outputs: channels, .. } = self.plan;
        let source = Source { operand: self.gradient, channels, above: 0 };
        let mut window = [0.0; TILE * TILE * STRIP];
        let count = tiles.len();
        for (t, tile) in tiles.enumerate() {
            let place = tiling.place(tile);
            let strip = self.outputs.clone();
            tiling.window::<S, TILE>(simd, source, place, strip.clone(), &mut window);
            for lane in (0..strip.len()).step_by(S::LANES) {
                let mut result = [[simd.splat(0.0); TILE]; TILE];
                for i in 0..TILE * TILE {
                    result[i / TILE][i % TILE] = simd.load(&window[i * STRIP + lane..]);
                }
                let result = transform::spread(simd, &result);
                let at = (lane / S::COLUMNS * count + t) * S::COLUMNS + lane % S::COLUMNS;
                for position in 0..POSITIONS {
                    let to = &mut self.spreads[position * spreads_pitch() + at..];
                    simd.store(result[position / PATCH][position % PATCH], to);
                }
            }
        }
    }

    /// Adds the products of the transformed `tiles` to the unit's result, or begins it with them.
    #[inline(always)]
    fn products<S: Simd>(&mut self, simd: S, tiles: usize, accumulate: bool) {
        let rows = self.plan.unit_rows();
        let mut to = self.partial.chunks_exact_mut(rows * S::COLUMNS);
        for position in 0..POSITIONS {
            let left = &self.patches[position * patches_pitch()..];
            let right = &self.spreads[position * spreads_pitch()..];
            for panel in 0..self.plan.outputs.min(MAX_OUTPUTS).div_ceil(S::COLUMNS) {
                let Some(to) = to.next() else { return };
                if panel * S::COLUMNS >= self.outputs.len() {
                    continue;
                }
                let right = &right[panel * tiles * S::COLUMNS..][..tiles * S::COLUMNS];
                for row in (0..self.inputs.len()).step_by(S::ROWS) {
                    let count = S::ROWS.min(self.inputs.len() - row);
                    let to = &mut to[row * S::COLUMNS..][..count * S::COLUMNS];
                    tile::<S, ByTile>(simd, count, tiles, &left[row..], right, to, accumulate);
                }
            }
        }
    }
}

/// Adds the partial results of one panel of output channels and transforms them back, `[outputs, inputs, 3, 3]`.
struct InverseTransform<'a> {
    plan: &'a WinogradGradient,
    partial: &'a [f32],
    blocks: &'a [(Range<usize>, Range<usize>)],
    /// The first output channel.
    first: usize,
    to: &'a mut [f32],
}

impl Kernel for InverseTransform<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        const TAPS: usize = KERNEL * KERNEL;
        let Self { plan, partial, blocks, first, to } = self;
        let (rows, unit_len) = (plan.unit_rows(), plan.unit_len());
        let panels = unit_len / (POSITIONS * rows * S::COLUMNS);
        let per_output = plan.inputs * TAPS;
        // [input, tap, column]
        let mut taps = [0.0; INPUTS_AT_ONCE * TAPS * MAX_WIDTH];
        for (i, (inputs, outputs)) in blocks.iter().enumerate() {
            if !outputs.contains(&first) {
                continue;
            }
            let panel = (first - outputs.start) / S::COLUMNS;
            for start in inputs.clone().step_by(INPUTS_AT_ONCE) {
                let count = INPUTS_AT_ONCE.min(inputs.end - start);
                for input in 0..count {
                    let row = panel * rows + start - inputs.start + input;
                    for lane in (0..S::COLUMNS).step_by(S::LANES) {
                        let mut sums = [[simd.splat(0.0); PATCH]; PATCH];
                        for range in 0..plan.ranges.len() {
                            let unit = &partial[(range * blocks.len() + i) * unit_len..][..unit_len];
                            for position in 0..POSITIONS {
                                let at = (position * panels * rows + row) * S::COLUMNS + lane;
                                let sum = &mut sums[position / PATCH][position % PATCH];
                                *sum = simd.add(*sum, simd.load(&unit[at..]));
                            }
                        }
                        let kernel = transform::gather(simd, &sums);
                        for tap in 0..TAPS {
                            let to = &mut taps[(input * TAPS + tap) * S::COLUMNS + lane..];
                            simd.store(kernel[tap / KERNEL][tap % KERNEL], to);
                        }
                    }
                }
                for (j, to) in to.chunks_exact_mut(per_output).enumerate() {
                    for (k, to) in to[start * TAPS..][..count * TAPS].iter_mut().enumerate() {
                        *to = taps[k * S::COLUMNS + j];
                    }
                }
            }
        }
    }
}
