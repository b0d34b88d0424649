//! Multi-head self-attention (Vaswani et al., arXiv 1706.03762): `softmax(q kᵀ / sqrt(width)) v` for each head.
//!
//! Scores are never stored as a whole in the forward pass: a register tile of queries at a time goes through all keys,
//! the softmax and all values. Always in f32.

use rayon::prelude::*;

use super::buffer::with_scratch;
use super::exponential::exp;
use super::layer_norm::total;
use super::micro_kernel::{LeftStrides, RowMajor};
use super::simd::{Isa, Kernel, MAX_LANES, Simd};
use super::tile_product::{Matrix, Size, multiply, pack_left, pack_right, packed_left_len, packed_right_len, tile};

/// Register tiles of queries that one task computes.
const TILES: usize = 4;

/// The shape of an attention for one batch.
///
/// The queries, keys and values are one tensor, `[images, tokens, 3, heads, width]`: the output of one linear layer.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// Number of images.
    pub images: usize,
    /// Tokens of an image.
    pub tokens: usize,
    /// Heads.
    pub heads: usize,
    /// Channels of a head, at most 256.
    pub width: usize,
}

impl Attention {
    /// The number of channels of a token: `heads * width`.
    fn channels(&self) -> usize {
        self.heads * self.width
    }

    /// The number of elements of a head's packed keys and values.
    fn packed_head_len(&self, tile: usize) -> usize {
        packed_right_len(self.width, self.tokens, tile) + packed_right_len(self.tokens, self.width, tile)
    }

    /// The number of elements of scratch memory for [`Attention::run`].
    #[must_use]
    pub fn scratch_len(&self, isa: Isa) -> usize {
        self.images * self.heads * self.packed_head_len(isa.tile().1)
    }

    /// Returns the queries (0), keys (1) or values (2) of a head in an image's part of the tensor, `[tokens, width]`.
    #[inline(always)]
    fn part<'a>(&self, image: &'a [f32], part: usize, head: usize) -> Matrix<'a> {
        let first = part * self.channels() + head * self.width;
        Matrix { data: &image[first..], row: 3 * self.channels(), column: 1 }
    }

    fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }

    /// Computes the attention into `to`, `[images, tokens, heads, width]`. `scratch` has at least
    /// [`Attention::scratch_len`] elements.
    pub fn run(&self, qkv: &[f32], scratch: &mut [f32], to: &mut [f32], isa: Isa) {
        let isa = isa.in_f32();
        let (rows, columns) = isa.tile();
        let image = self.tokens * 3 * self.channels();
        let packed = &mut scratch[..self.scratch_len(isa)];
        packed.par_chunks_mut(self.packed_head_len(columns)).enumerate().for_each(|(at, to)| {
            let image = &qkv[at / self.heads * image..][..image];
            isa.run_in_f32(PackHead { attention: *self, image, head: at % self.heads, to });
        });
        let packed = &*packed;
        let block = TILES * rows;
        let images = to.par_chunks_mut(self.tokens * self.channels()).enumerate();
        images.for_each(|(i, to)| {
            let (qkv, packed) = (&qkv[i * image..][..image], &packed[i * packed.len() / self.images..]);
            to.par_chunks_mut(block * self.channels()).enumerate().for_each(|(b, to)| {
                let lens = self.task_lens((rows, columns));
                with_scratch([lens.iter().sum(), 0], |[scratch, _]| {
                    isa.run_in_f32(Queries { attention: *self, image: qkv, packed, first: b * block, to, scratch });
                });
            });
        });
    }

    /// The lengths of a task's scratch memory: packed queries, scores, packed probabilities, a tile of the result.
    fn task_lens(&self, (rows, columns): (usize, usize)) -> [usize; 4] {
        [
            packed_left_len(self.width, rows),
            self.tokens.next_multiple_of(columns) * rows,
            packed_left_len(self.tokens, rows),
            rows * columns,
        ]
    }
}

/// Packs the keys and values of a head.
struct PackHead<'a> {
    attention: Attention,
    image: &'a [f32],
    head: usize,
    to: &'a mut [f32],
}

impl Kernel for PackHead<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _s: S) {
        let Attention { tokens, width, .. } = self.attention;
        let (keys, values) = self.to.split_at_mut(packed_right_len(width, tokens, S::COLUMNS));
        pack_right::<S>(self.attention.part(self.image, 1, self.head).transposed(), width, tokens, keys);
        pack_right::<S>(self.attention.part(self.image, 2, self.head), tokens, width, values);
    }
}

