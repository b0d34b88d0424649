//! The passes over whole tensors that no product does on its way: a block's output, and where its gradient starts.

use rayon::prelude::*;

use super::buffer::Buffer;
use super::epilogue::{MaskByOutput, streams};
use super::norm::Norm;
use super::simd::{Isa, Kernel, Simd};
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
    let len = PIXELS * last.norm.scale.len();
    let stream = streams(to.slice().len());
    let (x, of_x) = match shortcut {
        Shortcut::Identity(x) => (x, None),
        Shortcut::Projection(layer) => (layer.z.slice(), Some(&layer.norm)),
    };
    let parts = last.z.slice().par_chunks(len).zip(x.par_chunks(len));
    to.slice_mut().par_chunks_mut(len).zip(parts).for_each(|(to, (z, x))| {
        isa.run(Join { z, of_z: &last.norm, x, of_x, stream, to });
    });
}

/// Some pixels of a block's output.
struct Join<'a> {
    z: &'a [f32],
    of_z: &'a Norm,
    x: &'a [f32],
    of_x: Option<&'a Norm>,
    stream: bool,
    to: &'a mut [f32],
}

impl Kernel for Join<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { z, of_z, x, of_x, stream, to } = self;
        let channels = of_z.scale.len();
        let pixels = z.chunks_exact(channels).zip(x.chunks_exact(channels));
        for (to, (z, x)) in to.chunks_exact_mut(channels).zip(pixels) {
            for (i, to) in to.chunks_mut(S::LANES).enumerate() {
                let part = i * S::LANES..i * S::LANES + to.len();
                let main = s.fma(
                    s.load(&of_z.scale[part.clone()]),
                    s.load(&z[part.clone()]),
                    s.load(&of_z.shift[part.clone()]),
                );
                let mut other = s.load(&x[part.clone()]);
                if let Some(norm) = of_x {
                    other = s.fma(s.load(&norm.scale[part.clone()]), other, s.load(&norm.shift[part]));
                }
                let value = s.relu(s.add(main, other));
                if stream { s.stream(value, to) } else { s.store(value, to) }
            }
        }
    }
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
