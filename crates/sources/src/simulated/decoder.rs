//! The last layers of a decoder: an up-sampling, and a convolution that corrects the sharpness.

use artifacts::random::Stream;
use rand::RngExt;

use super::radiance::Radiance;
use super::upsampling::{Upsampling, Weights};

/// The last layers of a decoder, which double width and height.
#[derive(Clone, Debug)]
pub struct Decoder {
    upsampling: Upsampling,
    weights: Weights,
    /// The outer taps of the last convolution, whose kernel (side, 1 - 2 side, side) smooths or sharpens.
    side: f32,
}

impl Decoder {
    /// The decoder of a simulated set. All its images with this up-sampling share it.
    pub(super) fn of_set(upsampling: Upsampling, seed: u64) -> Decoder {
        Decoder { upsampling, weights: Weights::of_set(seed), side: sharpness(upsampling) }
    }

    /// Draws a decoder with this up-sampling. The decoders of simulated sets are in the middle of the range.
    pub fn draw(upsampling: Upsampling, stream: &mut Stream) -> Decoder {
        let weights = Weights::draw(stream);
        Decoder { upsampling, weights, side: sharpness(upsampling) * stream.random_range(0.6..1.4) }
    }

    /// Doubles width and height.
    pub fn decode(&self, low: &Radiance) -> Radiance {
        let high = self.upsampling.double(low, &self.weights);
        high.convolve_separable(&[self.side, 1.0 - 2.0 * self.side, self.side])
    }
}

/// Returns the outer taps of the last convolution of a decoder. It smooths the hard blocks of the nearest-neighbour
/// up-sampling and sharpens the blurred results of the other ones. This weakens the traces of the up-sampling but does
/// not remove them.
fn sharpness(upsampling: Upsampling) -> f32 {
    match upsampling {
        Upsampling::Nearest => 0.10,
        Upsampling::TransposedConvolution => -0.06,
        Upsampling::PixelShuffle => -0.10,
        Upsampling::Bilinear => -0.14,
    }
}

#[cfg(test)]
mod tests {
    use artifacts::random;

    use super::*;

    #[test]
    fn drawn_decoders_differ_and_keep_the_mean() {
        let flat = Radiance::from_fn(8, 8, |_, _| [0.4; 3]);
        for upsampling in Upsampling::ALL {
            let decoded: Vec<Radiance> = (0..20)
                .map(|key| Decoder::draw(upsampling, &mut random::stream(1, "test", &[key])).decode(&flat))
                .collect();
            for high in &decoded {
                assert_eq!((high.width, high.height), (16, 16));
                let inner = (4..12).flat_map(|y| high.samples[16 * y + 4..16 * y + 12].iter().flatten());
                assert!((inner.sum::<f32>() / 192.0 - 0.4).abs() < 1e-4, "{upsampling:?}");
            }
            let leaves_traces = matches!(upsampling, Upsampling::TransposedConvolution | Upsampling::PixelShuffle);
            let differences = decoded[0].samples.iter().zip(&decoded[1].samples).map(|(a, b)| (a[0] - b[0]).abs());
            assert_eq!(differences.fold(0.0, f32::max) > 1e-3, leaves_traces, "{upsampling:?}");
        }
    }
}