/// Computes the attention of some queries of an image, for all heads.
struct Queries<'a> {
    attention: Attention,
    /// The queries, keys and values of the image.
    image: &'a [f32],
    /// The packed keys and values of the image's heads.
    packed: &'a [f32],
    /// The first query.
    first: usize,
    /// The queries' part of the output.
    to: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl Kernel for Queries<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let attention = self.attention;
        let Attention { tokens, heads, width, .. } = attention;
        let lens = attention.task_lens((S::ROWS, S::COLUMNS));
        let (queries, rest) = self.scratch.split_at_mut(lens[0]);
        let (scores, rest) = rest.split_at_mut(lens[1]);
        let (probabilities, rest) = rest.split_at_mut(lens[2]);
        let result = &mut rest[..lens[3]];
        let channels = attention.channels();
        let count = self.to.len() / channels;
        for head in 0..heads {
            let packed = &self.packed[head * attention.packed_head_len(S::COLUMNS)..];
            let (keys, values) = packed.split_at(packed_right_len(width, tokens, S::COLUMNS));
            for first in (0..count).step_by(S::ROWS) {
                let rows = S::ROWS.min(count - first);
                let part = attention.part(self.image, 0, head);
                let part = Matrix { data: &part.data[(self.first + first) * part.row..], ..part };
                pack_left(s, part, rows, width, attention.scale(), queries);
                let tiles = scores.chunks_exact_mut(S::ROWS * S::COLUMNS);
                for (keys, scores) in keys.chunks_exact(width * S::COLUMNS).zip(tiles) {
                    tile(s, rows, width, queries, keys, scores);
                }
                let mut inverse_sums = [0.0; MAX_ROWS];
                let mut row = 0;
                while row < rows {
                    inverse_sums[row] = 1.0 / exponentials(s, scores, row, tokens, probabilities);
                    row += 1;
                }
                let panels = values[..packed_right_len(tokens, width, S::COLUMNS)].chunks_exact(tokens * S::COLUMNS);
                for (column, panel) in (0..width).step_by(S::COLUMNS).zip(panels) {
                    tile(s, rows, tokens, probabilities, panel, result);
                    let valid = S::COLUMNS.min(width - column);
                    for (i, values) in result.chunks_exact(S::COLUMNS).take(rows).enumerate() {
                        let at = (first + i) * channels + head * width + column;
                        let to = self.to[at..][..valid].chunks_mut(S::LANES);
                        for (to, value) in to.zip(values[..valid].chunks(S::LANES)) {
                            s.store(s.mul(s.load(value), s.splat(inverse_sums[i])), to);
                        }
                    }
                }
            }
        }
    }
}

/// The most rows of a register tile.
const MAX_ROWS: usize = 14;

/// Computes `exp(score - largest score)` for one row of a tile of queries into the packed left operand `to`. Returns
/// the sum.
#[inline(always)]
fn exponentials<S: Simd>(s: S, scores: &[f32], row: usize, tokens: usize, to: &mut [f32]) -> f32 {
    let row_of = |start: usize, scores: &'_ [f32]| -> std::ops::Range<usize> {
        let at = start / S::COLUMNS * S::ROWS * S::COLUMNS + row * S::COLUMNS + start % S::COLUMNS;
        debug_assert!(at < scores.len());
        at..at + S::LANES.min(tokens - start)
    };
    let whole = tokens / S::LANES * S::LANES;
    let mut largest = f32::NEG_INFINITY;
    let mut lanes = s.splat(largest);
    for start in (0..whole).step_by(S::LANES) {
        let score = s.load(&scores[row_of(start, scores)]);
        lanes = s.select_greater(score, lanes, score, lanes);
    }
    let mut all = [f32::NEG_INFINITY; MAX_LANES];
    s.store(lanes, &mut all[..S::LANES]);
    let rest = if whole < tokens { &scores[row_of(whole, scores)] } else { &[] };
    for &score in all.iter().chain(rest) {
        if score > largest || score.is_nan() {
            largest = score;
        }
    }
    let (mut sum, mut sum_of_rest) = (s.splat(0.0), 0.0);
    for start in (0..tokens).step_by(S::LANES) {
        let score = &scores[row_of(start, scores)];
        let value = exp(s, s.sub(s.load(score), s.splat(largest)));
        // A register never crosses the boundary between two blocks of the depth, whose length is a multiple of it.
        let at = start / BLOCK * S::ROWS * RowMajor::ROW + row * RowMajor::ROW + start % BLOCK;
        let to = &mut to[at..at + score.len()];
        s.store(value, to);
        if to.len() == S::LANES {
            sum = s.add(sum, value);
        } else {
            sum_of_rest = to.iter().sum();
        }
    }
    total(s, sum) + sum_of_rest
}

