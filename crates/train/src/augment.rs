//! Augmentation: random changes to training images, derived from the seed, the epoch and the image's index.

mod geometry;

use artifacts::random::{self, Stream};
use pixels::RgbImage;
use pixels::degrade::{self, DegradeError};
use rand::RngExt;

use crate::config::Augment;

/// Augments the images of one epoch.
#[derive(Clone, Debug)]
pub(crate) struct Augmenter {
    config: Augment,
    seed: u64,
    epoch: usize,
}

impl Augmenter {
    /// Returns `None` if `config` enables no augmentation.
    pub(crate) fn new(config: &Augment, seed: u64, epoch: usize) -> Option<Augmenter> {
        config.is_on().then_some(Augmenter { config: *config, seed, epoch })
    }

    /// Augments the image with index `sample` in its split, which occurred `repeat` times before in the epoch. `pixels` is
    /// RGB, `[height, width, 3]`; `size` is height and width.
    pub(crate) fn apply(
        &self,
        (sample, repeat): (usize, usize),
        size: [usize; 2],
        pixels: &mut [u8],
    ) -> Result<(), DegradeError> {
        let Augment { flip, blur, jpeg, .. } = self.config;
        let key = [self.epoch as u64, sample as u64, repeat as u64];
        let mut random = random::stream(self.seed, "augment", if repeat == 0 { &key[..2] } else { &key });
        // Always draw all numbers, so that enabling one change does not alter the draws of the others.
        let flips = flip & random.random_bool(0.5);
        let blurs = random.random_bool(blur.probability);
        let sigma = random.random_range(blur.sigma[0]..=blur.sigma[1]);
        let compresses = random.random_bool(jpeg.probability);
        let quality = random.random_range(jpeg.quality[0]..=jpeg.quality[1]);
        // These changes have streams of their own, because the draws above are those of older programs.
        let stream = |name: &str| random::stream(self.seed, name, &key);
        let Others { crop, rotate, colour, noise, cutout, webp, times } = Others::draw(&self.config, &stream);
        let others =
            [crop.is_some(), rotate.is_some(), colour.is_some(), noise.is_some(), cutout.is_some(), webp.is_some()];
        if !(flips || blurs || compresses || others.contains(&true)) {
            return Ok(());
        }
        let [height, width] = size.map(|side| side as u32);
        let Ok(mut image) = RgbImage::new(width, height, pixels.to_vec()) else {
            unreachable!("pixels has height x width x 3 bytes");
        };
        if let Some((area, position)) = crop {
            image = geometry::crop_and_resize(&image, area, position)?;
        }
        if let Some(degrees) = rotate {
            image = geometry::rotate(&image, degrees);
        }
        if flips {
            degrade::flip_horizontal(&mut image);
        }
        if let Some(factors) = colour {
            image = geometry::change_colours(&image, factors);
        }
        if blurs {
            image = degrade::gaussian_blur(&image, sigma)?;
        }
        if let Some(std) = noise {
            image = degrade::noise(&image, std, &mut stream("augment: noise values"))?;
        }
        if let Some((side, centre)) = cutout {
            image = geometry::cut_out(&image, side, centre);
        }
        if let Some(quality) = webp {
            image = degrade::webp(&image, quality)?;
        }
        if compresses {
            image = degrade::jpeg(&image, quality)?;
            for quality in times {
                image = degrade::jpeg(&image, quality)?;
            }
        }
        pixels.copy_from_slice(image.data());
        Ok(())
    }
}

/// The draws of the changes that have streams of their own. `None` is no change.
struct Others {
    /// Share of the area, and position from 0 to 1 of the crop in the room that it has.
    crop: Option<(f32, [f32; 2])>,
    /// The angle in degrees.
    rotate: Option<f32>,
    /// Factors of brightness, contrast and saturation.
    colour: Option<[f32; 3]>,
    /// Standard deviation in levels.
    noise: Option<f32>,
    /// The side as a share of the shorter side of the image, and the centre from 0 to 1.
    cutout: Option<(f32, [f32; 2])>,
    /// The quality.
    webp: Option<u8>,
    /// The qualities of further JPEG compressions after the first.
    times: Vec<u8>,
}

