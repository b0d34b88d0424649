//! Pooling: the stem's maximum over 3x3 with stride 2 and padding 1, and the average over all positions at the end.

use rayon::prelude::*;

use super::batch_norm::Norm;
use super::simd::{Isa, Kernel, MAX_LANES, Simd};
use crate::shape::max_pool_side;

const KERNEL: usize = 3;
const STRIDE: usize = 2;
const PADDING: usize = 1;

/// Rows (or columns) of the input under row `o` of the output, each with its place in the kernel.
fn under(o: usize, side: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..KERNEL).filter_map(move |tap| (o * STRIDE + tap).checked_sub(PADDING).filter(|&i| i < side).map(|i| (tap, i)))
}

/// `[images, height, width, channels]` of the stem's convolution.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool {
    /// Images.
    pub images: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Channels.
    pub channels: usize,
}

impl MaxPool {
    /// `to = maximum of relu(scale * z + shift)`; `which` receives the winner's place in the kernel, the first of equals.
    pub fn forward(&self, isa: Isa, norm: &Norm, z: &[f32], to: &mut [f32], which: &mut [u8]) {
        let row = max_pool_side(self.width) * self.channels;
        let rows = to.par_chunks_mut(row).zip(which.par_chunks_mut(row)).enumerate();
        rows.for_each(|(row, (to, which))| isa.run(Maximum { pool: self, norm, z, row, to, which }));
    }

    /// The gradient of the batch norm's output, already masked by its ReLU, into `to`; for each row of pixels, the sums
    /// of it and of it times `z - mean` into `sums`, `[images * height, 2, channels]`.
    pub fn backward(
        &self,
        isa: Isa,
        norm: &Norm,
        z: &[f32],
        (gradient, which): (&[f32], &[u8]),
        to: &mut [f32],
        sums: &mut [f32],
    ) {
        let rows =
            to.par_chunks_mut(self.width * self.channels).zip(sums.par_chunks_mut(2 * self.channels)).enumerate();
        rows.for_each(|(row, (to, sums))| {
            isa.run(MaximumGradient { pool: self, norm, z, gradient, which, row, to, sums });
        });
    }

    /// One row of the gradient; `gradient` and `which` are one image.
    #[inline(always)]
    fn backward_row(&self, gradient: &[f32], which: &[u8], y: usize, to: &mut [f32]) {
        let Self { height, width, channels, .. } = *self;
        let (out_height, out_width) = (max_pool_side(height), max_pool_side(width));
        to.fill(0.0);
        for down in 0..KERNEL {
            let Some(oy) = window(y, down, out_height) else { continue };
            for ox in 0..out_width {
                let at = (oy * out_width + ox) * channels;
                let (gradient, which) = (&gradient[at..][..channels], &which[at..][..channels]);
                for (right, x) in under(ox, width) {
                    let tap = (down * KERNEL + right) as u8;
                    let to = &mut to[x * channels..][..channels];
                    for c in 0..channels {
                        to[c] += if which[c] == tap { gradient[c] } else { 0.0 };
                    }
                }
            }
        }
    }
}

/// A row of the output.
struct Maximum<'a> {
    pool: &'a MaxPool,
    norm: &'a Norm,
    z: &'a [f32],
    /// Counted over all images.
    row: usize,
    to: &'a mut [f32],
    which: &'a mut [u8],
}

impl Kernel for Maximum<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let &MaxPool { height, width, channels, .. } = self.pool;
        let (image, oy) = (self.row / max_pool_side(height), self.row % max_pool_side(height));
        let z = &self.z[image * height * width * channels..][..height * width * channels];
        let pixels = self.to.chunks_exact_mut(channels).zip(self.which.chunks_exact_mut(channels));
        for (ox, (to, which)) in pixels.enumerate() {
            for channel in (0..channels).step_by(S::LANES) {
                let len = S::LANES.min(channels - channel);
                let scale = s.load(&self.norm.scale[channel..][..len]);
                let shift = s.load(&self.norm.shift[channel..][..len]);
                // Nothing at or below zero can win: after the ReLU it is zero, and its gradient is none.
                let (mut best, mut winner) = (s.splat(0.0), s.splat(f32::from_bits(u32::from(u8::MAX))));
                for (down, y) in under(oy, height) {
                    for (right, x) in under(ox, width) {
                        let value = s.load(&z[(y * width + x) * channels + channel..][..len]);
                        let value = s.fma(scale, value, shift);
                        let tap = s.splat(f32::from_bits((down * KERNEL + right) as u32));
                        winner = s.where_above(value, best, tap, winner);
                        best = s.where_above(value, best, value, best);
                    }
                }
                s.store(best, &mut to[channel..][..len]);
                let mut places = [0.0; MAX_LANES];
                s.store(winner, &mut places);
                for (which, place) in which[channel..][..len].iter_mut().zip(places) {
                    *which = place.to_bits() as u8;
                }
            }
        }
    }
}

