//! Passes over whole tensors that cannot be fused into a convolution: the output of a residual block, and the gradient
//! of the average pooling.

use rayon::prelude::*;

use super::batch_norm::Norm;
use super::epilogue::{MaskByOutput, should_stream};
use super::simd::{Isa, Kernel, Simd};
use super::values::{Values, ValuesMut};

/// The number of pixels that one task processes.
const PIXELS: usize = 64;

/// The output of a convolution, with the batch norm that follows.
#[derive(Clone, Copy, Debug)]
pub struct Branch<'a> {
    /// The convolution's output.
    pub z: Values<'a>,
    /// The coefficients of the batch norm.
    pub norm: &'a Norm,
}

/// The shortcut of a residual block.
#[derive(Clone, Copy, Debug)]
pub enum Shortcut<'a> {
    /// The block's input.
    Identity(Values<'a>),
    /// The projection of the block's input, followed by its batch norm.
    Projection(Branch<'a>),
}

/// Computes the output of a residual block, `relu(norm(z) + shortcut)`.
pub fn residual_add_relu(isa: Isa, last: Branch<'_>, shortcut: Shortcut<'_>, to: ValuesMut<'_>) {
    let len = PIXELS * last.norm.scale.len();
    let stream = should_stream(to.as_values());
    let (x, x_norm) = match shortcut {
        Shortcut::Identity(x) => (x, None),
        Shortcut::Projection(branch) => (branch.z, Some(branch.norm)),
    };
    let parts = last.z.chunks(len).into_iter().zip(x.chunks(len));
    let tasks: Vec<_> = to.chunks_mut(len).into_iter().zip(parts).collect();
    tasks.into_par_iter().for_each(|(to, (z, x))| {
        isa.run_in_f32(ResidualAdd { z, z_norm: last.norm, x, x_norm, stream, to });
    });
}

/// Computes [`residual_add_relu`] for the pixels of one task.
struct ResidualAdd<'a> {
    z: Values<'a>,
    z_norm: &'a Norm,
    x: Values<'a>,
    x_norm: Option<&'a Norm>,
    stream: bool,
    to: ValuesMut<'a>,
}

impl ResidualAdd<'_> {
    /// Computes at most one register of a pixel: `len` values from the channel `channel` on, which are at `at`.
    #[inline(always)]
    fn part<S: Simd>(&self, s: S, at: usize, channel: usize, len: usize) -> S::Vector {
        let main = normed(s, self.z.load(s, at, len), self.z_norm, channel, len);
        let mut other = self.x.load(s, at, len);
        if let Some(norm) = self.x_norm {
            other = normed(s, other, norm, channel, len);
        }
        s.relu(s.add(main, other))
    }
}

/// Applies a batch norm to `len` values from the channel `channel` on.
#[inline(always)]
fn normed<S: Simd>(s: S, z: S::Vector, norm: &Norm, channel: usize, len: usize) -> S::Vector {
    s.fma(s.load(&norm.scale[channel..][..len]), z, s.load(&norm.shift[channel..][..len]))
}

impl Kernel for ResidualAdd<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let channels = self.z_norm.scale.len();
        for pixel in (0..self.z.len()).step_by(channels) {
            for channel in (0..channels).step_by(S::COLUMNS) {
                let (at, len) = (pixel + channel, S::COLUMNS.min(channels - channel));
                let row = if len == S::COLUMNS {
                    [self.part(s, at, channel, S::LANES), self.part(s, at + S::LANES, channel + S::LANES, S::LANES)]
                } else {
                    let first = S::LANES.min(len);
                    [self.part(s, at, channel, first), self.part(s, at + first, channel + first, len - first)]
                };
                self.to.slice_mut(at..at + len).store_row(s, row, self.stream);
            }
        }
    }
}

/// The backward pass of [`super::average_pool`]: spreads the gradient, `[images, channels]`, evenly over all positions,
/// `[images, positions, channels]`.
pub fn average_pool_backward(
    isa: Isa,
    features_gradient: &[f32],
    positions: usize,
    channels: usize,
    to: ValuesMut<'_>,
) {
    let images = to.chunks_mut(positions * channels).into_par_iter().zip(features_gradient.par_chunks(channels));
    images.for_each(|(to, gradient)| isa.run_in_f32(Spread { gradient, mask: None, to }));
}