impl Others {
    fn draw(config: &Augment, stream: &dyn Fn(&str) -> Stream) -> Others {
        let Augment { crop, rotate, colour, noise, cutout, webp, jpeg, .. } = config;
        let begin = |name: &str, probability: f64| {
            let mut random = stream(name);
            random.random_bool(probability).then_some(random)
        };
        let between = |random: &mut Stream, [low, high]: [f32; 2]| random.random_range(low..=high);
        Others {
            crop: begin("augment: crop", crop.probability)
                .map(|mut random| (between(&mut random, crop.area), [random.random(), random.random()])),
            rotate: begin("augment: rotate", rotate.probability)
                .map(|mut random| between(&mut random, [-rotate.degrees, rotate.degrees])),
            colour: begin("augment: colour", colour.probability).map(|mut random| {
                [colour.brightness, colour.contrast, colour.saturation]
                    .map(|strength| between(&mut random, [1.0 - strength, 1.0 + strength]))
            }),
            noise: begin("augment: noise", noise.probability).map(|mut random| between(&mut random, noise.std)),
            cutout: begin("augment: cutout", cutout.probability)
                .map(|mut random| (cutout.side, [random.random(), random.random()])),
            webp: begin("augment: webp", webp.probability)
                .map(|mut random| random.random_range(webp.quality[0]..=webp.quality[1])),
            times: {
                let mut random = stream("augment: further jpeg");
                let times = random.random_range(jpeg.times[0]..=jpeg.times[1]);
                (1..times).map(|_| random.random_range(jpeg.quality[0]..=jpeg.quality[1])).collect()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Blur, Jpeg};

    const SIZE: [usize; 2] = [9, 7];

    fn image() -> Vec<u8> {
        (0..SIZE[0] * SIZE[1] * 3).map(|i| (i * 37 % 251) as u8).collect()
    }

    fn augmented(config: Augment, epoch: usize, sample: usize) -> Vec<u8> {
        let mut pixels = image();
        Augmenter::new(&config, 1, epoch).unwrap().apply((sample, 0), SIZE, &mut pixels).unwrap();
        pixels
    }

    #[test]
    fn is_off_by_default() {
        assert!(Augmenter::new(&Augment::default(), 0, 1).is_none());
    }

    #[test]
    fn flips_about_half_of_the_images() {
        let config = Augment { flip: true, ..Augment::default() };
        let mut mirrored = RgbImage::new(7, 9, image()).unwrap();
        degrade::flip_horizontal(&mut mirrored);
        let flipped = (0..400)
            .filter(|&sample| {
                let pixels = augmented(config, 1, sample);
                assert!(pixels == image() || pixels == mirrored.data());
                pixels == mirrored.data()
            })
            .count();
        assert!((150..250).contains(&flipped), "{flipped} of 400");
    }

    #[test]
    fn depends_on_epoch_and_sample_only() {
        let jpeg = Jpeg { probability: 1.0, quality: [10, 90], times: [1, 3] };
        let blur = Blur { probability: 1.0, sigma: [0.5, 2.0] };
        let config = Augment { flip: true, blur, jpeg, ..Augment::default() };
        assert_eq!(augmented(config, 1, 2), augmented(config, 1, 2));
        assert_ne!(augmented(config, 1, 2), augmented(config, 2, 2));
        assert_ne!(augmented(config, 1, 2), augmented(config, 1, 3));
        assert_ne!(augmented(config, 1, 2), image());
    }

    #[test]
    fn each_change_alters_images_and_only_with_its_probability() {
        let with = |change: fn(&mut Augment, f64), probability: f64| {
            let mut config = Augment::default();
            change(&mut config, probability);
            config
        };
        let changes: [fn(&mut Augment, f64); 8] = [
            |c, p| c.crop.probability = p,
            |c, p| c.rotate.probability = p,
            |c, p| c.colour.probability = p,
            |c, p| c.blur.probability = p,
            |c, p| c.noise.probability = p,
            |c, p| c.cutout.probability = p,
            |c, p| c.webp.probability = p,
            |c, p| c.jpeg.probability = p,
        ];
        for (i, change) in changes.into_iter().enumerate() {
            assert!(Augmenter::new(&with(change, 0.0), 1, 1).is_none());
            let changed = (0..20).filter(|&sample| augmented(with(change, 1.0), 1, sample) != image()).count();
            assert!(changed >= 12, "change {i}: {changed} of 20");
            let rare = (0..100).filter(|&sample| augmented(with(change, 0.2), 1, sample) != image()).count();
            assert!((5..40).contains(&rare), "change {i}: {rare} of 100");
        }
    }

    #[test]
    fn repeated_images_are_augmented_differently() {
        let noise = crate::config::Noise { probability: 1.0, std: [5.0, 5.0] };
        let config = Augment { noise, ..Augment::default() };
        let [first, second] = [0, 1].map(|repeat| {
            let mut pixels = image();
            Augmenter::new(&config, 1, 1).unwrap().apply((3, repeat), SIZE, &mut pixels).unwrap();
            pixels
        });
        assert_ne!(first, second);
    }

    #[test]
    fn enabling_jpeg_keeps_the_draws_of_flip() {
        let flip = Augment { flip: true, ..Augment::default() };
        let both = Augment { jpeg: Jpeg { probability: 1.0, quality: [100, 100], times: [1, 1] }, ..flip };
        let distance = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>();
        let mut mirrored = RgbImage::new(7, 9, image()).unwrap();
        degrade::flip_horizontal(&mut mirrored);
        for sample in 0..20 {
            let flipped = augmented(flip, 1, sample) == mirrored.data();
            let both = augmented(both, 1, sample);
            assert_eq!(distance(&both, mirrored.data()) < distance(&both, &image()), flipped, "sample {sample}");
        }
    }
}