/// A row of the gradient, and its sums. Plain loops: it is a kernel so that the compiler's vectors are the processor's.
struct MaximumGradient<'a> {
    pool: &'a MaxPool,
    norm: &'a Norm,
    z: &'a [f32],
    gradient: &'a [f32],
    which: &'a [u8],
    /// Counted over all images.
    row: usize,
    to: &'a mut [f32],
    sums: &'a mut [f32],
}

impl Kernel for MaximumGradient<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let &MaxPool { height, width, channels, .. } = self.pool;
        let (image, y) = (self.row / height, self.row % height);
        let pooled = max_pool_side(height) * max_pool_side(width) * channels;
        let pooled = image * pooled..(image + 1) * pooled;
        self.pool.backward_row(&self.gradient[pooled.clone()], &self.which[pooled], y, self.to);
        sum_row(&self.norm.mean, &self.z[self.row * width * channels..][..width * channels], self.to, self.sums);
    }
}

/// The sums over a row of pixels of the gradient and of it times `z - mean`, `[2, channels]`.
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

/// The output row whose kernel has its row `tap` at input row `y`.
fn window(y: usize, tap: usize, side: usize) -> Option<usize> {
    let above = (y + PADDING).checked_sub(tap)?;
    (above.is_multiple_of(STRIDE) && above / STRIDE < side).then_some(above / STRIDE)
}

/// The mean over all positions: `[images, positions, channels]` to `[images, channels]`.
pub fn average_pool(from: &[f32], positions: usize, channels: usize, to: &mut [f32]) {
    let weight = 1.0 / positions as f32;
    from.par_chunks(positions * channels).zip(to.par_chunks_mut(channels)).for_each(|(from, to)| {
        to.fill(0.0);
        for pixel in from.chunks_exact(channels) {
            for (to, value) in to.iter_mut().zip(pixel) {
                *to += value;
            }
        }
        for to in to {
            *to *= weight;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::reference::noise;
    use super::*;

    const IMAGES: usize = 2;

    /// The maximum over the window of an output, and its place: the first of equals, the last of what is not a number.
    fn plain_maximum(pool: &MaxPool, norm: &Norm, z: &[f32], [image, oy, ox, c]: [usize; 4]) -> (f32, u8) {
        let (mut best, mut winner) = (0.0, u8::MAX);
        for (down, y) in under(oy, pool.height) {
            for (right, x) in under(ox, pool.width) {
                let value = z[((image * pool.height + y) * pool.width + x) * pool.channels + c];
                let value = norm.scale[c] * value + norm.shift[c];
                if value > best || value.is_nan() {
                    (best, winner) = (value, (down * KERNEL + right) as u8);
                }
            }
        }
        (best, winner)
    }

    fn check(isa: Isa, (height, width): (usize, usize), channels: usize, with_nan: bool) {
        let what = format!("{isa:?}, {height} x {width}, {channels} channels, not a number: {with_nan}");
        let pool = MaxPool { images: IMAGES, height, width, channels };
        // Halves and twos, so that it does not matter whether the processor rounds products.
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
        let (mut to, mut which) = (vec![-1.0; outputs], vec![77; outputs]);
        pool.forward(isa, &norm, &z, &mut to, &mut which);

        let gradient: Vec<f32> = noise(4, outputs).iter().map(|value| (value * 64.0).round() / 64.0).collect();
        let mut expected = vec![0.0; z.len()];
        for (i, (found, place)) in to.iter().zip(&which).enumerate() {
            let (pixel, c) = (i / channels, i % channels);
            let (image, oy, ox) = (pixel / out_width / out_height, pixel / out_width % out_height, pixel % out_width);
            let (best, winner) = plain_maximum(&pool, &norm, &z, [image, oy, ox, c]);
            assert!(found.to_bits() == best.to_bits() || found.is_nan() && best.is_nan(), "{what}: {found} {best}");
            assert_eq!(*place, winner, "{what}");
            if winner != u8::MAX {
                let (down, right) = (usize::from(winner) / KERNEL, usize::from(winner) % KERNEL);
                let (y, x) = (oy * STRIDE + down - PADDING, ox * STRIDE + right - PADDING);
                expected[((image * height + y) * width + x) * channels + c] += gradient[i];
            }
        }
        let mut back = vec![f32::NAN; z.len()];
        let mut sums = vec![f32::NAN; IMAGES * height * 2 * channels];
        pool.backward(isa, &norm, &z, (&gradient, &which), &mut back, &mut sums);
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
                    let of_z: f32 = g.iter().zip(z).map(|(g, z)| g * (z - norm.mean[c])).sum();
                    assert!((sum[channels + c] - of_z).abs() < 1e-4, "{what}: {} {of_z}", sum[channels + c]);
                }
            }
        }
    }

    #[test]
    fn pooling_agrees_with_plain_loops() {
        for isa in Isa::available().into_iter().chain(Isa::with_bf16()) {
            for size in [(1, 1), (2, 3), (7, 6)] {
                for channels in [1, 3, 5, 17, 64] {
                    check(isa, size, channels, false);
                    check(isa, size, channels, true);
                }
            }
        }
    }
}
