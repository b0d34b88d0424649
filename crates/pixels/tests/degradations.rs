//! Properties of the degradations that the golden values do not cover.

use pixels::{Filter, RgbImage, degrade};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn picture() -> RgbImage {
    RgbImage::from_fn(37, 23, |x, y| [(x * 6) as u8, (y * 11) as u8, ((x + y) * 4) as u8])
}

fn grey(level: u8) -> RgbImage {
    RgbImage::from_fn(64, 64, |_, _| [level; 3])
}

#[test]
fn flip_mirrors_rows_and_two_flips_restore_the_image() {
    let original = picture();
    let mut flipped = original.clone();
    degrade::flip_horizontal(&mut flipped);
    assert_eq!(flipped.data()[..3], original.data()[36 * 3..37 * 3]);
    degrade::flip_horizontal(&mut flipped);
    assert_eq!(flipped, original);
}

#[test]
fn webp_error_grows_with_lower_quality() {
    let original = picture();
    let error = |quality: u8| {
        let saved = degrade::webp(&original, quality).unwrap();
        assert_eq!((saved.width(), saved.height()), (original.width(), original.height()));
        let squares =
            original.data().iter().zip(saved.data()).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>();
        (squares / original.data().len() as f64).sqrt()
    };
    let [high, middle, low] = [95, 60, 5].map(error);
    assert!(0.0 < high && high < middle && middle < low && low < 40.0, "{high} {middle} {low}");
    let bytes = pixels::encode::webp(&original, 80).unwrap();
    assert!(bytes.starts_with(b"RIFF") && &bytes[8..16] == b"WEBPVP8 ", "a lossy WebP without other chunks");
    let long = RgbImage::from_fn(16_384, 1, |x, _| [x as u8; 3]);
    assert!(pixels::encode::webp(&long, 80).unwrap_err().to_string().contains("16384x1"));
}

#[test]
fn crop_copies_pixels_and_rejects_crops_that_do_not_fit() {
    let cut = degrade::crop(&picture(), 5, 2, 4, 3).unwrap();
    assert_eq!((cut.width(), cut.height()), (4, 3));
    assert_eq!(cut.data()[..3], [30, 22, 28]);
    assert_eq!(cut.data()[4 * 3..][..3], [30, 33, 32]);
    assert!(degrade::crop(&picture(), 34, 0, 4, 1).is_err());
    assert!(degrade::crop(&picture(), u32::MAX, 0, 4, 1).is_err());
    assert!(degrade::crop(&picture(), 0, 0, 0, 1).is_err());
}

#[test]
fn noise_has_the_given_deviation_and_repeats_with_the_generator() {
    let noisy = |seed| degrade::noise(&grey(128), 10.0, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap();
    assert_eq!(noisy(1), noisy(1));
    assert_ne!(noisy(1), noisy(2));
    let differences = noisy(1).into_data().into_iter().map(|byte| f64::from(byte) - 128.0);
    let (count, sum, squares) =
        differences.fold((0.0, 0.0, 0.0), |(n, sum, squares), d| (n + 1.0, sum + d, squares + d * d));
    // With 12,288 draws, the standard error of the mean is 0.09, and that of the deviation 0.064.
    assert!((sum / count).abs() < 0.4, "{}", sum / count);
    assert!(((squares / count).sqrt() - 10.0).abs() < 0.4, "{}", (squares / count).sqrt());
}

#[test]
fn neutral_parameters_change_nothing() {
    let original = picture();
    assert_eq!(degrade::gaussian_blur(&original, 0.0).unwrap(), original);
    assert_eq!(degrade::gaussian_blur(&grey(200), 3.0).unwrap(), grey(200));
    assert_eq!(degrade::resize_and_back(&original, 1.0, Filter::Bicubic).unwrap(), original);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    assert_eq!(degrade::noise(&original, 0.0, &mut rng).unwrap(), original);
}

#[test]
fn resizing_by_a_tiny_factor_leaves_one_colour() {
    let resized = degrade::resize_and_back(&picture(), 1e-6, Filter::Box).unwrap();
    assert_eq!((resized.width(), resized.height()), (37, 23));
    assert!(resized.data().chunks(3).all(|pixel| pixel == &resized.data()[..3]));
}

#[test]
fn errors_name_parameters_out_of_range() {
    let error = degrade::gaussian_blur(&picture(), f32::NAN).unwrap_err();
    assert_eq!(error.to_string(), "sigma must be a finite number of at least 0, but is NaN");
    assert!(degrade::resize_and_back(&picture(), 0.0, Filter::Box).is_err());
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    assert!(degrade::noise(&picture(), -1.0, &mut rng).is_err());
}
