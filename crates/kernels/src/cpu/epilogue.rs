//! Epilogues: operations that are fused into the writing of an output tile while it is in the cache (statistics, bias,
//! ReLU, residual, masks).

use super::simd::Simd;
use super::values::{Values, ValuesMut};

/// A tensor of more bytes than this does not stay in the last-level cache until it is read, and evicts everything else.
/// Tiny in tests, so that they cover both kinds of stores.
const LARGE: usize = if cfg!(test) { 4 << 10 } else { 8 << 20 };

/// Whether a tensor is written with non-temporal stores. They bypass the caches, so that no cache line is read from
/// memory before it is written.
pub(crate) fn should_stream(values: Values<'_>) -> bool {
    values.bytes() > LARGE
}

/// A finished tile of the product, with its position in the output.
#[derive(Clone, Copy, Debug)]
pub struct Tile<'a> {
    /// `[rows, columns of a register tile]`. Columns from `columns` on are padding.
    pub values: &'a [f32],
    /// The output pixel of each row, counted over the whole batch.
    pub pixels: &'a [usize],
    /// The first output pixel of the unit.
    pub first_pixel: usize,
    /// The first channel.
    pub column: usize,
    /// The number of channels.
    pub columns: usize,
    /// The number of channels of the output.
    pub channels: usize,
    /// Whether this is the first tile of the unit for these channels.
    pub first: bool,
    /// Whether to write with non-temporal stores.
    pub stream: bool,
}

/// A row of a tile: two registers.
pub(super) type TileRow<S> = [<S as Simd>::Vector; 2];

impl<'a> Tile<'a> {
    /// Iterates over the values of each row, with the offset of its first channel in a tensor of the output's shape.
    #[inline(always)]
    pub(super) fn rows<S: Simd>(self, s: S) -> impl Iterator<Item = (TileRow<S>, usize)> + use<'a, S> {
        let rows = self.values.chunks_exact(S::COLUMNS).zip(self.pixels);
        rows.map(move |(row, &pixel)| {
            ([s.load(&row[..S::LANES]), s.load(&row[S::LANES..])], pixel * self.channels + self.column)
        })
    }

    /// Loads the tile's channels from `from` at offset `at`.
    #[inline(always)]
    pub(super) fn load<'v, S: Simd>(&self, s: S, from: impl Into<Values<'v>>, at: usize) -> TileRow<S> {
        let from = from.into().slice(at..at + self.columns);
        if self.columns == S::COLUMNS {
            return [from.load(s, 0, S::LANES), from.load(s, S::LANES, S::LANES)];
        }
        let first = self.columns.min(S::LANES);
        [from.load(s, 0, first), from.load(s, first, self.columns - first)]
    }

    /// Loads the tile's channels of a per-channel array.
    #[inline(always)]
    pub(super) fn per_channel<S: Simd>(&self, s: S, from: &[f32]) -> TileRow<S> {
        self.load(s, from, self.column)
    }

    /// Returns the tile's channels of a pixel in `to`, the unit's part of the output. `at` is their offset in the whole
    /// output.
    #[inline(always)]
    pub(super) fn output<'t>(&self, to: &'t mut ValuesMut<'_>, at: usize) -> ValuesMut<'t> {
        let at = at - self.first_pixel * self.channels;
        to.slice_mut(at..at + self.columns)
    }

    /// Stores a row of the tile.
    #[inline(always)]
    pub(super) fn store<'v, S: Simd>(&self, s: S, values: TileRow<S>, to: impl Into<ValuesMut<'v>>) {
        to.into().store_row(s, values, false);
    }

    /// Stores a row of the tile, non-temporally if the output is large.
    #[inline(always)]
    pub(super) fn write<S: Simd>(&self, s: S, values: TileRow<S>, to: ValuesMut<'_>) {
        to.store_row(s, values, self.stream && self.columns == S::COLUMNS);
    }

    /// Returns the sums of one kind for the tile's channels.
    #[inline(always)]
    fn sums<'t>(&self, sums: &'t mut [f32], kind: usize) -> &'t mut [f32] {
        &mut sums[kind * self.channels + self.column..][..self.columns]
    }

    /// Adds `values` to the sums of one kind for the tile's channels.
    #[inline(always)]
    fn add_sums<S: Simd>(&self, s: S, sums: &mut [f32], kind: usize, values: TileRow<S>) {
        let sums = self.sums(sums, kind);
        let old = self.load(s, &*sums, 0);
        self.store(s, [s.add(old[0], values[0]), s.add(old[1], values[1])], sums);
    }
}

