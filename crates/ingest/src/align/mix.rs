//! Mixing of a pseudo-fake with its photograph.

use artifacts::random::Stream;
use rand::RngExt;
use sources::simulated::Radiance;

use super::config::{AlignConfig, Band};

/// One mixing step: a share of the difference to the photograph, in all frequencies or in a band of them, is added to the
/// pseudo-fake.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mix {
    /// The share of the photograph.
    share: f32,
    /// The band and the standard deviation of the filter in pixels; `None` for all frequencies.
    band: Option<(Band, f32)>,
}

impl Mix {
    /// Draws the mixing steps of one photograph.
    pub(super) fn draw(config: &AlignConfig, stream: &mut Stream) -> Vec<Mix> {
        let mut mixes = Vec::new();
        let (pixels, frequencies) = (&config.mix_pixels, &config.mix_frequencies);
        if stream.random_bool(frequencies.probability) {
            let share = between(frequencies.share, stream);
            mixes.push(Mix { share, band: Some((frequencies.band, between(frequencies.sigma, stream))) });
        }
        if stream.random_bool(pixels.probability) {
            mixes.push(Mix { share: between(pixels.share, stream), band: None });
        }
        mixes
    }

    /// The distance in pixels up to which the result depends on neighbours.
    pub(super) fn reach(self) -> usize {
        self.band.map_or(0, |(_, sigma)| (3.0 * sigma).ceil() as usize)
    }

    /// Mixes `twin` with `picture`, which has the same size.
    pub(super) fn apply(self, twin: &Radiance, picture: &Radiance) -> Radiance {
        let difference = combine(picture, twin, |picture, twin| picture - twin);
        combine(twin, &self.filter(&difference), |twin, added| twin + self.share * added)
    }

    /// Changes noise that was added to a pseudo-fake as [`Mix::apply`] changes the pseudo-fake.
    pub(super) fn apply_to_noise(self, noise: &Radiance) -> Radiance {
        combine(noise, &self.filter(noise), |noise, removed| noise - self.share * removed)
    }

    fn filter(self, image: &Radiance) -> Radiance {
        match self.band {
            None => image.clone(),
            Some((Band::Low, sigma)) => image.gaussian_blur(sigma),
            Some((Band::High, sigma)) => combine(image, &image.gaussian_blur(sigma), |image, low| image - low),
        }
    }
}

fn between([low, high]: [f32; 2], stream: &mut Stream) -> f32 {
    low + (high - low) * stream.random::<f32>()
}

/// Combines two images of the same size, value by value.
pub(super) fn combine(a: &Radiance, b: &Radiance, value: impl Fn(f32, f32) -> f32) -> Radiance {
    let samples = a.samples.iter().zip(&b.samples);
    let samples = samples.map(|(a, b)| std::array::from_fn(|channel| value(a[channel], b[channel]))).collect();
    Radiance { width: a.width, height: a.height, samples }
}

#[cfg(test)]
mod tests {
    use artifacts::random;

    use super::super::config::{FrequencyMix, PixelMix};
    use super::*;

    /// A slow wave, and one that alternates from pixel to pixel.
    fn image(slow: f32, fast: f32) -> Radiance {
        Radiance::from_fn(64, 48, |x, y| {
            let alternating = if (x + y) % 2 == 0 { fast } else { -fast };
            [0.5 + slow * (x as f32 / 10.0).sin() + alternating; 3]
        })
    }

    fn distance(a: &Radiance, b: &Radiance) -> f32 {
        let inner = (12..36).flat_map(|y| (12..52).map(move |x| y * 64 + x));
        inner.map(|at| (a.samples[at][0] - b.samples[at][0]).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn mixes_all_frequencies_or_a_band() {
        let (picture, twin) = (image(0.2, 0.02), image(0.1, 0.1));
        let mix = |share, band| Mix { share, band }.apply(&twin, &picture);
        assert!(distance(&mix(0.5, None), &image(0.15, 0.06)) < 1e-5);
        assert!(distance(&mix(1.0, Some((Band::Low, 2.0))), &image(0.2, 0.1)) < 0.01);
        assert!(distance(&mix(1.0, Some((Band::High, 2.0))), &image(0.1, 0.02)) < 0.01);
    }

    #[test]
    fn noise_is_mixed_like_the_image_that_has_it() {
        let (picture, twin, noise) = (image(0.2, 0.02), image(0.1, 0.1), image(-0.1, 0.05));
        let noisy = combine(&twin, &noise, |twin, noise| twin + noise);
        for band in [None, Some((Band::Low, 1.5)), Some((Band::High, 1.5))] {
            let mix = Mix { share: 0.7, band };
            let expected = mix.apply(&noisy, &picture);
            let found = combine(&mix.apply(&twin, &picture), &mix.apply_to_noise(&noise), |twin, noise| twin + noise);
            assert!(distance(&found, &expected) < 1e-5, "{band:?}");
        }
    }

    #[test]
    fn probabilities_are_kept() {
        let config = AlignConfig {
            mix_pixels: PixelMix { probability: 0.5, share: [0.2, 0.4] },
            mix_frequencies: FrequencyMix { probability: 0.25, ..FrequencyMix::default() },
            ..AlignConfig::default()
        };
        let drawn = |key| Mix::draw(&config, &mut random::stream(1, "mix test", &[key]));
        let all: Vec<Mix> = (0..1000).flat_map(drawn).collect();
        let (pixels, bands): (Vec<Mix>, Vec<Mix>) = all.into_iter().partition(|mix| mix.band.is_none());
        assert!((420..580).contains(&pixels.len()) && (190..310).contains(&bands.len()));
        assert!(pixels.iter().all(|mix| (0.2..=0.4).contains(&mix.share)));
        assert!(Mix::draw(&AlignConfig::default(), &mut random::stream(1, "mix test", &[0])).is_empty());
    }
}