/// The depth of a block of a packed left operand.
const BLOCK: usize = super::im2col::MAX_DEPTH;

impl Attention {
    /// Computes the gradient of the queries, keys and values, which has the shape of `qkv`, from the gradient of the
    /// output. Computes the probabilities again.
    pub fn backward(&self, qkv: &[f32], gradient: &[f32], to: &mut [f32], isa: Isa) {
        let isa = isa.in_f32();
        let Self { tokens, width, .. } = *self;
        let tile = isa.tile();
        let channels = self.channels();
        let products = [
            Size { rows: tokens, depth: width, columns: tokens },
            Size { rows: tokens, depth: tokens, columns: width },
        ];
        let product = products.map(|size| size.scratch_len(tile)).into_iter().max().unwrap_or(0);
        let images = qkv.par_chunks(tokens * 3 * channels).zip(gradient.par_chunks(tokens * channels));
        images.zip(to.par_chunks_mut(tokens * 3 * channels)).for_each(|((image, gradient), to)| {
            with_scratch([2 * tokens * tokens, product], |[matrices, scratch]| {
                let (probabilities, scores) = matrices[..2 * tokens * tokens].split_at_mut(tokens * tokens);
                for head in 0..self.heads {
                    let to = &mut *to;
                    let scratch = &mut *scratch;
                    let task = HeadBackward {
                        attention: *self,
                        image,
                        gradient,
                        head,
                        probabilities: &mut *probabilities,
                        scores: &mut *scores,
                        to,
                        scratch,
                    };
                    isa.run_in_f32(task);
                }
            });
        });
    }
}

/// Computes the probabilities of a head, `[tokens, tokens]`.
struct Probabilities<'a> {
    attention: Attention,
    image: &'a [f32],
    head: usize,
    to: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl Kernel for Probabilities<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Attention { tokens, width, .. } = self.attention;
        let [q, k] = [self.attention.part(self.image, 0, self.head), self.attention.part(self.image, 1, self.head)];
        let size = Size { rows: tokens, depth: width, columns: tokens };
        multiply(s, size, q, k.transposed(), self.attention.scale(), self.to, tokens, self.scratch);
        for row in self.to.chunks_exact_mut(tokens) {
            softmax(s, row);
        }
    }
}

/// Replaces a row by its softmax.
#[inline(always)]
fn softmax<S: Simd>(s: S, row: &mut [f32]) {
    let mut largest = f32::NEG_INFINITY;
    for &score in &*row {
        if score > largest || score.is_nan() {
            largest = score;
        }
    }
    let mut sum = 0.0;
    for values in row.chunks_mut(S::LANES) {
        s.store(exp(s, s.sub(s.load(values), s.splat(largest))), values);
        for &value in &*values {
            sum += value;
        }
    }
    let inverse = s.splat(1.0 / sum);
    for values in row.chunks_mut(S::LANES) {
        s.store(s.mul(s.load(values), inverse), values);
    }
}

