//! The simulated camera of real images: lens, sensor and raw development.

use artifacts::random::Stream;
use rand::RngExt;

use super::demosaic::{self, Mosaic};
use super::noise::{self, Normal};
use super::radiance::Radiance;
use super::scene::OVERSAMPLING;
use super::tone::ToneCurve;

/// The state of the exposed sensor: the light on each photosite, and its noise.
pub(super) struct Exposure {
    light: Mosaic,
    /// The noise of each photosite at noise level 1.
    noise: Vec<f32>,
    tone: ToneCurve,
}

impl Exposure {
    /// Exposes the sensor to `scene`. The lens blurs it, and each photosite collects the light on its square through
    /// its colour filter in the Bayer pattern (B. E. Bayer, "Color imaging array", US patent 3,971,065, 1976).
    pub(super) fn take(scene: &Radiance, tone: ToneCurve, stream: &mut Stream) -> Self {
        let blur = stream.random_range(0.7..1.0);
        let sharp = scene.gaussian_blur(blur * OVERSAMPLING as f32);
        let light = Mosaic::of(&sharp.block_means(OVERSAMPLING));
        let mut normal = Normal::new(stream);
        let noise = light.values.iter().map(|&light| noise::deviation(light) * normal.draw()).collect();
        Self { light, noise, tone }
    }

    /// Develops the image, in display values. `noise_level` is the standard deviation of the noise where the light is
    /// 1.
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
