//! The weight gradient of a 3x3 convolution with stride 1, by the adjoint of Winograd's F(4x4, 3x3).
//!
//! At each of the 36 positions, a matrix product over all tiles multiplies the transformed patches with the transformed
//! output gradients. The result is the gradient of the transformed weights, which is transformed back once, at the end.
//! The work is cut into blocks of input and output channels. If there are fewer than `UNITS`, each is cut further into
//! ranges of tiles, whose partial results are added in order. The blocks and ranges depend only on the shapes, so
//! results do not depend on the number of threads.

use std::ops::Range;

use rayon::prelude::*;

use super::super::buffer::with_scratch;
use super::super::micro_kernel::{LeftStrides, micro_kernel};
use super::super::operand::Operand;
use super::super::simd::{Isa, Kernel, MAX_WIDTH, Simd};
use super::transform::{self, KERNEL, PATCH, POSITIONS, TILE};
use super::{LINE, STRIP, Source, Tiling};

/// The most input channels in a unit.
const MAX_INPUTS: usize = 128;
/// The most output channels in a unit.
const MAX_OUTPUTS: usize = 64;
// The output gradients of a unit are transformed in one strip.
const _: () = assert!(MAX_OUTPUTS <= STRIP);
/// The most tiles that are transformed before their products are added.
const MAX_TILES: usize = 48;
/// The number of units to aim for.
const UNITS: usize = 8;
/// The number of input channels whose gradients are transformed back and transposed together.
const INPUTS_AT_ONCE: usize = 8;

/// The left operand, the transformed patches, has a row of channels for each tile.
struct TileMajor;

impl LeftStrides for TileMajor {
    const ROW: usize = 1;
    const DEPTH: usize = MAX_INPUTS + LINE;
}

/// The plan for the weight gradient of a convolution, for one batch shape.
#[derive(Clone, Debug)]
pub struct WinogradGradient {
    tiling: Tiling,
    inputs: usize,
    outputs: usize,
    /// The ranges of tiles, counted over all images.
    ranges: Vec<Range<usize>>,
    /// An instruction set that multiplies f32, as in [`super::Winograd`].
    isa: Isa,
}

impl WinogradGradient {
    /// Plans the weight gradient of a convolution on `[images, height, width, inputs]`.
    pub(crate) fn new(images: usize, (height, width): (usize, usize), inputs: usize, outputs: usize, isa: Isa) -> Self {
        let tiling = Tiling { height, width };
        let tiles = images * tiling.rows() * tiling.columns();
        let blocks = inputs.div_ceil(MAX_INPUTS) * outputs.div_ceil(MAX_OUTPUTS);
        let ranges = UNITS.div_ceil(blocks).min(tiles.div_ceil(MAX_TILES));
        let per_range = tiles.div_ceil(ranges).next_multiple_of(MAX_TILES);
        let ranges = (0..tiles).step_by(per_range).map(|start| start..tiles.min(start + per_range)).collect();
        Self { tiling, inputs, outputs, ranges, isa: isa.in_f32() }
    }

    /// The number of elements of scratch memory for partial results.
    pub(crate) fn partial_len(&self) -> usize {
        self.ranges.len() * self.blocks().count() * self.unit_len()
    }

    /// Computes the weight gradient into `to`, `[outputs, inputs, 3, 3]`, from the convolution's input and the gradient
    /// of its output. `partial` is scratch memory.
    pub(crate) fn run(&self, input: &Operand<'_>, gradient: &Operand<'_>, partial: &mut [f32], to: &mut [f32]) {
        let partial = &mut partial[..self.partial_len()];
        let blocks: Vec<_> = self.blocks().collect();
        let scratch = [POSITIONS * patches_pitch(), POSITIONS * gradients_pitch()];
        partial.par_chunks_mut(self.unit_len()).enumerate().for_each(|(i, partial)| {
            let (inputs, outputs) = blocks[i % blocks.len()].clone();
            let tiles = self.ranges[i / blocks.len()].clone();
            with_scratch(scratch, |[patches, gradients]| {
                self.isa.run_in_f32(Unit {
                    plan: self,
                    input,
                    gradient,
                    inputs,
                    outputs,
                    tiles,
                    partial,
                    patches,
                    gradients,
                });
            });
        });
        let (_, columns) = self.isa.tile();
        let per_panel = columns * self.inputs * KERNEL * KERNEL;
        to.par_chunks_mut(per_panel).enumerate().for_each(|(panel, to)| {
            self.isa.run_in_f32(InverseTransform { plan: self, partial, blocks: &blocks, first: panel * columns, to });
        });
    }

    /// Iterates over the input and output channels of each unit.
    fn blocks(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let Self { inputs, outputs, .. } = *self;
        (0..outputs).step_by(MAX_OUTPUTS).flat_map(move |output| {
            let output_block = output..outputs.min(output + MAX_OUTPUTS);
            (0..inputs)
                .step_by(MAX_INPUTS)
                .map(move |input| (input..inputs.min(input + MAX_INPUTS), output_block.clone()))
        })
    }

    /// The number of rows of a unit's result at one position, in full register tiles.
    fn unit_rows(&self) -> usize {
        self.inputs.min(MAX_INPUTS).next_multiple_of(self.isa.tile().0)
    }

