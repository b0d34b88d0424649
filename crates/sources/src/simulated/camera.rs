//! The path of a real picture: lens, sensor, raw development.

use artifacts::random::Stream;
use rand::RngExt;

use super::demosaic::{self, Mosaic};
use super::noise::{self, Normal};
use super::radiance::Radiance;
use super::scene::OVERSAMPLING;
use super::tone::ToneCurve;

/// A picture taken but not yet read out: the light on each photosite, and the noise it will have.
pub(super) struct Exposure {
    light: Mosaic,
    /// One noise value a photosite, at noise level 1.
    noise: Vec<f32>,
    tone: ToneCurve,
}

impl Exposure {
    /// Takes a picture of `scene`: the lens blurs it, each photosite collects the light that falls on its square through
    /// the filter of its place in the Bayer pattern (B. E. Bayer, "Color imaging array", US patent 3,971,065, 1976).
    pub(super) fn take(scene: &Radiance, tone: ToneCurve, stream: &mut Stream) -> Self {
        let blur = stream.random_range(0.7..1.0);
        let sharp = scene.gaussian_blur(blur * OVERSAMPLING as f32);
        let light = Mosaic::of(&sharp.block_means(OVERSAMPLING));
        let mut normal = Normal::new(stream);
        let noise = light.values.iter().map(|&light| noise::deviation(light) * normal.draw()).collect();
        Self { light, noise, tone }
    }

    /// The developed picture, in display values, at a noise level: the deviation of the noise where the light is 1.
    pub(super) fn develop(&self, noise_level: f32) -> Radiance {
        let values = self.light.values.iter().zip(&self.noise);
        let raw = Mosaic {
            width: self.light.width,
            height: self.light.height,
            values: values.map(|(light, noise)| (light + noise_level * noise).clamp(0.0, 1.0)).collect(),
        };
        demosaic::malvar(&raw).map(|light| light.map(|value| self.tone.display(value)))
    }
}
