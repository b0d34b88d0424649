//! Pooling: the stem's maximum over 3x3 with stride 2 and padding 1, and the average over all positions at the end.

use rayon::prelude::*;

use super::norm::Norm;
use super::simd::{Isa, Pass};

const KERNEL: usize = 3;
const STRIDE: usize = 2;
const PADDING: usize = 1;

/// Channels that are pooled at once.
const LANES: usize = 16;

/// Output side for an input side.
pub(crate) fn output_side(side: usize) -> usize {
    (side + 2 * PADDING - KERNEL) / STRIDE + 1
}

/// Rows (or columns) of the input under row `o` of the output, each with its place in the kernel.
fn under(o: usize, side: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..KERNEL).filter_map(move |tap| (o * STRIDE + tap).checked_sub(PADDING).filter(|&i| i < side).map(|i| (tap, i)))
}

/// `[images, height, width, channels]` of the stem's convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaxPool {
    /// Images.
    pub(crate) images: usize,
    /// Rows of the input.
    pub(crate) height: usize,
    /// Columns of the input.
    pub(crate) width: usize,
    /// Channels.
    pub(crate) channels: usize,
}

impl MaxPool {
    /// `to = maximum of relu(scale * z + shift)`; `which` receives the winner's place in the kernel, the first of equals.
    pub(crate) fn forward(&self, isa: Isa, norm: &Norm, z: &[f32], to: &mut [f32], which: &mut [u8]) {
        let Self { height, width, channels, .. } = *self;
        let (out_height, out_width) = (output_side(height), output_side(width));
        let row = out_width * channels;
        let rows = to.par_chunks_mut(row).zip(which.par_chunks_mut(row)).enumerate();
        rows.for_each(|(i, (to, which))| {
            let (image, oy) = (i / out_height, i % out_height);
            let z = &z[image * height * width * channels..][..height * width * channels];
            isa.run(Pass(
                #[inline(always)]
                || self.forward_row(norm, z, oy, to, which),
            ));
        });
    }

    /// One row of the output; `z` is one image.
    #[inline(always)]
    fn forward_row(&self, norm: &Norm, z: &[f32], oy: usize, to: &mut [f32], which: &mut [u8]) {
        let Self { height, width, channels, .. } = *self;
        let pixels = to.chunks_exact_mut(channels).zip(which.chunks_exact_mut(channels));
        for (ox, (to, which)) in pixels.enumerate() {
            // As many channels at a time as stay in registers.
            let parts = to.chunks_mut(LANES).zip(which.chunks_mut(LANES)).enumerate();
            for (part, (to, which)) in parts {
                let channel = part * LANES;
                let (scale, shift) = (lanes(&norm.scale, channel), lanes(&norm.shift, channel));
                let (mut best, mut winner) = ([0.0; LANES], [u32::from(u8::MAX); LANES]);
                for (down, y) in under(oy, height) {
                    for (right, x) in under(ox, width) {
                        let z = lanes(&z[(y * width + x) * channels..][..channels], channel);
                        let tap = (down * KERNEL + right) as u32;
                        for c in 0..LANES {
                            // Nothing at or below zero can win: after the ReLU it is zero, and its gradient is none.
                            let value = scale[c] * z[c] + shift[c];
                            let wins = value > best[c] || value.is_nan();
                            best[c] = if wins { value } else { best[c] };
                            winner[c] = if wins { tap } else { winner[c] };
                        }
                    }
                }
                for (c, (to, which)) in to.iter_mut().zip(which).enumerate() {
                    (*to, *which) = (best[c], winner[c] as u8);
                }
            }
        }
    }

    /// The gradient of the batch norm's output, already masked by its ReLU, into `to`; for each row of pixels, the sums
    /// of it and of it times `z - mean` into `sums`, `[images * height, 2, channels]`.
    pub(crate) fn backward(
        &self,
        isa: Isa,
        norm: &Norm,
        z: &[f32],
        (gradient, which): (&[f32], &[u8]),
        to: &mut [f32],
        sums: &mut [f32],
    ) {
        let Self { height, width, channels, .. } = *self;
        let (out_height, out_width) = (output_side(height), output_side(width));
        let rows = to.par_chunks_mut(width * channels).zip(sums.par_chunks_mut(2 * channels)).enumerate();
        rows.for_each(|(row, (to, sums))| {
            let (image, y) = (row / height, row % height);
            let pooled = image * out_height * out_width * channels..(image + 1) * out_height * out_width * channels;
            let (gradient, which) = (&gradient[pooled.clone()], &which[pooled]);
            let z = &z[row * width * channels..][..width * channels];
            isa.run(Pass(
                #[inline(always)]
                || {
                    self.backward_row(gradient, which, y, to);
                    sum_row(&norm.mean, z, to, sums);
                },
            ));
        });
    }

    /// One row of the gradient; `gradient` and `which` are one image.
    #[inline(always)]
    fn backward_row(&self, gradient: &[f32], which: &[u8], y: usize, to: &mut [f32]) {
        let Self { height, width, channels, .. } = *self;
        let (out_height, out_width) = (output_side(height), output_side(width));
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

/// Elements of `from` from `at` on; zeros follow the last.
#[inline(always)]
fn lanes(from: &[f32], at: usize) -> [f32; LANES] {
    let from = &from[at..];
    match from.first_chunk() {
        Some(chunk) => *chunk,
        None => {
            let mut all = [0.0; LANES];
            all[..from.len()].copy_from_slice(from);
            all
        }
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
pub(crate) fn average(from: &[f32], positions: usize, channels: usize, to: &mut [f32]) {
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
