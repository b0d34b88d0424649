//! Augmentation: random changes to training images, derived from the seed, the epoch and the image's index.

use artifacts::random;
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
        let on = config.flip || config.blur.probability > 0.0 || config.jpeg.probability > 0.0;
        on.then_some(Augmenter { config: *config, seed, epoch })
    }

    /// Augments the image with index `sample` in its split, which occurred `repeat` times before in the epoch. `pixels` is
    /// RGB, `[height, width, 3]`; `size` is height and width.
    pub(crate) fn apply(
        &self,
        (sample, repeat): (usize, usize),
        size: [usize; 2],
        pixels: &mut [u8],
    ) -> Result<(), DegradeError> {
        let Augment { flip, blur, jpeg } = self.config;
        let key = [self.epoch as u64, sample as u64, repeat as u64];
        let mut random = random::stream(self.seed, "augment", if repeat == 0 { &key[..2] } else { &key });
        // Always draw all numbers, so that enabling one change does not alter the draws of the others.
        let flips = flip & random.random_bool(0.5);
        let blurs = random.random_bool(blur.probability);
        let sigma = random.random_range(blur.sigma[0]..=blur.sigma[1]);
        let compresses = random.random_bool(jpeg.probability);
        let quality = random.random_range(jpeg.quality[0]..=jpeg.quality[1]);
        if !(flips || blurs || compresses) {
            return Ok(());
        }
        let [height, width] = size.map(|side| side as u32);
        let Ok(mut image) = RgbImage::new(width, height, pixels.to_vec()) else {
            unreachable!("pixels has height x width x 3 bytes");
        };
        if flips {
            degrade::flip_horizontal(&mut image);
        }
        if blurs {
            image = degrade::gaussian_blur(&image, sigma)?;
        }
        if compresses {
            image = degrade::jpeg(&image, quality)?;
        }
        pixels.copy_from_slice(image.data());
        Ok(())
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
        let jpeg = Jpeg { probability: 1.0, quality: [10, 90] };
        let blur = Blur { probability: 1.0, sigma: [0.5, 2.0] };
        let config = Augment { flip: true, blur, jpeg };
        assert_eq!(augmented(config, 1, 2), augmented(config, 1, 2));
        assert_ne!(augmented(config, 1, 2), augmented(config, 2, 2));
        assert_ne!(augmented(config, 1, 2), augmented(config, 1, 3));
        assert_ne!(augmented(config, 1, 2), image());
    }

    #[test]
    fn enabling_jpeg_keeps_the_draws_of_flip() {
        let flip = Augment { flip: true, ..Augment::default() };
        let both = Augment { jpeg: Jpeg { probability: 1.0, quality: [100, 100] }, ..flip };
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
