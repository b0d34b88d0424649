//! The passes over whole tensors that no product does on its way: a block's output, and where its gradient starts.

use rayon::prelude::*;

use super::buffer::Buffer;
use super::epilogue::MaskByOutput;
use super::operand::relu;
use super::simd::{Isa, Pass};
use super::workspace::{BlockSpace, LayerSpace};

/// Pixels of a task.
const PIXELS: usize = 64;

/// What a block's last batch norm is added to.
#[derive(Clone, Copy)]
pub(crate) enum Shortcut<'a> {
    /// The block's input.
    Identity(&'a [f32]),
    /// The batch norm of the projected input.
    Projection(&'a LayerSpace),
}

/// A block's output: `relu(norm(z) + shortcut)`.
pub(crate) fn join(isa: Isa, last: &LayerSpace, shortcut: Shortcut<'_>, to: &mut Buffer) {
    let channels = last.norm.scale.len();
    let len = PIXELS * channels;
    to.slice_mut().par_chunks_mut(len).zip(last.z.slice().par_chunks(len)).enumerate().for_each(|(i, (to, z))| {
        let part = |values: &'_ [f32]| -> std::ops::Range<usize> { i * len..values.len().min((i + 1) * len) };
        let (scale, shift) = (&last.norm.scale, &last.norm.shift);
        match shortcut {
            Shortcut::Identity(x) => {
                let x = &x[part(x)];
                isa.run(Pass(
                    #[inline(always)]
                    || {
                        let pixels = z.chunks_exact(channels).zip(x.chunks_exact(channels));
                        for (to, (z, x)) in to.chunks_exact_mut(channels).zip(pixels) {
                            for c in 0..channels {
                                to[c] = relu(scale[c] * z[c] + shift[c] + x[c]);
                            }
                        }
                    },
                ));
            }
            Shortcut::Projection(layer) => {
                let x = layer.z.slice();
                let x = &x[part(x)];
                let (scale_x, shift_x) = (&layer.norm.scale, &layer.norm.shift);
                isa.run(Pass(
                    #[inline(always)]
                    || {
                        let pixels = z.chunks_exact(channels).zip(x.chunks_exact(channels));
                        for (to, (z, x)) in to.chunks_exact_mut(channels).zip(pixels) {
                            for c in 0..channels {
                                let sum = (scale[c] * z[c] + shift[c]) + (scale_x[c] * x[c] + shift_x[c]);
                                to[c] = relu(sum);
                            }
                        }
                    },
                ));
            }
        }
    });
}

/// The gradient of the last block's output, from that of its average over all positions.
pub(crate) fn spread(features_gradient: &[f32], block: &BlockSpace, to: &mut [f32]) {
    let positions = block.side.0 * block.side.1;
    let weight = 1.0 / positions as f32;
    let images = to.chunks_exact_mut(positions * block.channels).zip(features_gradient.chunks_exact(block.channels));
    for (to, gradient) in images {
        for to in to.chunks_exact_mut(block.channels) {
            for (to, g) in to.iter_mut().zip(gradient) {
                *to = g * weight;
            }
        }
    }
}

/// The same, masked by the block's ReLU; for each image the sums of [`MaskByOutput`] into `sums`, `[images, 3, channels]`.
/// Gives the number of images.
pub(crate) fn spread_masked(features_gradient: &[f32], block: &BlockSpace, to: &mut [f32], sums: &mut [f32]) -> usize {
    let channels = block.channels;
    let positions = block.side.0 * block.side.1;
    spread(features_gradient, block, to);
    let mask = mask_of(block);
    let images = to.par_chunks_mut(positions * channels).zip(sums.par_chunks_mut(3 * channels));
    images.zip(features_gradient.par_chunks(channels)).enumerate().for_each(|(image, ((to, sums), _))| {
        sums.fill(0.0);
        for (pixel, to) in to.chunks_exact_mut(channels).enumerate() {
            let at = (image * positions + pixel) * channels;
            for c in 0..channels {
                to[c] = if mask.y[at + c] > 0.0 { to[c] } else { 0.0 };
                sums[c] += to[c];
                sums[channels + c] += to[c] * (mask.main.0[at + c] - mask.main.1[c]);
                if let Some((z, mean)) = mask.shortcut {
                    sums[2 * channels + c] += to[c] * (z[at + c] - mean[c]);
                }
            }
        }
    });
    features_gradient.len() / channels
}

/// The mask of a block's output, for whatever computes the gradient of it.
pub(crate) fn mask_of(block: &BlockSpace) -> MaskByOutput<'_> {
    let last = &block.main[block.main.len() - 1];
    MaskByOutput {
        y: block.output.slice(),
        main: (last.z.slice(), &last.norm.mean),
        shortcut: block.downsample.as_ref().map(|layer| (layer.z.slice(), layer.norm.mean.as_slice())),
    }
}
