//! The simulated generator of fake images, which consists of the last layers of a decoder.

use artifacts::random::Stream;

use super::decoder::Decoder;
use super::noise::{self, Normal};
use super::radiance::{Radiance, add_scaled};
use super::scene::OVERSAMPLING;
use super::tone::ToneCurve;
use super::upsampling::Upsampling;

/// The features of a decoder before its last up-sampling.
pub(super) struct Features {
    /// Linear light at half the resolution of the image.
    light: Radiance,
    /// The noise of each value at noise level 1.
    noise: Vec<[f32; 3]>,
    tone: ToneCurve,
    decoder: Decoder,
}

impl Features {
    /// Renders `scene` at half the resolution of the image, and draws noise that [`Features::decode`] adds before the
    /// up-sampling. Style-based generators add noise at each resolution (T. Karras, S. Laine, T. Aila, "A style-based
    /// generator architecture for generative adversarial networks", 2019).
    pub(super) fn render(
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
        Self { light, noise, tone, decoder: Decoder::of_set(upsampling, seed) }
    }

    /// Decodes the image, in display values. `noise_level` is the standard deviation of the noise where the light is 1.
    pub(super) fn decode(&self, noise_level: f32) -> Radiance {
        let mut noise = self.noise.iter();
        let low = self.light.map(|mut light| {
            if let Some(&noise) = noise.next() {
                add_scaled(&mut light, noise, noise_level);
            }
            light.map(|value| self.tone.display(value))
        });
        self.decoder.decode(&low)
    }
}
