//! A spectrum to look at.

use std::sync::LazyLock;

use pixels::RgbImage;

use super::peaks::height;
use super::planes::central_planes;
use super::tiles::Transform;

/// The side of the spectrum of an image whose sides are at least this long.
const SIDE: usize = 128;

/// The side of the spectrum of a smaller image.
const SMALL_SIDE: usize = 64;

/// The longest side of the window in pixels.
const MAX_WINDOW: u32 = 512;

/// The largest number of peaks.
const MAX_PEAKS: usize = 12;

/// Frequencies below this number of cycles per pixel have no peaks: they are content.
const LOWEST: f32 = 0.08;

/// The number of standard deviations by which a peak exceeds its surroundings. Over 8,192 frequencies, noise has about
/// 0.01 such peaks.
const DEVIATIONS: f32 = 4.75;

/// The spectrum of the central window of an image, after the content was removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    /// The width and height of the picture.
    pub side: u32,
    /// The logarithm of the power as grey levels, `[side, side]`. Frequency 0 is at (`side / 2`, `side / 2`), and the
    /// edges are at half a cycle per pixel. Black is the lowest and white the highest percent.
    pub values: Vec<u8>,
    /// The strongest peaks, strongest first. The spectrum is symmetric; of two opposite peaks, there is the lower one.
    pub peaks: Vec<Peak>,
}

/// A peak of a spectrum: a pattern that repeats all over the image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// The column in [`Spectrum::values`].
    pub x: u32,
    /// The row in [`Spectrum::values`].
    pub y: u32,
    /// The length of the period in pixels.
    pub period: f32,
    /// The ratio to the surroundings in decibels.
    pub decibels: f32,
}

/// Computes the spectrum of the difference of luma to its 3x3 median, averaged over overlapping tiles of the central
/// window of at most 512 pixels. `None` if a side is shorter than 64 pixels.
pub fn spectrum(image: &RgbImage) -> Option<Spectrum> {
    static LARGE: LazyLock<Transform> = LazyLock::new(|| Transform::new(SIDE));
    static SMALL: LazyLock<Transform> = LazyLock::new(|| Transform::new(SMALL_SIDE));
    let shortest = image.width().min(image.height()) as usize;
    let (side, transform) = if shortest >= SIDE { (SIDE, &LARGE) } else { (SMALL_SIDE, &SMALL) };
    if shortest < side {
        return None;
    }
    let [luma, ..] = central_planes(image, MAX_WINDOW);
    let residual = luma.median_residual();
    let [power, _] = transform.power(&residual, &residual);
    // The rounding to whole levels keeps the power of most images above this.
    let logs: Vec<f32> = power.into_iter().map(|power| (power + 1e-3).ln()).collect();
    Some(Spectrum {
        side: side as u32,
        values: grey(&logs, side),
        peaks: peaks(&logs, side, transform.tiles(&residual)),
    })
}

/// Converts logarithms to grey levels, and moves frequency 0 to the middle.
fn grey(logs: &[f32], side: usize) -> Vec<u8> {
    let mut sorted = logs.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let (black, white) = (sorted[sorted.len() / 100], sorted[sorted.len() - 1 - sorted.len() / 100]);
    let range = (white - black).max(1e-3);
    let centred = |at: usize| (at + side / 2) % side;
    (0..side * side)
        .map(|i| ((logs[centred(i / side) * side + centred(i % side)] - black) / range * 255.0).round() as u8)
        .collect()
}

/// Finds the local maxima that exceed their surroundings by more than noise does.
fn peaks(logs: &[f32], side: usize, tiles: usize) -> Vec<Peak> {
    let least = least_height(tiles);
    let at = |x: usize, y: usize| logs[y % side * side + x % side];
    let mut found = Vec::new();
    for y in 0..=side / 2 {
        for x in 0..side {
            // On the two rows that are their own opposites, the right half is the same as the left.
            let is_repeated = y % (side / 2) == 0 && x > side / 2;
            let fx = x as f32 / side as f32 - if x > side / 2 { 1.0 } else { 0.0 };
            let frequency = fx.hypot(y as f32 / side as f32);
            if is_repeated || frequency < LOWEST {
                continue;
            }
            let is_highest = [
                [side - 1, side - 1],
                [0, side - 1],
                [1, side - 1],
                [side - 1, 0],
                [1, 0],
                [side - 1, 1],
                [0, 1],
                [1, 1],
            ]
            .into_iter()
            .all(|[dx, dy]| at(x, y) >= at(x + dx, y + dy));
            let height = height(logs, side, x, y);
            if is_highest && height > least {
                let centred = |at: usize| ((at + side / 2) % side) as u32;
                let decibels = height * 10.0 / std::f32::consts::LN_10;
                found.push(Peak { x: centred(x), y: centred(y), period: 1.0 / frequency, decibels });
            }
        }
    }
    found.sort_by(|a, b| b.decibels.total_cmp(&a.decibels));
    found.truncate(MAX_PEAKS);
    found
}

/// Returns the height above the surroundings that the mean of `tiles` periodograms of noise rarely exceeds, as a
/// logarithm. The power of noise has a gamma distribution, whose quantile is approximated by Wilson and Hilferty 1931
/// (PNAS 17). Overlapping tiles count half.
fn least_height(tiles: usize) -> f32 {
    let count = (tiles as f32 / 2.0).max(1.0);
    let variance = 1.0 / (9.0 * count);
    let quantile = (1.0 - variance + DEVIATIONS * variance.sqrt()).powi(3);
    // The mean of the logarithms in the surroundings is below the logarithm of the mean.
    let bias = if count < 2.0 { 0.58 } else { 0.5 / count };
    quantile.ln() + bias
}
