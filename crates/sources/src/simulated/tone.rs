//! Conversion of linear light to display values and to bytes.

use artifacts::random::Stream;
use pixels::RgbImage;
use rand::RngExt;

use super::radiance::Radiance;

/// A tone curve: the transfer function of sRGB (IEC 61966-2-1), followed by an S-curve of random strength, as in
/// cameras. The strength has the same distribution in both classes.
#[derive(Clone, Copy, Debug)]
pub(super) struct ToneCurve {
    strength: f32,
}

impl ToneCurve {
    pub(super) fn draw(stream: &mut Stream) -> Self {
        Self { strength: stream.random_range(0.0..0.4) }
    }

    /// Converts linear light to a display value from 0 to 1.
    pub(super) fn display(self, light: f32) -> f32 {
        let light = light.clamp(0.0, 1.0);
        let encoded = if light <= 0.003_130_8 { 12.92 * light } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
        let soft = encoded * encoded * (3.0 - 2.0 * encoded);
        encoded + self.strength * (soft - encoded)
    }
}

/// Converts display values from 0 to 1 to bytes, with rounding and clipping.
pub fn to_bytes(picture: &Radiance) -> RgbImage {
    let byte = |value: f32| (value * 255.0 + 0.5).clamp(0.0, 255.0) as u8;
    RgbImage::from_fn(picture.width as u32, picture.height as u32, |x, y| {
        picture.samples[y as usize * picture.width + x as usize].map(byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curve_rises_from_black_to_white() {
        for strength in [0.0, 0.4] {
            let curve = ToneCurve { strength };
            assert!(curve.display(-1.0).abs() < 1e-6);
            assert!((curve.display(1.0) - 1.0).abs() < 1e-6);
            let values: Vec<f32> = (0..=100).map(|i| curve.display(i as f32 / 100.0)).collect();
            assert!(values.windows(2).all(|pair| pair[0] < pair[1]));
        }
        // 18% grey is 46.1% of the sRGB scale.
        assert!((ToneCurve { strength: 0.0 }.display(0.18) - 0.461).abs() < 1e-3);
    }
}
