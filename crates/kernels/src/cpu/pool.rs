//! Max pooling of the stem, 3x3 with stride 2 and padding 1, and average pooling over all positions.

use rayon::prelude::*;

use super::batch_norm::Norm;
use super::simd::{Isa, Kernel, MAX_LANES, Simd};
use super::values::{Values, ValuesMut};
use crate::shape::max_pool_side;

const KERNEL: usize = 3;
const STRIDE: usize = 2;
const PADDING: usize = 1;

/// Iterates over the input rows (or columns) in the window of output row `o`, each as (tap, input row). `side` is the
/// number of input rows.
fn window_rows(o: usize, side: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..KERNEL).filter_map(move |tap| (o * STRIDE + tap).checked_sub(PADDING).filter(|&i| i < side).map(|i| (tap, i)))
}

/// The shape of the input of a max pooling.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool {
    /// The number of images.
    pub images: usize,
    /// The height of the input.
    pub height: usize,
    /// The width of the input.
    pub width: usize,
    /// The number of channels.
    pub channels: usize,
}

impl MaxPool {
    /// The number of elements of the input.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.images * self.height * self.width * self.channels
    }

    /// Computes the maximum of `relu(scale * z + shift)` in each window into `to`, and its tap into `argmax`. Among
    /// equal values, the first tap counts. If the maximum is 0, `argmax` is 255.
    pub fn forward(&self, isa: Isa, norm: &Norm, z: Values<'_>, to: ValuesMut<'_>, argmax: &mut [u8]) {
        let row = max_pool_side(self.width) * self.channels;
        let rows = to.chunks_mut(row).into_par_iter().zip(argmax.par_chunks_mut(row)).enumerate();
        rows.for_each(|(row, (to, argmax))| isa.run_in_f32(MaxPoolRow { pool: self, norm, z, row, to, argmax }));
    }

    /// Computes the gradient of the batch norm's output, masked by its ReLU, into `to`. Also writes, for each row of
    /// pixels, the sums of the gradient and of the gradient times `z - mean` to `sums`, `[images * height, 2,
    /// channels]`.
    pub fn backward(
        &self,
        isa: Isa,
        norm: &Norm,
        z: Values<'_>,
        (gradient, argmax): (Values<'_>, &[u8]),
        to: ValuesMut<'_>,
        sums: &mut [f32],
    ) {
        let rows = to.chunks_mut(self.width * self.channels).into_par_iter();
        let rows = rows.zip(sums.par_chunks_mut(2 * self.channels)).enumerate();
        rows.for_each(|(row, (to, sums))| {
            isa.run_in_f32(MaxPoolBackwardRow { pool: self, norm, z, gradient, argmax, row, to, sums });
        });
    }

    /// Computes one row of the gradient. `gradient` and `argmax` belong to the row's image.
    #[inline(always)]
    fn backward_row<S: Simd>(&self, s: S, gradient: Values<'_>, argmax: &[u8], y: usize, to: &mut [f32]) {
        let Self { height, width, channels, .. } = *self;
        let (out_height, out_width) = (max_pool_side(height), max_pool_side(width));
        to.fill(0.0);
        let mut buffer = Vec::new();
        for down in 0..KERNEL {
            let Some(oy) = output_row(y, down, out_height) else { continue };
            let row = oy * out_width * channels..(oy + 1) * out_width * channels;
            let (gradient, argmax) = (gradient.in_f32(s, row.clone(), &mut buffer), &argmax[row]);
            for ox in 0..out_width {
                let at = ox * channels;
                let (gradient, argmax) = (&gradient[at..][..channels], &argmax[at..][..channels]);
                for (right, x) in window_rows(ox, width) {
                    let tap = (down * KERNEL + right) as u8;
                    let to = &mut to[x * channels..][..channels];
                    for c in 0..channels {
                        to[c] += if argmax[c] == tap { gradient[c] } else { 0.0 };
                    }
                }
            }
        }
    }
}

/// Computes a row of the output.
struct MaxPoolRow<'a> {
    pool: &'a MaxPool,
    norm: &'a Norm,
    z: Values<'a>,
    /// The row, counted over all images.
    row: usize,
    to: ValuesMut<'a>,
    argmax: &'a mut [u8],
}