/// Like [`average_pool_backward`], masked by the ReLU of the last block. Also writes the sums of [`MaskByOutput`] for
/// each image to `sums`, `[images, 3, channels]`. Returns the number of images.
pub fn average_pool_backward_masked(
    isa: Isa,
    features_gradient: &[f32],
    positions: usize,
    mask: &MaskByOutput<'_>,
    to: ValuesMut<'_>,
    sums: &mut [f32],
) -> usize {
    let channels = mask.main.1.len();
    let images = to.chunks_mut(positions * channels).into_par_iter().zip(sums.par_chunks_mut(3 * channels));
    images.zip(features_gradient.par_chunks(channels)).enumerate().for_each(|(image, ((to, sums), gradient))| {
        sums.fill(0.0);
        let mask = Some(Mask { mask, first: image * positions * channels, sums });
        isa.run_in_f32(Spread { gradient, mask, to });
    });
    features_gradient.len() / channels
}

/// Spreads the gradient of one image.
struct Spread<'a> {
    /// `[channels]`.
    gradient: &'a [f32],
    mask: Option<Mask<'a>>,
    /// `[positions, channels]`.
    to: ValuesMut<'a>,
}

/// The mask of one image.
struct Mask<'a> {
    mask: &'a MaskByOutput<'a>,
    /// The offset of the image's first element in the mask's tensors.
    first: usize,
    /// The image's sums.
    sums: &'a mut [f32],
}

