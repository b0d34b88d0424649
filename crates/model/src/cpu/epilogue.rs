//! What is done with a tile of the product while it is in the cache: statistics, bias, ReLU, residual, masks.

use super::simd::Simd;

/// Bytes of a tensor that would push everything else out of a last-level cache before it is read; few in this crate's
/// tests, so that their small tensors are written in both ways.
const LARGE: usize = if cfg!(test) { 4 << 10 } else { 8 << 20 };

/// Whether a tensor of `len` elements is written past the caches: it then need not be read before it is written.
pub(crate) fn streams(len: usize) -> bool {
    len * size_of::<f32>() > LARGE
}

/// A finished tile on its way to the output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile<'a> {
    /// `[rows, columns of a register tile]`; columns beyond `columns` are padding.
    pub(crate) values: &'a [f32],
    /// Position of each row in the output, counted in pixels over the whole batch.
    pub(crate) pixels: &'a [usize],
    /// Position of the first pixel of the unit's part of the output.
    pub(crate) first_pixel: usize,
    /// First channel.
    pub(crate) column: usize,
    /// Number of channels.
    pub(crate) columns: usize,
    /// Channels of the output.
    pub(crate) channels: usize,
    /// Whether the unit has not written these channels before.
    pub(crate) first: bool,
    /// Whether the output is too large to stay in the caches until it is read.
    pub(crate) stream: bool,
}

/// The columns of a tile that fill a register, or what is left of them.
#[derive(Clone, Copy)]
struct Strip<'a> {
    tile: Tile<'a>,
    /// First column within the tile.
    start: usize,
    /// Number of columns.
    len: usize,
}

impl<'a> Tile<'a> {
    #[inline(always)]
    fn strips<S: Simd>(self) -> impl Iterator<Item = Strip<'a>> {
        (0..self.columns).step_by(S::LANES).map(move |start| Strip {
            tile: self,
            start,
            len: S::LANES.min(self.columns - start),
        })
    }
}

impl<'a> Strip<'a> {
    /// For each row its values, and where its channels start in a tensor of the output's shape.
    #[inline(always)]
    fn rows<S: Simd>(self, s: S) -> impl Iterator<Item = (S::Vector, usize)> {
        let Tile { values, pixels, column, channels, .. } = self.tile;
        let at = column + self.start;
        let rows = values.chunks_exact(S::COLUMNS).zip(pixels);
        rows.map(move |(row, &pixel)| (s.load(&row[self.start..][..S::LANES]), pixel * channels + at))
    }

    /// Its elements of a tensor of the output's shape, or of its rest.
    #[inline(always)]
    fn load<S: Simd>(&self, s: S, from: &[f32], at: usize) -> S::Vector {
        s.load(&from[at..][..self.len])
    }

    /// Its elements of a row of channels.
    #[inline(always)]
    fn per_channel<S: Simd>(&self, s: S, from: &[f32]) -> S::Vector {
        self.load(s, from, self.tile.column + self.start)
    }

    /// Its elements of the unit's part of the output, given where they are in the whole output.
    #[inline(always)]
    fn output<'t>(&self, to: &'t mut [f32], at: usize) -> &'t mut [f32] {
        &mut to[at - self.tile.first_pixel * self.tile.channels..][..self.len]
    }

    /// Writes to the output.
    #[inline(always)]
    fn write<S: Simd>(&self, s: S, value: S::Vector, to: &mut [f32]) {
        if self.tile.stream { s.stream(value, to) } else { s.store(value, to) }
    }

    /// Its elements of the sums of a kind.
    #[inline(always)]
    fn sums<'t>(&self, sums: &'t mut [f32], kind: usize) -> &'t mut [f32] {
        &mut sums[kind * self.tile.channels + self.tile.column + self.start..][..self.len]
    }

    /// Adds to its elements of the sums of a kind.
    #[inline(always)]
    fn add_sums<S: Simd>(&self, s: S, sums: &mut [f32], kind: usize, values: S::Vector) {
        let sums = self.sums(sums, kind);
        s.store(s.add(s.load(sums), values), sums);
    }
}

/// The last step of a product.
pub(crate) trait Epilogue: Sync {
    /// Kinds of per-channel sums that a unit keeps; their meaning is the epilogue's own.
    const SUMS: usize;
    /// Writes a tile to the unit's part of the output `to`; `sums` is `[SUMS, channels]`. Must be `#[inline(always)]`.
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, to: &mut [f32], sums: &mut [f32]);
}

/// Writes the product as it is, or adds it to what is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    /// Whether to add.
    pub(crate) accumulate: bool,
}

impl Epilogue for Write {
    const SUMS: usize = 0;

    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, to: &mut [f32], _sums: &mut [f32]) {
        for strip in tile.strips::<S>() {
            for (value, at) in strip.rows(s) {
                let to = strip.output(to, at);
                if self.accumulate { s.store(s.add(value, s.load(to)), to) } else { strip.write(s, value, to) }
            }
        }
    }
}

/// Writes the product and gathers what its mean and variance are computed from.
///
/// The sums are a value near the mean (the mean of the unit's first tile), and the sums of the differences from it and
/// of their squares, so that nothing cancels where the mean is large beside the deviation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statistics;

