//! Passes over whole tensors that cannot be fused into a convolution: the output of a residual block, and the gradient
//! of the average pooling.

use rayon::prelude::*;

use super::batch_norm::Norm;
use super::epilogue::{MaskByOutput, should_stream};
use super::simd::{Isa, Kernel, Simd};

/// The number of pixels that one task processes.
const PIXELS: usize = 64;

/// The output of a convolution, with the batch norm that follows.
#[derive(Clone, Copy, Debug)]
pub struct Branch<'a> {
    /// The convolution's output.
    pub z: &'a [f32],
    /// The coefficients of the batch norm.
    pub norm: &'a Norm,
}

/// The shortcut of a residual block.
#[derive(Clone, Copy, Debug)]
pub enum Shortcut<'a> {
    /// The block's input.
    Identity(&'a [f32]),
    /// The projection of the block's input, followed by its batch norm.
    Projection(Branch<'a>),
}

/// Computes the output of a residual block, `relu(norm(z) + shortcut)`.
pub fn residual_add_relu(isa: Isa, last: Branch<'_>, shortcut: Shortcut<'_>, to: &mut [f32]) {
    let len = PIXELS * last.norm.scale.len();
    let stream = should_stream(to.len());
    let (x, x_norm) = match shortcut {
        Shortcut::Identity(x) => (x, None),
        Shortcut::Projection(branch) => (branch.z, Some(branch.norm)),
    };
    let parts = last.z.par_chunks(len).zip(x.par_chunks(len));
    to.par_chunks_mut(len).zip(parts).for_each(|(to, (z, x))| {
        isa.run_in_f32(ResidualAdd { z, z_norm: last.norm, x, x_norm, stream, to });
    });
}

/// Computes [`residual_add_relu`] for the pixels of one task.
struct ResidualAdd<'a> {
    z: &'a [f32],
    z_norm: &'a Norm,
    x: &'a [f32],
    x_norm: Option<&'a Norm>,
    stream: bool,
    to: &'a mut [f32],
}

impl Kernel for ResidualAdd<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { z, z_norm, x, x_norm, stream, to } = self;
        let channels = z_norm.scale.len();
        let pixels = z.chunks_exact(channels).zip(x.chunks_exact(channels));
        for (to, (z, x)) in to.chunks_exact_mut(channels).zip(pixels) {
            for (i, to) in to.chunks_mut(S::LANES).enumerate() {
                let part = i * S::LANES..i * S::LANES + to.len();
                let main = s.fma(
                    s.load(&z_norm.scale[part.clone()]),
                    s.load(&z[part.clone()]),
                    s.load(&z_norm.shift[part.clone()]),
                );
                let mut other = s.load(&x[part.clone()]);
                if let Some(norm) = x_norm {
                    other = s.fma(s.load(&norm.scale[part.clone()]), other, s.load(&norm.shift[part]));
                }
                let value = s.relu(s.add(main, other));
                if stream { s.stream(value, to) } else { s.store(value, to) }
            }
        }
    }
}

/// The backward pass of [`super::average_pool`]: spreads the gradient, `[images, channels]`, evenly over all positions,
/// `[images, positions, channels]`.
pub fn average_pool_backward(features_gradient: &[f32], positions: usize, channels: usize, to: &mut [f32]) {
    let weight = 1.0 / positions as f32;
    let images = to.chunks_exact_mut(positions * channels).zip(features_gradient.chunks_exact(channels));
    for (to, gradient) in images {
        for to in to.chunks_exact_mut(channels) {
            for (to, g) in to.iter_mut().zip(gradient) {
                *to = g * weight;
            }
        }
    }
}

