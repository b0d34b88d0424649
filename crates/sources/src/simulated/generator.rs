//! The path of a fake picture: a generator's decoder.

use artifacts::random::Stream;

use super::noise::{self, Normal};
use super::radiance::{Radiance, add_scaled};
use super::scene::OVERSAMPLING;
use super::tone::ToneCurve;
use super::upsampling::Upsampling;

/// What a decoder has before its last doubling of the resolution.
pub(super) struct Features {
    /// Linear light at half the picture's resolution.
    light: Radiance,
    /// Noise for each value, at noise level 1.
    noise: Vec<[f32; 3]>,
    tone: ToneCurve,
    upsampling: Upsampling,
    seed: u64,
}

impl Features {
    /// Imagines `scene` at half the picture's resolution. The grain is put in there, before the up-sampling, as
    /// style-based generators do at each resolution (T. Karras, S. Laine, T. Aila, "A style-based generator architecture
    /// for generative adversarial networks", 2019).
    pub(super) fn imagine(
        scene: &Radiance,
        tone: ToneCurve,
        upsampling: Upsampling,
        seed: u64,
        stream: &mut Stream,
    ) -> Self {
        let light = scene.block_means(2 * OVERSAMPLING);
        let mut normal = Normal::new(stream);
        let noise =
            light.samples.iter().map(|light| light.map(|light| noise::deviation(light) * normal.draw())).collect();
        Self { light, noise, tone, upsampling, seed }
    }

    /// The decoded picture, in display values, at a noise level: the deviation of the noise where the light is 1.
    pub(super) fn decode(&self, noise_level: f32) -> Radiance {
        let mut noise = self.noise.iter();
        let low = self.light.map(|mut light| {
            if let Some(&noise) = noise.next() {
                add_scaled(&mut light, noise, noise_level);
            }
            light.map(|value| self.tone.display(value))
        });
        clean_up(&self.upsampling.double(&low, self.seed), self.upsampling)
    }
}

/// The decoder's last convolution, which undoes some of what its up-sampling does to the sharpness: where that leaves hard
/// blocks it smooths, where it blurs it sharpens. It works against the grid, and does not remove it.
fn clean_up(picture: &Radiance, upsampling: Upsampling) -> Radiance {
    let side = match upsampling {
        Upsampling::Nearest => 0.10,
        Upsampling::TransposedConvolution => -0.06,
        Upsampling::PixelShuffle => -0.10,
        Upsampling::Bilinear => -0.14,
    };
    picture.convolve_separable(&[side, 1.0 - 2.0 * side, side])
}