/// Computes the gradients of a head's queries, keys and values.
struct HeadBackward<'a> {
    attention: Attention,
    image: &'a [f32],
    gradient: &'a [f32],
    head: usize,
    /// Scratch memory, `[tokens, tokens]`.
    probabilities: &'a mut [f32],
    /// Scratch memory, `[tokens, tokens]`.
    scores: &'a mut [f32],
    to: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl Kernel for HeadBackward<'_> {
    /// With P the probabilities, S the scores and dO the gradient of the output: dV = Pᵀ dO, dP = dO Vᵀ,
    /// dS = P (dP - sum over the row of P dP), dQ = dS K / sqrt(width), dK = dSᵀ Q / sqrt(width).
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { attention, image, head, probabilities, scores, to, scratch, .. } = self;
        let Attention { tokens, width, .. } = attention;
        let (channels, scale) = (attention.channels(), attention.scale());
        let pitch = 3 * channels;
        let at = |part: usize| part * channels + head * width;
        let [q, k, v] =
            [attention.part(image, 0, head), attention.part(image, 1, head), attention.part(image, 2, head)];
        let gradient = Matrix { data: &self.gradient[head * width..], row: channels, column: 1 };
        let square = Size { rows: tokens, depth: width, columns: tokens };
        let thin = Size { rows: tokens, depth: tokens, columns: width };
        Probabilities { attention, image, head, to: &mut *probabilities, scratch: &mut *scratch }.run(s);
        multiply(s, square, gradient, v.transposed(), 1.0, scores, tokens, scratch);
        let p = Matrix { data: probabilities, row: tokens, column: 1 };
        multiply(s, thin, p.transposed(), gradient, 1.0, &mut to[at(2)..], pitch, scratch);
        for (scores, p) in scores.chunks_exact_mut(tokens).zip(probabilities.chunks_exact(tokens)) {
            let mut dot = s.splat(0.0);
            for (score, p) in scores.chunks(S::LANES).zip(p.chunks(S::LANES)) {
                dot = s.fma(s.load(score), s.load(p), dot);
            }
            let dot = s.splat(total(s, dot));
            for (score, p) in scores.chunks_mut(S::LANES).zip(p.chunks(S::LANES)) {
                s.store(s.mul(s.load(p), s.sub(s.load(score), dot)), score);
            }
        }
        let d = Matrix { data: scores, row: tokens, column: 1 };
        multiply(s, thin, d, k, scale, &mut to[at(0)..], pitch, scratch);
        multiply(s, thin, d.transposed(), q, scale, &mut to[at(1)..], pitch, scratch);
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::{assert_close, noise};
    use super::*;

    /// The plain reference in double precision: the output and the probabilities, `[images, heads, tokens, tokens]`.
    fn reference(shape: Attention, qkv: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let Attention { images, tokens, heads, width } = shape;
        let (mut to, mut all) = (vec![0.0; images * tokens * heads * width], Vec::new());
        let at = |image: usize, token: usize, part: usize, head: usize| {
            (((image * tokens + token) * 3 + part) * heads + head) * width
        };
        for image in 0..images {
            for head in 0..heads {
                for query in 0..tokens {
                    let (q, scale) = (&qkv[at(image, query, 0, head)..][..width], (width as f64).sqrt());
                    let score = |key: usize| -> f64 {
                        q.iter().zip(&qkv[at(image, key, 1, head)..]).map(|(q, k)| q * k).sum::<f64>() / scale
                    };
                    let p: Vec<f64> = (0..tokens).map(|key| score(key).exp()).collect();
                    let sum: f64 = p.iter().sum();
                    for (key, p) in p.into_iter().enumerate() {
                        all.push(p / sum);
                        for c in 0..width {
                            to[((image * tokens + query) * heads + head) * width + c] +=
                                p / sum * qkv[at(image, key, 2, head) + c];
                        }
                    }
                }
            }
        }
        (to, all)
    }

    fn shapes() -> Vec<Attention> {
        let shape = |[images, tokens, heads, width]: [usize; 4]| Attention { images, tokens, heads, width };
        [[1, 1, 1, 1], [2, 5, 3, 4], [1, 37, 2, 16], [2, 65, 1, 33], [1, 270, 1, 7]].map(shape).into()
    }

    #[test]
    fn output_matches_reference() {
        for isa in Isa::available().into_iter().chain(Isa::with_bf16()) {
            for shape in shapes() {
                let Attention { images, tokens, heads, width } = shape;
                let what = format!("{isa:?} {shape:?}");
                let qkv: Vec<f32> = noise(1, images * tokens * 3 * heads * width).iter().map(|x| 3.0 * x).collect();
                let wide: Vec<f64> = qkv.iter().map(|&x| f64::from(x)).collect();
                let (expected, _) = reference(shape, &wide);
                let mut to = vec![f32::NAN; expected.len()];
                shape.run(&qkv, &mut vec![f32::NAN; shape.scratch_len(isa)], &mut to, isa);
                assert_close(&to, &expected, 1e-5, &what);
            }
        }
    }

    #[test]
    fn gradient_matches_finite_differences() {
        for isa in Isa::available() {
            for [images, tokens, heads, width] in [[1, 1, 1, 2], [2, 5, 3, 4], [1, 17, 2, 3]] {
                let shape = Attention { images, tokens, heads, width };
                let qkv = noise(1, images * tokens * 3 * heads * width);
                let gradient = noise(2, images * tokens * heads * width);
                let mut found = vec![f32::NAN; qkv.len()];
                shape.backward(&qkv, &gradient, &mut found, isa);
                let wide: Vec<f64> = qkv.iter().map(|&x| f64::from(x)).collect();
                let loss = |qkv: &[f64]| -> f64 {
                    reference(shape, qkv).0.iter().zip(&gradient).map(|(y, &g)| y * f64::from(g)).sum()
                };
                let difference = |i: usize| {
                    let moved = |by: f64| {
                        let mut qkv = wide.clone();
                        qkv[i] += by;
                        loss(&qkv)
                    };
                    (moved(1e-4) - moved(-1e-4)) / 2e-4
                };
                let expected: Vec<f64> = (0..qkv.len()).map(difference).collect();
                assert_close(&found, &expected, 1e-5, &format!("{isa:?} {shape:?}"));
            }
        }
    }
}