impl Kernel for Spread<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { gradient, mut mask, mut to } = self;
        let channels = gradient.len();
        let len = to.as_values().len();
        let weight = channels as f32 / len as f32;
        let [mut buffer, mut y_buffer, mut z_buffer, mut shortcut_buffer] = [const { Vec::new() }; 4];
        for at in (0..len).step_by(channels) {
            let mut to = to.slice_mut(at..at + channels);
            let values = to.start_f32(&mut buffer);
            let Some(Mask { mask, first, sums }) = &mut mask else {
                for (to, g) in values.iter_mut().zip(gradient) {
                    *to = g * weight;
                }
                to.finish_f32(s, &buffer);
                continue;
            };
            let pixel = *first + at..*first + at + channels;
            let y = mask.y.in_f32(s, pixel.clone(), &mut y_buffer);
            let z = mask.main.0.in_f32(s, pixel.clone(), &mut z_buffer);
            for c in 0..channels {
                let g = if y[c] > 0.0 { gradient[c] * weight } else { 0.0 };
                values[c] = g;
                sums[c] += g;
                sums[channels + c] += g * (z[c] - mask.main.1[c]);
            }
            if let Some((z, mean)) = mask.shortcut {
                let z = z.in_f32(s, pixel, &mut shortcut_buffer);
                for c in 0..channels {
                    sums[2 * channels + c] += values[c] * (z[c] - mean[c]);
                }
            }
            to.finish_f32(s, &buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::element_type::ElementType;
    use super::super::reference::{assert_close, noise, tensor};
    use super::super::values::Tensor;
    use super::*;

    const IMAGES: usize = 3;

    /// The output of a convolution, and the coefficients of its batch norm.
    struct Layer {
        z: Tensor,
        norm: Norm,
    }

    impl Layer {
        fn new(pixels: usize, channels: usize, seed: u32, stored: ElementType) -> Self {
            let mut norm = Norm::identity(channels);
            [norm.scale, norm.shift, norm.mean] = [0, 1, 2].map(|i| noise(seed + i, channels));
            Self { z: tensor(&noise(seed + 3, pixels * channels), stored), norm }
        }

        fn branch(&self) -> Branch<'_> {
            Branch { z: self.z.values(), norm: &self.norm }
        }
    }

    fn check(isa: Isa, stored: ElementType, side: (usize, usize), channels: usize, projected: bool) {
        let what = format!("{isa:?}, {stored:?}, {side:?}, {channels} channels, projected: {projected}");
        let tolerance = match stored {
            ElementType::F32 => 1e-6,
            ElementType::Bf16 => f64::from(half::bf16::EPSILON) / 2.0,
        };
        let positions = side.0 * side.1;
        let len = IMAGES * positions * channels;
        let downsample = projected.then(|| Layer::new(IMAGES * positions, channels, 50, stored));
        // Aligned like a workspace, so that non-temporal stores are tested.
        let mut output = tensor(&vec![f32::NAN; len], stored);
        let (main, x) = (Layer::new(IMAGES * positions, channels, 40, stored), tensor(&noise(60, len), stored));
        let shortcut =
            downsample.as_ref().map_or(Shortcut::Identity(x.values()), |layer| Shortcut::Projection(layer.branch()));
        residual_add_relu(isa, main.branch(), shortcut, output.values_mut());
        let x = x.values().to_f32();
        let values = |layer: &Layer| layer.z.values().to_f32();
        let (main_z, downsample_z) = (values(&main), downsample.as_ref().map(values));
        let normed = |Norm { scale, shift, .. }: &Norm, z: &[f32], i: usize| {
            f64::from(scale[i % channels]) * f64::from(z[i]) + f64::from(shift[i % channels])
        };
        let projection = downsample.as_ref().map(|layer| &layer.norm).zip(downsample_z.as_ref());
        let shortcut = |i: usize| projection.map_or(f64::from(x[i]), |(norm, z)| normed(norm, z, i));
        let expected: Vec<f64> = (0..len).map(|i| (normed(&main.norm, &main_z, i) + shortcut(i)).max(0.0)).collect();
        assert_close(&output.values().to_f32(), &expected, tolerance, &what);

        let mask = MaskByOutput {
            y: output.values(),
            main: (main.z.values(), &main.norm.mean),
            shortcut: downsample.as_ref().map(|layer| (layer.z.values(), &layer.norm.mean[..])),
        };
        let y = output.values().to_f32();
        let gradient = noise(61, IMAGES * channels);
        let mut to = tensor(&vec![f32::NAN; len], stored);
        let mut sums = vec![f32::NAN; IMAGES * 3 * channels];
        let units = average_pool_backward_masked(isa, &gradient, positions, &mask, to.values_mut(), &mut sums);
        assert_eq!(units, IMAGES, "{what}");
        let mut expected = vec![0.0; len];
        let mut expected_sums = vec![0.0; sums.len()];
        for (i, g) in expected.iter_mut().enumerate() {
            let (image, c) = (i / channels / positions, i % channels);
            if y[i] > 0.0 {
                *g = f64::from(gradient[image * channels + c]) / positions as f64;
            }
            let centred = |(norm, z): (&Norm, &Vec<f32>)| f64::from(z[i]) - f64::from(norm.mean[c]);
            let shortcut_difference = projection.map_or(0.0, centred);
            for (kind, factor) in [1.0, centred((&main.norm, &main_z)), shortcut_difference].into_iter().enumerate() {
                expected_sums[(image * 3 + kind) * channels + c] += *g * factor;
            }
        }
        assert_close(&to.values().to_f32(), &expected, tolerance, &what);
        assert_close(&sums, &expected_sums, 1e-5, &what);
        average_pool_backward(isa, &gradient, positions, channels, to.values_mut());
        let share =
            |i: usize| f64::from(gradient[i / channels / positions * channels + i % channels]) / positions as f64;
        assert_close(&to.values().to_f32(), &(0..len).map(share).collect::<Vec<_>>(), tolerance, &what);
    }

    #[test]
    fn residual_and_pooling_gradients_match_reference() {
        for isa in Isa::available() {
            for stored in [ElementType::F32, ElementType::Bf16] {
                for side in [(1, 1), (2, 3), (7, 11)] {
                    for channels in [1, 5, 17, 64] {
                        check(isa, stored, side, channels, false);
                        check(isa, stored, side, channels, true);
                    }
                }
            }
        }
    }
}