    /// The number of elements of a unit's result, `[positions][panels][rows, columns of a register tile]`.
    fn unit_len(&self) -> usize {
        POSITIONS * self.unit_rows() * self.outputs.min(MAX_OUTPUTS).next_multiple_of(self.isa.tile().1)
    }
}

/// Stride between the transformed patches, `[tiles, TileMajor::DEPTH]`, of consecutive positions.
fn patches_pitch() -> usize {
    MAX_TILES * TileMajor::DEPTH + LINE
}

/// Stride between the transformed output gradients, `[panels][tiles, columns of a register tile]`, of consecutive
/// positions.
fn gradients_pitch() -> usize {
    MAX_TILES * MAX_OUTPUTS.next_multiple_of(MAX_WIDTH) + LINE
}

/// Computes one unit.
struct Unit<'a> {
    plan: &'a WinogradGradient,
    input: &'a Operand<'a>,
    gradient: &'a Operand<'a>,
    inputs: Range<usize>,
    outputs: Range<usize>,
    tiles: Range<usize>,
    partial: &'a mut [f32],
    patches: &'a mut [f32],
    gradients: &'a mut [f32],
}

impl Kernel for Unit<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let all = self.tiles.clone();
        for start in all.clone().step_by(MAX_TILES) {
            let tiles = start..all.end.min(start + MAX_TILES);
            self.transform_patches(simd, tiles.clone());
            self.transform_gradients(simd, tiles.clone());
            self.multiply(simd, tiles.len(), start > all.start);
        }
    }
}

impl Unit<'_> {
    /// Transforms the input patches of `tiles`.
    #[inline(always)]
    fn transform_patches<S: Simd>(&mut self, simd: S, tiles: Range<usize>) {
        let &WinogradGradient { tiling, inputs: channels, .. } = self.plan;
        let source = Source { operand: self.input, channels, padding: 1 };
        let mut window = [0.0; POSITIONS * STRIP];
        for (t, tile) in tiles.enumerate() {
            let origin = tiling.origin(tile);
            for start in self.inputs.clone().step_by(STRIP) {
                let strip = start..self.inputs.end.min(start + STRIP);
                let row = t * TileMajor::DEPTH + start - self.inputs.start;
                tiling.transform_patch(
                    simd,
                    source,
                    origin,
                    strip,
                    &mut window,
                    (&mut self.patches[row..], patches_pitch()),
                );
            }
        }
    }

    /// Transforms the output gradients of `tiles`.
    #[inline(always)]
    fn transform_gradients<S: Simd>(&mut self, simd: S, tiles: Range<usize>) {
        let &WinogradGradient { tiling, outputs: channels, .. } = self.plan;
        let source = Source { operand: self.gradient, channels, padding: 0 };
        let mut window = [0.0; TILE * TILE * STRIP];
        let count = tiles.len();
        for (t, tile) in tiles.enumerate() {
            let origin = tiling.origin(tile);
            let strip = self.outputs.clone();
            tiling.copy_window::<S, TILE>(simd, source, origin, strip.clone(), &mut window);
            for lane in (0..strip.len()).step_by(S::LANES) {
                let mut result = [[simd.splat(0.0); TILE]; TILE];
                for i in 0..TILE * TILE {
                    result[i / TILE][i % TILE] = simd.load(&window[i * STRIP + lane..]);
                }
                let result = transform::output_gradient(simd, &result);
                let at = (lane / S::COLUMNS * count + t) * S::COLUMNS + lane % S::COLUMNS;
                for position in 0..POSITIONS {
                    let to = &mut self.gradients[position * gradients_pitch() + at..];
                    simd.store(result[position / PATCH][position % PATCH], to);
                }
            }
        }
    }

    /// Multiplies the transformed patches with the transformed gradients of `tiles` tiles, and writes the unit's
    /// result, or adds to it if `accumulate`.
    #[inline(always)]
    fn multiply<S: Simd>(&mut self, simd: S, tiles: usize, accumulate: bool) {
        let rows = self.plan.unit_rows();
        let mut to = self.partial.chunks_exact_mut(rows * S::COLUMNS);
        for position in 0..POSITIONS {
            let left = &self.patches[position * patches_pitch()..];
            let right = &self.gradients[position * gradients_pitch()..];
            for panel in 0..self.plan.outputs.min(MAX_OUTPUTS).div_ceil(S::COLUMNS) {
                let Some(to) = to.next() else { return };
                if panel * S::COLUMNS >= self.outputs.len() {
                    continue;
                }
                let right = &right[panel * tiles * S::COLUMNS..][..tiles * S::COLUMNS];
                for row in (0..self.inputs.len()).step_by(S::ROWS) {
                    let count = S::ROWS.min(self.inputs.len() - row);
                    let to = &mut to[row * S::COLUMNS..][..count * S::COLUMNS];
                    micro_kernel::<S, TileMajor>(simd, count, tiles, &left[row..], right, to, accumulate);
                }
            }
        }
    }
}

/// Adds the partial results of one panel of output channels, and transforms them back to `[outputs, inputs, 3, 3]`.
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
        // Shape: [input, tap, column].
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
                        let kernel = transform::kernel_gradient(simd, &sums);
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
