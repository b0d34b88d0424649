//! What is done with a tile of the product while it is in the cache: statistics, bias, ReLU, residual, masks.

use super::simd::Simd;

/// Larger tensors, in bytes, would evict everything else from the last-level cache before they are read. Tiny in tests, so
/// that both ways of writing are covered.
const LARGE: usize = if cfg!(test) { 4 << 10 } else { 8 << 20 };

/// Whether a tensor of `len` elements is written past the caches: it then need not be read before it is written.
pub(crate) fn streams(len: usize) -> bool {
    len * size_of::<f32>() > LARGE
}

/// A finished tile on its way to the output.
#[derive(Clone, Copy, Debug)]
pub struct Tile<'a> {
    /// `[rows, columns of a register tile]`; columns beyond `columns` are padding.
    pub values: &'a [f32],
    /// Position of each row in the output, counted in pixels over the whole batch.
    pub pixels: &'a [usize],
    /// Position of the first pixel of the unit's part of the output.
    pub first_pixel: usize,
    /// First channel.
    pub column: usize,
    /// Number of channels.
    pub columns: usize,
    /// Channels of the output.
    pub channels: usize,
    /// Whether the unit has not written these channels before.
    pub first: bool,
    /// Whether the output is too large to stay in the caches until it is read.
    pub stream: bool,
}

/// The columns of a tile: two registers.
type Pair<S> = [<S as Simd>::Vector; 2];

impl<'a> Tile<'a> {
    /// For each row its values, and where its channels start in a tensor of the output's shape.
    #[inline(always)]
    fn rows<S: Simd>(self, s: S) -> impl Iterator<Item = (Pair<S>, usize)> + use<'a, S> {
        let rows = self.values.chunks_exact(S::COLUMNS).zip(self.pixels);
        rows.map(move |(row, &pixel)| {
            ([s.load(&row[..S::LANES]), s.load(&row[S::LANES..])], pixel * self.channels + self.column)
        })
    }

    /// Its columns of a tensor of the output's shape, or of its rest.
    #[inline(always)]
    fn load<S: Simd>(&self, s: S, from: &[f32], at: usize) -> Pair<S> {
        let from = &from[at..][..self.columns];
        if from.len() == S::COLUMNS {
            return [s.load(&from[..S::LANES]), s.load(&from[S::LANES..])];
        }
        let (first, second) = from.split_at(from.len().min(S::LANES));
        [s.load(first), s.load(second)]
    }

    /// Its columns of a row of channels.
    #[inline(always)]
    fn per_channel<S: Simd>(&self, s: S, from: &[f32]) -> Pair<S> {
        self.load(s, from, self.column)
    }

    /// Its columns of a row of the unit's part of the output, given where they are in the whole output.
    #[inline(always)]
    fn output<'t>(&self, to: &'t mut [f32], at: usize) -> &'t mut [f32] {
        &mut to[at - self.first_pixel * self.channels..][..self.columns]
    }

    /// Writes its columns of a row.
    #[inline(always)]
    fn store<S: Simd>(&self, s: S, values: Pair<S>, to: &mut [f32]) {
        if to.len() == S::COLUMNS {
            s.store(values[0], &mut to[..S::LANES]);
            s.store(values[1], &mut to[S::LANES..]);
        } else {
            let (first, second) = to.split_at_mut(to.len().min(S::LANES));
            s.store(values[0], first);
            s.store(values[1], second);
        }
    }

    /// Writes its columns of a row of the output.
    #[inline(always)]
    fn write<S: Simd>(&self, s: S, values: Pair<S>, to: &mut [f32]) {
        if self.stream && to.len() == S::COLUMNS {
            s.stream(values[0], &mut to[..S::LANES]);
            s.stream(values[1], &mut to[S::LANES..]);
        } else {
            self.store(s, values, to);
        }
    }

    /// Its columns of the sums of a kind.
    #[inline(always)]
    fn sums<'t>(&self, sums: &'t mut [f32], kind: usize) -> &'t mut [f32] {
        &mut sums[kind * self.channels + self.column..][..self.columns]
    }

    /// Adds to its columns of the sums of a kind.
    #[inline(always)]
    fn add_sums<S: Simd>(&self, s: S, sums: &mut [f32], kind: usize, values: Pair<S>) {
        let sums = self.sums(sums, kind);
        let old = self.load(s, sums, 0);
        self.store(s, [s.add(old[0], values[0]), s.add(old[1], values[1])], sums);
    }
}

/// The last step of a product.
pub trait Epilogue: Sync {
    /// Kinds of per-channel sums that a unit keeps; their meaning is the epilogue's own.
    const SUMS: usize;
    /// Whether [`Epilogue::finish`] reads the output before it writes it.
    #[inline(always)]
    fn reads_output(&self) -> bool {
        false
    }
    /// Asks for the line at `at`, an element of the whole output, of each other tensor that [`Epilogue::finish`] will read.
    /// Must be `#[inline(always)]`.
    #[inline(always)]
    fn prefetch<S: Simd>(&self, _s: S, _at: usize) {}
    /// Writes a tile to the unit's part of the output `to`; `sums` is `[SUMS, channels]`. Must be `#[inline(always)]`.
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, to: &mut [f32], sums: &mut [f32]);
}

/// Writes the product as it is, or adds it to what is there.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// Whether to add.
    pub accumulate: bool,
}

impl Epilogue for Write {
    const SUMS: usize = 0;