/// An operation on finished tiles of a product. It writes the output.
pub trait Epilogue: Sync {
    /// The number of per-channel sums that each unit keeps. Each epilogue defines their meaning.
    const SUMS: usize;
    /// Whether [`Epilogue::finish`] reads the output before it writes it.
    #[inline(always)]
    fn reads_output(&self) -> bool {
        false
    }
    /// Prefetches the cache line at the offset `at` of each tensor, other than the output, that [`Epilogue::finish`]
    /// reads. Must be `#[inline(always)]`.
    #[inline(always)]
    fn prefetch<S: Simd>(&self, _s: S, _at: usize) {}
    /// Writes a tile to `to`, the unit's part of the output, and updates `sums`, `[SUMS, channels]`. Must be
    /// `#[inline(always)]`.
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, to: ValuesMut<'_>, sums: &mut [f32]);
}

/// Writes the product, or adds it to the output.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// Whether to add to the output.
    pub accumulate: bool,
}

impl Epilogue for Write {
    const SUMS: usize = 0;

    #[inline(always)]
    fn reads_output(&self) -> bool {
        self.accumulate
    }

    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, mut to: ValuesMut<'_>, _sums: &mut [f32]) {
        for (value, at) in tile.rows(s) {
            let to = tile.output(&mut to, at);
            if self.accumulate {
                let old = tile.load(s, to.as_values(), 0);
                tile.store(s, [s.add(value[0], old[0]), s.add(value[1], old[1])], to);
            } else {
                tile.write(s, value, to);
            }
        }
    }
}

/// Writes the product, and accumulates the sums for its mean and variance.
///
/// The three values per channel are a pivot (the mean of the unit's first tile), the sum of the differences from the
/// pivot, and the sum of the squared differences. Subtracting a pivot near the mean avoids cancellation where the mean
/// is much larger than the standard deviation.
#[derive(Clone, Copy, Debug)]
pub struct Statistics;

impl Epilogue for Statistics {
    const SUMS: usize = 3;

    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, mut to: ValuesMut<'_>, sums: &mut [f32]) {
        if tile.first {
            let mut sum = [s.splat(0.0); 2];
            for (value, _) in tile.rows(s) {
                sum = [s.add(sum[0], value[0]), s.add(sum[1], value[1])];
            }
            let inverse_count = s.splat(1.0 / tile.pixels.len() as f32);
            tile.store(s, [s.mul(sum[0], inverse_count), s.mul(sum[1], inverse_count)], &mut *tile.sums(sums, 0));
        }
        let pivot = tile.load(s, &*tile.sums(sums, 0), 0);
        let (mut sum, mut square) = ([s.splat(0.0); 2], [s.splat(0.0); 2]);
        for (value, at) in tile.rows(s) {
            tile.write(s, value, tile.output(&mut to, at));
            for i in 0..2 {
                let difference = s.sub(value[i], pivot[i]);
                sum[i] = s.add(sum[i], difference);
                square[i] = s.fma(difference, difference, square[i]);
            }
        }
        tile.add_sums(s, sums, 1, sum);
        tile.add_sums(s, sums, 2, square);
    }
}

/// Writes `product + bias (+ residual)`, with ReLU if `relu`: inference with the batch norm folded into the weights.
#[derive(Clone, Copy, Debug)]
pub struct Folded<'a> {
    /// Added per channel.
    pub bias: &'a [f32],
    /// Added per element; has the shape of the output.
    pub residual: Option<Values<'a>>,
    /// Whether to apply ReLU.
    pub relu: bool,
}

impl Epilogue for Folded<'_> {
    const SUMS: usize = 0;

    #[inline(always)]
    fn prefetch<S: Simd>(&self, s: S, at: usize) {
        if let Some(residual) = self.residual {
            residual.prefetch(s, at);
        }
    }

    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, mut to: ValuesMut<'_>, _sums: &mut [f32]) {
        let bias = tile.per_channel(s, self.bias);
        for (mut value, at) in tile.rows(s) {
            let residual = self.residual.map(|residual| tile.load(s, residual, at));
            for i in 0..2 {
                value[i] = s.add(value[i], bias[i]);
                if let Some(residual) = residual {
                    value[i] = s.add(value[i], residual[i]);
                }
                if self.relu {
                    value[i] = s.relu(value[i]);
                }
            }
            tile.write(s, value, tile.output(&mut to, at));
        }
    }
}

