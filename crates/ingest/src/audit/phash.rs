//! Perceptual hashes of grey thumbnails, and flipped and cropped thumbnails.

use std::f32::consts::PI;
use std::sync::LazyLock;

use super::thumbnail::GREY_SIDE;

/// A grey thumbnail, `[GREY_SIDE, GREY_SIDE]`.
pub(super) type Grey = [f32; GREY_SIDE * GREY_SIDE];

/// The number of frequencies in each direction that the hash uses.
const FREQUENCIES: usize = 8;

/// A square part of a thumbnail, in units of the thumbnail's side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) left: f32,
    pub(super) top: f32,
    pub(super) side: f32,
}

impl Window {
    /// Makes a window of side `side`. `across` and `down` are its position, from 0 (left, top) to 1 (right, bottom).
    pub(super) fn new(side: f32, across: f32, down: f32) -> Window {
        Window { left: across * (1.0 - side), top: down * (1.0 - side), side }
    }
}

pub(super) fn to_float(grey: &[u8; GREY_SIDE * GREY_SIDE]) -> Grey {
    grey.map(f32::from)
}

/// Flips a thumbnail horizontally.
pub(super) fn flipped(grey: &Grey) -> Grey {
    let mut flipped = *grey;
    flipped.chunks_exact_mut(GREY_SIDE).for_each(<[f32]>::reverse);
    flipped
}

/// Crops a thumbnail to `window` and resizes the result to the size of a thumbnail, with bilinear interpolation.
pub(super) fn cropped(grey: &Grey, window: Window) -> Grey {
    let taps = |start: f32| -> [(usize, usize, f32); GREY_SIDE] {
        std::array::from_fn(|pixel| {
            let place = start * GREY_SIDE as f32 + (pixel as f32 + 0.5) * window.side - 0.5;
            let place = place.clamp(0.0, (GREY_SIDE - 1) as f32);
            let first = place as usize;
            (first, (first + 1).min(GREY_SIDE - 1), place - first as f32)
        })
    };
    let columns = taps(window.left);
    let mut result = [0.0; GREY_SIDE * GREY_SIDE];
    for (row, (above, below, down)) in result.chunks_exact_mut(GREY_SIDE).zip(taps(window.top)) {
        let (above, below) = (&grey[above * GREY_SIDE..], &grey[below * GREY_SIDE..]);
        for (value, &(left, right, across)) in row.iter_mut().zip(&columns) {
            let upper = above[left] + across * (above[right] - above[left]);
            let lower = below[left] + across * (below[right] - below[left]);
            *value = upper + down * (lower - upper);
        }
    }
    result
}

/// Computes the perceptual hash (C. Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010,
/// section 3.2.1). It has a bit for each of the 8 x 8 lowest coefficients of the cosine transform, which is 1 if the
/// coefficient exceeds their median. The bit of the mean (coefficient 0) is always 0. Resizing, compression and changes
/// of brightness hardly change the hash.
pub(super) fn hash(grey: &Grey) -> u64 {
    static COSINES: LazyLock<[[f32; GREY_SIDE]; FREQUENCIES]> = LazyLock::new(|| {
        std::array::from_fn(|frequency| {
            std::array::from_fn(|at| (PI * frequency as f32 * (at as f32 + 0.5) / GREY_SIDE as f32).cos())
        })
    });
    let transform = |values: &[f32], frequency: usize| -> f32 {
        values.iter().zip(&COSINES[frequency]).map(|(value, cosine)| value * cosine).sum()
    };
    // First [frequency, row], then [vertical frequency, horizontal frequency].
    let mut rows = [[0.0; GREY_SIDE]; FREQUENCIES];
    for (y, row) in grey.chunks_exact(GREY_SIDE).enumerate() {
        for (frequency, values) in rows.iter_mut().enumerate() {
            values[y] = transform(row, frequency);
        }
    }
    let mut coefficients = [0.0; FREQUENCIES * FREQUENCIES];
    for (i, coefficient) in coefficients.iter_mut().enumerate().skip(1) {
        *coefficient = transform(&rows[i % FREQUENCIES], i / FREQUENCIES);
    }
    let mut sorted = coefficients;
    sorted[1..].sort_unstable_by(f32::total_cmp);
    let median = sorted[1 + (sorted.len() - 1) / 2];
    let bit = |i: usize| u64::from(coefficients[i] > median) << i;
    (1..coefficients.len()).fold(0, |hash, i| hash | bit(i))
}

/// Returns the correlation of two thumbnails, from -1 to 1, or 0 if one of them is uniform.
pub(super) fn correlation(a: &Grey, b: &Grey) -> f32 {
    let mean = |values: &Grey| values.iter().sum::<f32>() / values.len() as f32;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut product, mut square_a, mut square_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        product += a * b;
        square_a += a * a;
        square_b += b * b;
    }
    // A standard deviation below one level is rounding noise.
    let noise = a.len() as f32;
    if square_a < noise || square_b < noise { 0.0 } else { product / (square_a * square_b).sqrt() }
}

#[cfg(test)]
pub(super) mod tests {
    use artifacts::random::stream;
    use rand::RngExt;

    use super::*;

    /// A smooth random image.
    pub(in crate::audit) fn picture(key: u64) -> Grey {
        let mut stream = stream(1, "phash test", &[key]);
        let waves: Vec<[f32; 4]> = (0..12).map(|_| [(); 4].map(|()| stream.random_range(-1.0..1.0_f32))).collect();
        std::array::from_fn(|i| {
            let (x, y) = ((i % GREY_SIDE) as f32 / 24.0, (i / GREY_SIDE) as f32 / 24.0);
            let sum: f32 =
                waves.iter().map(|[u, v, phase, size]| size * (9.0 * (u * x + v * y) + 3.0 * phase).sin()).sum();
            128.0 + 25.0 * sum
        })
    }

    #[test]
    fn hash_tolerates_brightness_contrast_and_noise() {
        let mut stream = stream(2, "phash test", &[]);
        let mut unrelated = 0;
        for key in 0..50 {
            let original = picture(key);
            let changed = original.map(|value| 0.8 * value + 10.0 + stream.random_range(-1.0..1.0_f32));
            assert!((hash(&original) ^ hash(&changed)).count_ones() <= 10);
            unrelated += (hash(&original) ^ hash(&picture(key + 1000))).count_ones();
        }
        // Smooth images share the signs of some high frequencies because of ripples of the transform.
        assert!(unrelated / 50 > 20, "{unrelated}");
    }

    #[test]
    fn a_full_crop_and_two_flips_change_nothing() {
        let original = picture(3);
        assert_eq!(flipped(&flipped(&original)), original);
        let whole = cropped(&original, Window::new(1.0, 0.0, 0.0));
        assert!(original.iter().zip(whole).all(|(a, b)| (a - b).abs() < 1e-3));
        assert!((correlation(&original, &whole) - 1.0).abs() < 1e-5);
        assert_eq!(correlation(&original, &[7.0; GREY_SIDE * GREY_SIDE]), 0.0);
    }
}