/// Like [`average_pool_backward`], masked by the ReLU of the last block. Also writes the sums of [`MaskByOutput`] for
/// each image to `sums`, `[images, 3, channels]`. Returns the number of images.
pub fn average_pool_backward_masked(
    features_gradient: &[f32],
    positions: usize,
    mask: &MaskByOutput<'_>,
    to: &mut [f32],
    sums: &mut [f32],
) -> usize {
    let channels = mask.main.1.len();
    let weight = 1.0 / positions as f32;
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

#[cfg(test)]
mod tests {
    use super::super::reference::{assert_close, noise};
    use super::*;

    const IMAGES: usize = 3;

    /// The output of a convolution, and the coefficients of its batch norm.
    struct Layer {
        z: Vec<f32>,
        norm: Norm,
    }

    impl Layer {
        fn new(pixels: usize, channels: usize, seed: u32) -> Self {
            let mut norm = Norm::identity(channels);
            [norm.scale, norm.shift, norm.mean] = [0, 1, 2].map(|i| noise(seed + i, channels));
            Self { z: noise(seed + 3, pixels * channels), norm }
        }

        fn branch(&self) -> Branch<'_> {
            Branch { z: &self.z, norm: &self.norm }
        }
    }

    fn check(isa: Isa, side: (usize, usize), channels: usize, projected: bool) {
        let what = format!("{isa:?}, {side:?}, {channels} channels, projected: {projected}");
        let positions = side.0 * side.1;
        let len = IMAGES * positions * channels;
        let downsample = projected.then(|| Layer::new(IMAGES * positions, channels, 50));
        // Aligned like a workspace, so that non-temporal stores are tested.
        let mut output = crate::cpu::Buffer::zeros(len).unwrap();
        output.slice_mut().fill(f32::NAN);
        let (main, x) = (Layer::new(IMAGES * positions, channels, 40), noise(60, len));
        let shortcut = downsample.as_ref().map_or(Shortcut::Identity(&x), |layer| Shortcut::Projection(layer.branch()));
        residual_add_relu(isa, main.branch(), shortcut, output.slice_mut());
        let normed = |layer: &Layer, i: usize| {
            let Norm { scale, shift, .. } = &layer.norm;
            f64::from(scale[i % channels]) * f64::from(layer.z[i]) + f64::from(shift[i % channels])
        };
        let shortcut = |i: usize| downsample.as_ref().map_or(f64::from(x[i]), |layer| normed(layer, i));
        let expected: Vec<f64> = (0..len).map(|i| (normed(&main, i) + shortcut(i)).max(0.0)).collect();
        assert_close(output.slice(), &expected, 1e-6, &what);

        let mask = MaskByOutput {
            y: output.slice(),
            main: (&main.z, &main.norm.mean),
            shortcut: downsample.as_ref().map(|layer| (&layer.z[..], &layer.norm.mean[..])),
        };
        let gradient = noise(61, IMAGES * channels);
        let (mut to, mut sums) = (vec![f32::NAN; len], vec![f32::NAN; IMAGES * 3 * channels]);
        assert_eq!(average_pool_backward_masked(&gradient, positions, &mask, &mut to, &mut sums), IMAGES, "{what}");
        let mut expected = vec![0.0; len];
        let mut expected_sums = vec![0.0; sums.len()];
        for (i, g) in expected.iter_mut().enumerate() {
            let (image, c) = (i / channels / positions, i % channels);
            if mask.y[i] > 0.0 {
                *g = f64::from(gradient[image * channels + c]) / positions as f64;
            }
            let centred = |layer: &Layer| f64::from(layer.z[i]) - f64::from(layer.norm.mean[c]);
            let shortcut_difference = downsample.as_ref().map_or(0.0, centred);
            for (kind, factor) in [1.0, centred(&main), shortcut_difference].into_iter().enumerate() {
                expected_sums[(image * 3 + kind) * channels + c] += *g * factor;
            }
        }
        assert_close(&to, &expected, 1e-6, &what);
        assert_close(&sums, &expected_sums, 1e-5, &what);
        average_pool_backward(&gradient, positions, channels, &mut to);
        let share =
            |i: usize| f64::from(gradient[i / channels / positions * channels + i % channels]) / positions as f64;
        assert_close(&to, &(0..len).map(share).collect::<Vec<_>>(), 1e-6, &what);
    }

    #[test]
    fn residual_and_pooling_gradients_match_reference() {
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