/// Backward pass within a residual block. The product is the gradient of `relu(scale * z + shift)`. Writes it where the
/// ReLU was active, and zero elsewhere. Also sums the result, and the result times `z - mean`, for
/// [`super::Norm::backward_batch`].
#[derive(Clone, Copy, Debug)]
pub struct MaskByNorm<'a> {
    /// The output of the convolution before the batch norm.
    pub z: Values<'a>,
    /// Per channel.
    pub mean: &'a [f32],
    /// Per channel.
    pub scale: &'a [f32],
    /// Per channel.
    pub shift: &'a [f32],
}

impl Epilogue for MaskByNorm<'_> {
    const SUMS: usize = 2;

    #[inline(always)]
    fn prefetch<S: Simd>(&self, s: S, at: usize) {
        self.z.prefetch(s, at);
    }

    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, mut to: ValuesMut<'_>, sums: &mut [f32]) {
        let mean = tile.per_channel(s, self.mean);
        let (scale, shift) = (tile.per_channel(s, self.scale), tile.per_channel(s, self.shift));
        let (mut sum, mut product) = ([s.splat(0.0); 2], [s.splat(0.0); 2]);
        for (mut g, at) in tile.rows(s) {
            let z = tile.load(s, self.z, at);
            for i in 0..2 {
                g[i] = s.mask_positive(s.fma(scale[i], z[i], shift[i]), g[i]);
                sum[i] = s.add(sum[i], g[i]);
                product[i] = s.fma(g[i], s.sub(z[i], mean[i]), product[i]);
            }
            tile.write(s, g, tile.output(&mut to, at));
        }
        tile.add_sums(s, sums, 0, sum);
        tile.add_sums(s, sums, 1, product);
    }
}

/// Backward pass between residual blocks. The product plus the output, which holds the gradient of the shortcut, is the
/// gradient of the previous block's output `y = relu(…)`. Writes it where `y > 0`, and zero elsewhere. Also sums the
/// result, and the result times `z - mean` for `main` and for `shortcut`. The batch norms before `y` need these sums.
#[derive(Clone, Copy, Debug)]
pub struct MaskByOutput<'a> {
    /// The output of the previous block.
    pub y: Values<'a>,
    /// The output of that block's last convolution, and its mean per channel.
    pub main: (Values<'a>, &'a [f32]),
    /// The same for the projection in its shortcut, if it has one.
    pub shortcut: Option<(Values<'a>, &'a [f32])>,
}

impl Epilogue for MaskByOutput<'_> {
    const SUMS: usize = 3;

    #[inline(always)]
    fn reads_output(&self) -> bool {
        true
    }

    #[inline(always)]
    fn prefetch<S: Simd>(&self, s: S, at: usize) {
        self.y.prefetch(s, at);
        self.main.0.prefetch(s, at);
        if let Some((z, _)) = self.shortcut {
            z.prefetch(s, at);
        }
    }

    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, mut to: ValuesMut<'_>, sums: &mut [f32]) {
        let mean = tile.per_channel(s, self.main.1);
        let (mut sum, mut product) = ([s.splat(0.0); 2], [s.splat(0.0); 2]);
        for (mut g, at) in tile.rows(s) {
            let to = tile.output(&mut to, at);
            let (y, z, shortcut) =
                (tile.load(s, self.y, at), tile.load(s, self.main.0, at), tile.load(s, to.as_values(), 0));
            for i in 0..2 {
                g[i] = s.mask_positive(y[i], s.add(g[i], shortcut[i]));
                sum[i] = s.add(sum[i], g[i]);
                product[i] = s.fma(g[i], s.sub(z[i], mean[i]), product[i]);
            }
            tile.store(s, g, to);
        }
        tile.add_sums(s, sums, 0, sum);
        tile.add_sums(s, sums, 1, product);
        if let Some((z, mean)) = self.shortcut {
            let mean = tile.per_channel(s, mean);
            let mut product = [s.splat(0.0); 2];
            for (_, at) in tile.rows(s) {
                let (g, z) = (tile.load(s, tile.output(&mut to, at).as_values(), 0), tile.load(s, z, at));
                for i in 0..2 {
                    product[i] = s.fma(g[i], s.sub(z[i], mean[i]), product[i]);
                }
            }
            tile.add_sums(s, sums, 2, product);
        }
    }
}
