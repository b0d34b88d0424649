//! Every signal of extreme images: tiny, flat, grey and very large.

use std::time::{Duration, Instant};

use artifacts::random::stream;
use pixels::RgbImage;
use pixels::degrade;
use rayon::prelude::*;
use signals::augment::{AugmentConfig, Crop, Resize, augment};
use signals::{frequency, patches};

/// Makes an image of smooth waves with noise of about `noise` levels.
fn picture(width: u32, height: u32, noise: u32) -> RgbImage {
    let mut state = 1_u32;
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as f32, y as f32);
        [0.0, 2.0, 4.0].map(|phase| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let wave = 128.0 + 60.0 * (x * 0.05 + phase).sin() + 40.0 * (y * 0.031 - phase).cos();
            (wave + ((state >> 16) % (2 * noise + 1)) as f32 - noise as f32) as u8
        })
    })
}

fn grey(level: impl Fn(u32, u32) -> u8, width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| [level(x, y); 3])
}

#[test]
fn names_are_unique_and_match_the_values() {
    let names = frequency::feature_names();
    let unique: std::collections::BTreeSet<&String> = names.iter().collect();
    assert_eq!(unique.len(), names.len());
    assert_eq!(frequency::features(&picture(200, 100, 3)).unwrap().len(), names.len());
}

#[test]
fn small_images_have_nothing_to_say() {
    for (width, height) in [(1, 1), (40, 40), (63, 4000), (4000, 1)] {
        let image = picture(width, height, 3);
        assert_eq!(frequency::features(&image), None);
        assert_eq!(frequency::spectrum(&image), None);
        assert_eq!(patches::by_texture(&image, patches::SIDE, patches::COUNT), []);
    }
}

#[test]
fn features_of_flat_and_extreme_images_are_finite() {
    let images = [
        grey(|_, _| 0, 64, 64),
        grey(|_, _| 255, 300, 70),
        grey(|x, y| if (x + y) % 2 == 0 { 0 } else { 255 }, 256, 256),
        grey(|x, _| (x % 256) as u8, 256, 256),
        grey(|x, y| u8::from(x == 100 && y == 90), 200, 200),
        RgbImage::from_fn(128, 128, |x, _| if x % 16 < 8 { [255, 0, 0] } else { [0, 0, 255] }),
    ];
    let names = frequency::feature_names();
    for image in images {
        for (name, value) in names.iter().zip(frequency::features(&image).unwrap()) {
            assert!(value.is_finite() && value.abs() < 1e4, "{name}: {value} of {image:?}");
        }
        let spectrum = frequency::spectrum(&image).unwrap();
        assert_eq!(spectrum.values.len(), (spectrum.side * spectrum.side) as usize);
        assert!(spectrum.peaks.iter().all(|peak| peak.decibels.is_finite()));
    }
    let flat = frequency::spectrum(&grey(|_, _| 9, 64, 64)).unwrap();
    assert_eq!(flat.peaks, []);
}

#[test]
fn features_do_not_depend_on_the_threads() {
    let images: Vec<RgbImage> = (1..7).map(|noise| picture(150, 130, noise)).collect();
    let one: Vec<_> = images.iter().map(frequency::features).collect();
    let several: Vec<_> = images.par_iter().map(frequency::features).collect();
    assert_eq!(one, several);
}

#[test]
fn images_of_50_megapixels_are_quick() {
    let image = grey(|x, y| (x ^ y) as u8, 10_000, 5_000);
    let start = Instant::now();
    assert_eq!(patches::by_texture(&image, patches::SIDE, patches::COUNT).len(), 4);
    assert!(frequency::features(&image).is_some());
    assert!(frequency::spectrum(&image).is_some());
    // A tenth of this is usual; other work on the machine may slow the test down.
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    let config = AugmentConfig {
        crop: Crop { probability: 1.0, area: [0.01, 0.01] },
        resize: Resize { probability: 1.0, scale: [2.0, 2.0] },
        ..AugmentConfig::default()
    };
    let augmented = augment(&image, &config, &mut stream(0, "test", &[])).unwrap().unwrap();
    assert_eq!((augmented.image.width(), augmented.image.height()), (2000, 1000));
    // Twice the sides would be 200 megapixels.
    let resize = AugmentConfig { crop: Crop::default(), ..config };
    assert!(augment(&image, &resize, &mut stream(0, "test", &[])).unwrap().is_none());
}

/// Returns the root mean square difference of features, each divided by its deviation over `others`.
fn difference(a: &[f32], b: &[f32], others: &[Vec<f32>]) -> f64 {
    let mut sum = 0.0;
    for i in 0..a.len() {
        let mean = others.iter().map(|other| f64::from(other[i])).sum::<f64>() / others.len() as f64;
        let variance =
            others.iter().map(|other| (f64::from(other[i]) - mean).powi(2)).sum::<f64>() / others.len() as f64;
        sum += f64::from(a[i] - b[i]).powi(2) / (variance + 1e-4);
    }
    (sum / a.len() as f64).sqrt()
}

#[test]
fn shifts_and_flips_change_features_little() {
    let whole = degrade::jpeg(&picture(400, 400, 6), 85).unwrap();
    let features = |image: &RgbImage| frequency::features(image).unwrap();
    let cut = |x, y| degrade::crop(&whole, x, y, 256, 256).unwrap();
    let base = features(&cut(40, 40));
    let others: Vec<Vec<f32>> = [(2, 60), (4, 70), (8, 80), (14, 90), (20, 95)]
        .into_iter()
        .map(|(noise, quality)| features(&degrade::jpeg(&picture(300, 300, noise), quality).unwrap()))
        .collect();
    let shifted = features(&cut(48, 40));
    // A shift that is not a multiple of 8 moves the grid of JPEG's blocks in the window.
    let unaligned = features(&cut(43, 45));
    let mut flipped = cut(40, 40);
    degrade::flip_horizontal(&mut flipped);
    for (name, changed) in [("shifted", shifted), ("unaligned", unaligned), ("flipped", features(&flipped))] {
        let changes = difference(&base, &changed, &others);
        assert!(changes < 0.35, "{name}: {changes}");
    }
    let other = difference(&base, &others[0], &others);
    assert!(other > 1.0, "{other}");
}

#[test]
fn periodic_patterns_are_peaks() {
    for period in [2, 4, 8] {
        let mut image = picture(256, 256, 3);
        let plain = frequency::features(&image).unwrap();
        for (i, byte) in image.data_mut().iter_mut().enumerate() {
            *byte = byte.saturating_add(if i / 3 % period == 0 { 4 } else { 0 });
        }
        let patterned = frequency::features(&image).unwrap();
        let name = format!("luma Laplacian spectrum: peaks at period {period}");
        let index = frequency::feature_names().iter().position(|found| *found == name).unwrap();
        assert!(patterned[index] > plain[index] + 0.5, "{name}: {} and {}", plain[index], patterned[index]);
        let spectrum = frequency::spectrum(&image).unwrap();
        let found =
            spectrum.peaks.iter().any(|peak| (peak.period - period as f32).abs() < 0.05 && peak.y == spectrum.side / 2);
        assert!(found, "period {period}: {:?}", spectrum.peaks);
    }
    assert_eq!(frequency::spectrum(&picture(256, 256, 3)).unwrap().peaks, []);
}
