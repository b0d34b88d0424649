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
    let weight = 1.0 / positions as f32;
    let mask = mask_of(block);
    let images = to.par_chunks_mut(positions * channels).zip(sums.par_chunks_mut(3 * channels));
    images.zip(features_gradient.par_chunks(channels)).enumerate().for_each(|(image, ((to, sums), gradient))| {
        sums.fill(0.0);
        for (pixel, to) in to.chunks_exact_mut(channels).enumerate() {
            let at = (image * positions + pixel) * channels;
            for c in 0..channels {
                let g = if mask.y[at + c] > 0.0 { gradient[c] * weight } else { 0.0 };
                to[c] = g;
                sums[c] += g;
                sums[channels + c] += g * (mask.main.0[at + c] - mask.main.1[c]);
                if let Some((z, mean)) = mask.shortcut {
                    sums[2 * channels + c] += g * (z[at + c] - mean[c]);
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

#[cfg(test)]
mod tests {
    use super::super::convolution::{Convolution, Input};
    use super::super::reference::{Case, assert_close, noise};
    use super::super::workspace::zeros;
    use super::*;

    const IMAGES: usize = 3;

    fn filled(values: &[f32]) -> Buffer {
        let mut buffer = zeros(values.len()).unwrap();
        buffer.slice_mut().copy_from_slice(values);
        buffer
    }

    /// A layer with coefficients and an output.
    fn layer(isa: Isa, (height, width): (usize, usize), channels: usize, seed: u32) -> LayerSpace {
        let case = Case::new([IMAGES, height, width], [channels, channels], [1, 1, 0]);
        let mut norm = Norm::identity(channels);
        [norm.scale, norm.shift, norm.mean] = [0, 1, 2].map(|i| noise(seed + i, channels));
        let z = filled(&noise(seed + 3, case.output_len()));
        let convolution = Convolution::new(&case.layer, Input::Activations, IMAGES, case.from, isa);
        LayerSpace { convolution, norm, z, pixels: IMAGES * height * width }
    }

    fn check(isa: Isa, side: (usize, usize), channels: usize, projected: bool) {
        let what = format!("{isa:?}, {side:?}, {channels} channels, projected: {projected}");
        let positions = side.0 * side.1;
        let len = IMAGES * positions * channels;
        let downsample = projected.then(|| layer(isa, side, channels, 50));
        let mut output = filled(&vec![f32::NAN; len]);
        let (main, x) = (layer(isa, side, channels, 40), noise(60, len));
        let shortcut = downsample.as_ref().map_or(Shortcut::Identity(&x), Shortcut::Projection);
        join(isa, &main, shortcut, &mut output);
        let normed = |layer: &LayerSpace, i: usize| {
            let Norm { scale, shift, .. } = &layer.norm;
            f64::from(scale[i % channels]) * f64::from(layer.z.slice()[i]) + f64::from(shift[i % channels])
        };
        let shortcut = |i: usize| downsample.as_ref().map_or(f64::from(x[i]), |layer| normed(layer, i));
        let expected: Vec<f64> = (0..len).map(|i| (normed(&main, i) + shortcut(i)).max(0.0)).collect();
        assert_close(output.slice(), &expected, 1e-6, &what);

        let block = BlockSpace { main: vec![main], downsample, output, side, channels };
        let gradient = noise(61, IMAGES * channels);
        let (mut to, mut sums) = (vec![f32::NAN; len], vec![f32::NAN; IMAGES * 3 * channels]);
        assert_eq!(spread_masked(&gradient, &block, &mut to, &mut sums), IMAGES, "{what}");
        let mut expected = vec![0.0; len];
        let mut expected_sums = vec![0.0; sums.len()];
        for (i, g) in expected.iter_mut().enumerate() {
            let (image, c) = (i / channels / positions, i % channels);
            if block.output.slice()[i] > 0.0 {
                *g = f64::from(gradient[image * channels + c]) / positions as f64;
            }
            let centred = |layer: &LayerSpace| f64::from(layer.z.slice()[i]) - f64::from(layer.norm.mean[c]);
            let of_shortcut = block.downsample.as_ref().map_or(0.0, centred);
            for (kind, factor) in [1.0, centred(&block.main[0]), of_shortcut].into_iter().enumerate() {
                expected_sums[(image * 3 + kind) * channels + c] += *g * factor;
            }
        }
        assert_close(&to, &expected, 1e-6, &what);
        assert_close(&sums, &expected_sums, 1e-5, &what);
        spread(&gradient, &block, &mut to);
        let share =
            |i: usize| f64::from(gradient[i / channels / positions * channels + i % channels]) / positions as f64;
        assert_close(&to, &(0..len).map(share).collect::<Vec<_>>(), 1e-6, &what);
    }

    #[test]
    fn blocks_end_and_their_gradients_start_as_plain_loops_say() {
        for isa in Isa::available() {
            for side in [(1, 1), (2, 3), (7, 11)] {
                for channels in [1, 5, 17, 64] {
                    check(isa, side, channels, false);
                    check(isa, side, channels, true);
                }
            }
        }
    }
}