impl Kernel for MaxPoolRow<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let &MaxPool { height, width, channels, .. } = self.pool;
        let (image, oy) = (self.row / max_pool_side(height), self.row % max_pool_side(height));
        let z = self.z.slice(image * height * width * channels..(image + 1) * height * width * channels);
        for (ox, argmax) in self.argmax.chunks_exact_mut(channels).enumerate() {
            for channel in (0..channels).step_by(S::LANES) {
                let len = S::LANES.min(channels - channel);
                let scale = s.load(&self.norm.scale[channel..][..len]);
                let shift = s.load(&self.norm.shift[channel..][..len]);
                // A value at or below zero is not chosen, because it receives no gradient through the ReLU. Taps are
                // stored as the bits of an f32, because `Simd` has only f32 registers.
                let (mut best, mut best_tap) = (s.splat(0.0), s.splat(f32::from_bits(u32::from(u8::MAX))));
                for (down, y) in window_rows(oy, height) {
                    for (right, x) in window_rows(ox, width) {
                        let value = z.load(s, (y * width + x) * channels + channel, len);
                        let value = s.fma(scale, value, shift);
                        let tap = s.splat(f32::from_bits((down * KERNEL + right) as u32));
                        best_tap = s.select_greater(value, best, tap, best_tap);
                        best = s.select_greater(value, best, value, best);
                    }
                }
                let at = ox * channels + channel;
                self.to.slice_mut(at..at + len).store(s, best);
                let mut taps = [0.0; MAX_LANES];
                s.store(best_tap, &mut taps);
                for (argmax, tap) in argmax[channel..][..len].iter_mut().zip(taps) {
                    *argmax = tap.to_bits() as u8;
                }
            }
        }
    }
}

/// Computes a row of the gradient and its sums. As a [`Kernel`], its plain loops are compiled for each instruction set.
struct MaxPoolBackwardRow<'a> {
    pool: &'a MaxPool,
    norm: &'a Norm,
    z: Values<'a>,
    gradient: Values<'a>,
    argmax: &'a [u8],
    /// The row, counted over all images.
    row: usize,
    to: ValuesMut<'a>,
    sums: &'a mut [f32],
}

impl Kernel for MaxPoolBackwardRow<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { pool, norm, z, gradient, argmax, row, mut to, sums } = self;
        let &MaxPool { height, width, channels, .. } = pool;
        let (image, y) = (row / height, row % height);
        let pooled = max_pool_side(height) * max_pool_side(width) * channels;
        let pooled = image * pooled..(image + 1) * pooled;
        let z_row = row * width * channels..(row + 1) * width * channels;
        let (mut buffer, mut z_buffer) = (Vec::new(), Vec::new());
        let values = to.start_f32(&mut buffer);
        pool.backward_row(s, gradient.slice(pooled.clone()), &argmax[pooled], y, values);
        sum_row(&norm.mean, z.in_f32(s, z_row, &mut z_buffer), values, sums);
        to.finish_f32(s, &buffer);
    }
}

/// Sums the gradient, and the gradient times `z - mean`, over a row of pixels into `sums`, `[2, channels]`.
#[inline(always)]
fn sum_row(mean: &[f32], z: &[f32], gradient: &[f32], sums: &mut [f32]) {
    let channels = mean.len();
    sums.fill(0.0);
    let (sum, product) = sums.split_at_mut(channels);
    let product = &mut product[..channels];
    for (g, z) in gradient.chunks_exact(channels).zip(z.chunks_exact(channels)) {
        for c in 0..channels {
            sum[c] += g[c];
            product[c] += g[c] * (z[c] - mean[c]);
        }
    }
}

/// Returns the output row whose window has its row `tap` at the input row `y`. `side` is the number of output rows.
fn output_row(y: usize, tap: usize, side: usize) -> Option<usize> {
    let distance = (y + PADDING).checked_sub(tap)?;
    (distance.is_multiple_of(STRIDE) && distance / STRIDE < side).then_some(distance / STRIDE)
}

/// Computes the mean over all positions, from `[images, positions, channels]` to `[images, channels]`.
pub fn average_pool(isa: Isa, from: Values<'_>, positions: usize, channels: usize, to: &mut [f32]) {
    let images = from.chunks(positions * channels).into_par_iter().zip(to.par_chunks_mut(channels));
    images.for_each(|(from, to)| isa.run_in_f32(AveragePool { from, to }));
}

/// Computes the means of one image.
struct AveragePool<'a> {
    /// `[positions, channels]`.
    from: Values<'a>,
    /// `[channels]`.
    to: &'a mut [f32],
}