    #[inline(always)]
    fn reads_output(&self) -> bool {
        self.accumulate
    }

    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, to: &mut [f32], _sums: &mut [f32]) {
        for (value, at) in tile.rows(s) {
            let to = tile.output(to, at);
            if self.accumulate {
                let old = tile.load(s, to, 0);
                tile.store(s, [s.add(value[0], old[0]), s.add(value[1], old[1])], to);
            } else {
                tile.write(s, value, to);
            }
        }
    }
}

/// Writes the product and gathers what its mean and variance are computed from.
///
/// The sums are a value near the mean (the mean of the unit's first tile), and the sums of the differences from it and
/// of their squares, so that nothing cancels where the mean is large beside the deviation.
#[derive(Clone, Copy, Debug)]
pub struct Statistics;

impl Epilogue for Statistics {
    const SUMS: usize = 3;

    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, to: &mut [f32], sums: &mut [f32]) {
        if tile.first {
            let mut sum = [s.splat(0.0); 2];
            for (value, _) in tile.rows(s) {
                sum = [s.add(sum[0], value[0]), s.add(sum[1], value[1])];
            }
            let share = s.splat(1.0 / tile.pixels.len() as f32);
            tile.store(s, [s.mul(sum[0], share), s.mul(sum[1], share)], tile.sums(sums, 0));
        }
        let near = tile.load(s, tile.sums(sums, 0), 0);
        let (mut sum, mut square) = ([s.splat(0.0); 2], [s.splat(0.0); 2]);
        for (value, at) in tile.rows(s) {
            tile.write(s, value, tile.output(to, at));
            for i in 0..2 {
                let difference = s.sub(value[i], near[i]);
                sum[i] = s.add(sum[i], difference);
                square[i] = s.fma(difference, difference, square[i]);
            }
        }
        tile.add_sums(s, sums, 1, sum);
        tile.add_sums(s, sums, 2, square);
    }
}

/// `product + bias (+ residual)`, then ReLU if `relu`: inference with the batch norm folded into the weights.
#[derive(Clone, Copy, Debug)]
pub struct Folded<'a> {
    /// Per channel.
    pub bias: &'a [f32],
    /// Of the output's shape.
    pub residual: Option<&'a [f32]>,
    /// Whether negative results become zero.
    pub relu: bool,
}

impl Epilogue for Folded<'_> {
    const SUMS: usize = 0;

    #[inline(always)]
    fn prefetch<S: Simd>(&self, s: S, at: usize) {
        if let Some(residual) = self.residual {
            s.prefetch(residual, at);
        }
    }

    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, to: &mut [f32], _sums: &mut [f32]) {
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
            tile.write(s, value, tile.output(to, at));
        }
    }
}

/// Backward inside a block: the product is the gradient of `relu(scale * z + shift)`; writes it where the ReLU let
/// something through, and sums it, and it times `z - mean`, for the batch norm's backward.
#[derive(Clone, Copy, Debug)]
pub struct MaskByNorm<'a> {
    /// Output of the convolution before the batch norm.
    pub z: &'a [f32],
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
        s.prefetch(self.z, at);
    }

    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, to: &mut [f32], sums: &mut [f32]) {
        let mean = tile.per_channel(s, self.mean);
        let (scale, shift) = (tile.per_channel(s, self.scale), tile.per_channel(s, self.shift));
        let (mut sum, mut product) = ([s.splat(0.0); 2], [s.splat(0.0); 2]);
        for (mut g, at) in tile.rows(s) {
            let z = tile.load(s, self.z, at);
            for i in 0..2 {
                g[i] = s.where_positive(s.fma(scale[i], z[i], shift[i]), g[i]);
                sum[i] = s.add(sum[i], g[i]);
                product[i] = s.fma(g[i], s.sub(z[i], mean[i]), product[i]);
            }
            tile.write(s, g, tile.output(to, at));
        }
        tile.add_sums(s, sums, 0, sum);
        tile.add_sums(s, sums, 1, product);
    }
}

/// Backward between blocks: the product, added to the shortcut's gradient that is there, is the gradient of the output
/// `y = relu(…)` of the block before; masks it by `y > 0` and sums for the batch norms that `y` came from.
#[derive(Clone, Copy, Debug)]
pub struct MaskByOutput<'a> {
    /// The block's output.
    pub y: &'a [f32],
    /// Output of the block's last convolution and its mean per channel.
    pub main: (&'a [f32], &'a [f32]),
    /// The same of the projection of its shortcut.
    pub shortcut: Option<(&'a [f32], &'a [f32])>,
}

impl Epilogue for MaskByOutput<'_> {
    const SUMS: usize = 3;

    #[inline(always)]
    fn reads_output(&self) -> bool {
        true
    }

    #[inline(always)]
    fn prefetch<S: Simd>(&self, s: S, at: usize) {
        s.prefetch(self.y, at);
        s.prefetch(self.main.0, at);
        if let Some((z, _)) = self.shortcut {
            s.prefetch(z, at);
        }
    }

    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, to: &mut [f32], sums: &mut [f32]) {
        let mean = tile.per_channel(s, self.main.1);
        let (mut sum, mut product) = ([s.splat(0.0); 2], [s.splat(0.0); 2]);
        for (mut g, at) in tile.rows(s) {
            let to = tile.output(to, at);
            let (y, z, shortcut) = (tile.load(s, self.y, at), tile.load(s, self.main.0, at), tile.load(s, to, 0));
            for i in 0..2 {
                g[i] = s.where_positive(y[i], s.add(g[i], shortcut[i]));
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
                let (g, z) = (tile.load(s, tile.output(to, at), 0), tile.load(s, z, at));
                for i in 0..2 {
                    product[i] = s.fma(g[i], s.sub(z[i], mean[i]), product[i]);
                }
            }
            tile.add_sums(s, sums, 2, product);
        }
    }
}