impl Epilogue for Statistics {
    const SUMS: usize = 3;

    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, to: &mut [f32], sums: &mut [f32]) {
        for strip in tile.strips::<S>() {
            if tile.first {
                let mut sum = s.splat(0.0);
                for (value, _) in strip.rows(s) {
                    sum = s.add(sum, value);
                }
                let mean = s.mul(sum, s.splat(1.0 / tile.pixels.len() as f32));
                s.store(mean, strip.sums(sums, 0));
            }
            let near = s.load(strip.sums(sums, 0));
            let (mut sum, mut square) = (s.splat(0.0), s.splat(0.0));
            for (value, at) in strip.rows(s) {
                strip.write(s, value, strip.output(to, at));
                let difference = s.sub(value, near);
                sum = s.add(sum, difference);
                square = s.fma(difference, difference, square);
            }
            strip.add_sums(s, sums, 1, sum);
            strip.add_sums(s, sums, 2, square);
        }
    }
}

/// `product + bias (+ residual)`, then ReLU if `relu`: inference with the batch norm folded into the weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Folded<'a> {
    /// Per channel.
    pub(crate) bias: &'a [f32],
    /// Of the output's shape.
    pub(crate) residual: Option<&'a [f32]>,
    /// Whether negative results become zero.
    pub(crate) relu: bool,
}

impl Epilogue for Folded<'_> {
    const SUMS: usize = 0;

    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, to: &mut [f32], _sums: &mut [f32]) {
        for strip in tile.strips::<S>() {
            let bias = strip.per_channel(s, self.bias);
            for (value, at) in strip.rows(s) {
                let mut value = s.add(value, bias);
                if let Some(residual) = self.residual {
                    value = s.add(value, strip.load(s, residual, at));
                }
                strip.write(s, if self.relu { s.relu(value) } else { value }, strip.output(to, at));
            }
        }
    }
}

/// Backward inside a block: the product is the gradient of `relu(scale * z + shift)`; writes it where the ReLU let
/// something through, and sums it, and it times `z - mean`, for the batch norm's backward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaskByNorm<'a> {
    /// Output of the convolution before the batch norm.
    pub(crate) z: &'a [f32],
    /// Per channel.
    pub(crate) mean: &'a [f32],
    /// Per channel.
    pub(crate) scale: &'a [f32],
    /// Per channel.
    pub(crate) shift: &'a [f32],
}

impl Epilogue for MaskByNorm<'_> {
    const SUMS: usize = 2;

    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, to: &mut [f32], sums: &mut [f32]) {
        for strip in tile.strips::<S>() {
            let mean = strip.per_channel(s, self.mean);
            let (scale, shift) = (strip.per_channel(s, self.scale), strip.per_channel(s, self.shift));
            let (mut sum, mut product) = (s.splat(0.0), s.splat(0.0));
            for (value, at) in strip.rows(s) {
                let z = strip.load(s, self.z, at);
                let g = s.where_positive(s.fma(scale, z, shift), value);
                sum = s.add(sum, g);
                product = s.fma(g, s.sub(z, mean), product);
                strip.write(s, g, strip.output(to, at));
            }
            strip.add_sums(s, sums, 0, sum);
            strip.add_sums(s, sums, 1, product);
        }
    }
}

/// Backward between blocks: the product, added to the shortcut's gradient that is there, is the gradient of the output
/// `y = relu(…)` of the block before; masks it by `y > 0` and sums for the batch norms that `y` came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaskByOutput<'a> {
    /// The block's output.
    pub(crate) y: &'a [f32],
    /// Output of the block's last convolution and its mean per channel.
    pub(crate) main: (&'a [f32], &'a [f32]),
    /// The same of the projection of its shortcut.
    pub(crate) shortcut: Option<(&'a [f32], &'a [f32])>,
}

impl Epilogue for MaskByOutput<'_> {
    const SUMS: usize = 3;

    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, tile: Tile<'_>, to: &mut [f32], sums: &mut [f32]) {
        for strip in tile.strips::<S>() {
            let mean = strip.per_channel(s, self.main.1);
            let (mut sum, mut product) = (s.splat(0.0), s.splat(0.0));
            for (value, at) in strip.rows(s) {
                let to = strip.output(to, at);
                let g = s.where_positive(strip.load(s, self.y, at), s.add(value, s.load(to)));
                sum = s.add(sum, g);
                product = s.fma(g, s.sub(strip.load(s, self.main.0, at), mean), product);
                s.store(g, to);
            }
            strip.add_sums(s, sums, 0, sum);
            strip.add_sums(s, sums, 1, product);
            if let Some((z, mean)) = self.shortcut {
                let mean = strip.per_channel(s, mean);
                let mut product = s.splat(0.0);
                for (_, at) in strip.rows(s) {
                    let difference = s.sub(strip.load(s, z, at), mean);
                    product = s.fma(s.load(strip.output(to, at)), difference, product);
                }
                strip.add_sums(s, sums, 2, product);
            }
        }
    }
}