impl Kernel for AveragePool<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { from, to } = self;
        let (channels, mut buffer) = (to.len(), Vec::new());
        to.fill(0.0);
        for at in (0..from.len()).step_by(channels) {
            for (to, value) in to.iter_mut().zip(from.in_f32(s, at..at + channels, &mut buffer)) {
                *to += value;
            }
        }
        let weight = channels as f32 / from.len() as f32;
        for to in to {
            *to *= weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::element_type::ElementType;
    use super::super::reference::{noise, tensor};
    use super::*;

    const IMAGES: usize = 2;

    /// Returns the maximum in the window of an output, and its tap: the first of equal values, or the last NaN.
    fn reference_maximum(pool: &MaxPool, norm: &Norm, z: &[f32], [image, oy, ox, c]: [usize; 4]) -> (f32, u8) {
        let (mut best, mut best_tap) = (0.0, u8::MAX);
        for (down, y) in window_rows(oy, pool.height) {
            for (right, x) in window_rows(ox, pool.width) {
                let value = z[((image * pool.height + y) * pool.width + x) * pool.channels + c];
                let value = norm.scale[c] * value + norm.shift[c];
                if value > best || value.is_nan() {
                    (best, best_tap) = (value, (down * KERNEL + right) as u8);
                }
            }
        }
        (best, best_tap)
    }

    fn check((isa, stored): (Isa, ElementType), (height, width): (usize, usize), channels: usize, with_nan: bool) {
        let what = format!("{isa:?}, {stored:?}, {height} x {width}, {channels} channels, with NaN: {with_nan}");
        let pool = MaxPool { images: IMAGES, height, width, channels };
        // Powers of two, so that products are exact and fused multiply-add gives the same results.
        let mut norm = Norm::identity(channels);
        norm.scale.fill(2.0);
        norm.shift.fill(0.5);
        norm.mean = noise(5, channels);
        let mut z: Vec<f32> =
            noise(3, IMAGES * height * width * channels).iter().map(|value| (value * 8.0).round() / 8.0).collect();
        if with_nan {
            z.iter_mut().step_by(5).for_each(|value| *value = f32::NAN);
            z.iter_mut().skip(1).step_by(7).for_each(|value| *value = f32::INFINITY);
        }
        let (out_height, out_width) = (max_pool_side(height), max_pool_side(width));
        let outputs = IMAGES * out_height * out_width * channels;
        let (mut to, mut argmax) = (tensor(&vec![-1.0; outputs], stored), vec![77; outputs]);
        let stored_z = tensor(&z, stored);
        pool.forward(isa, &norm, stored_z.values(), to.values_mut(), &mut argmax);
        let to = to.values().to_f32();

        let gradient: Vec<f32> = noise(4, outputs).iter().map(|value| (value * 16.0).round() / 16.0).collect();
        let mut expected = vec![0.0; z.len()];
        for (i, (found, tap)) in to.iter().zip(&argmax).enumerate() {
            let (pixel, c) = (i / channels, i % channels);
            let (image, oy, ox) = (pixel / out_width / out_height, pixel / out_width % out_height, pixel % out_width);
            let (best, best_tap) = reference_maximum(&pool, &norm, &z, [image, oy, ox, c]);
            assert!(found.to_bits() == best.to_bits() || found.is_nan() && best.is_nan(), "{what}: {found} {best}");
            assert_eq!(*tap, best_tap, "{what}");
            if best_tap != u8::MAX {
                let (down, right) = (usize::from(best_tap) / KERNEL, usize::from(best_tap) % KERNEL);
                let (y, x) = (oy * STRIDE + down - PADDING, ox * STRIDE + right - PADDING);
                expected[((image * height + y) * width + x) * channels + c] += gradient[i];
            }
        }
        let mut back = tensor(&vec![f32::NAN; z.len()], stored);
        let gradient = tensor(&gradient, stored);
        let mut sums = vec![f32::NAN; IMAGES * height * 2 * channels];
        pool.backward(isa, &norm, stored_z.values(), (gradient.values(), &argmax), back.values_mut(), &mut sums);
        let back = back.values().to_f32();
        assert_eq!(back, expected, "{what}");
        for (i, sum) in sums.chunks_exact(2 * channels).enumerate() {
            let row = i * width * channels..(i + 1) * width * channels;
            for c in 0..channels {
                let of_channel = |values: &[f32]| -> Vec<f32> {
                    values[row.clone()].iter().skip(c).step_by(channels).copied().collect()
                };
                let (g, z) = (of_channel(&expected), of_channel(&z));
                assert!((sum[c] - g.iter().sum::<f32>()).abs() < 1e-5, "{what}");
                if !with_nan {
                    let expected_product: f32 = g.iter().zip(z).map(|(g, z)| g * (z - norm.mean[c])).sum();
                    assert!(
                        (sum[channels + c] - expected_product).abs() < 1e-4,
                        "{what}: {} {expected_product}",
                        sum[channels + c]
                    );
                }
            }
        }
    }

    #[test]
    fn max_pooling_matches_reference() {
        let types = [ElementType::F32, ElementType::Bf16];
        for numbers in Isa::available().into_iter().flat_map(|isa| types.map(|stored| (isa, stored))) {
            for size in [(1, 1), (2, 3), (7, 6)] {
                for channels in [1, 3, 5, 17, 64] {
                    check(numbers, size, channels, false);
                    check(numbers, size, channels, true);
                }
            }
        }
    }
}
