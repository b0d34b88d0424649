//! Power spectra, averaged over overlapping tiles (Welch 1967, IEEE Transactions on Audio and Electroacoustics 15).

use std::f32::consts::TAU;
use std::sync::{Arc, LazyLock};

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use super::features::Features;
use super::peaks;
use super::planes::{Plane, TILE as SIDE, Window};

/// Keeps logarithms of flat images finite, in squared levels. The rounding to whole levels has a power of 1/12.
const FLOOR: f32 = 0.01;

/// The number of rings of the radial spectrum, from frequency 0 to the corner at 0.71 cycles per pixel.
const RINGS: usize = 16;

/// The number of cells of the two-dimensional spectrum along each axis, from frequency 0 to 0.5.
const CELLS: usize = 8;

/// A transform of square tiles.
pub(super) struct Transform {
    side: usize,
    fft: Arc<dyn Fft<f32>>,
    /// The Hann window along an axis.
    taper: Vec<f32>,
    /// The sum of the squares of the two-dimensional window.
    taper_power: f32,
}

impl Transform {
    pub(super) fn new(side: usize) -> Transform {
        let taper: Vec<f32> = (0..side).map(|i| 0.5 - 0.5 * (TAU * i as f32 / side as f32).cos()).collect();
        let power: f32 = taper.iter().map(|weight| weight * weight).sum();
        Transform { side, fft: FftPlanner::new().plan_fft_forward(side), taper, taper_power: power * power }
    }

    /// Computes the power spectra of two planes of the same shape, each averaged over all tiles that overlap by half.
    /// The result is `[side, side]` in squared levels, with frequency 0 first, and symmetric.
    ///
    /// The planes are the real and the imaginary part of one complex transform.
    pub(super) fn power(&self, a: &Plane, b: &Plane) -> [Vec<f32>; 2] {
        let side = self.side;
        let zero = Complex::new(0.0_f32, 0.0);
        let mut tile = vec![zero; side * side];
        let mut turned = tile.clone();
        let mut scratch = vec![zero; self.fft.get_inplace_scratch_len()];
        // For the transform Z of a + bi: the power of a is (|Z(k)|^2 + |Z(-k)|^2 + 2 Re Z(k) Z(-k)) / 4, that of b has
        // the other sign before the product.
        let mut powers = vec![0.0_f32; side * side];
        let mut products = vec![0.0_f32; side * side];
        for top in (0..=a.height - side).step_by(side / 2) {
            for left in (0..=a.width - side).step_by(side / 2) {
                for (y, out) in tile.chunks_exact_mut(side).enumerate() {
                    let (row_a, row_b) = (&a.row(top + y)[left..][..side], &b.row(top + y)[left..][..side]);
                    for (x, out) in out.iter_mut().enumerate() {
                        let weight = self.taper[y] * self.taper[x];
                        *out = Complex::new(row_a[x] * weight, row_b[x] * weight);
                    }
                }
                self.fft.process_with_scratch(&mut tile, &mut scratch);
                transpose(&tile, &mut turned, side);
                self.fft.process_with_scratch(&mut turned, &mut scratch);
                for (power, value) in powers.iter_mut().zip(&turned) {
                    *power += value.norm_sqr();
                }
                for y in 0..side {
                    let opposite = &turned[(side - y) % side * side..][..side];
                    let row = &turned[y * side..][..side];
                    let products = &mut products[y * side..][..side];
                    products[0] += (row[0] * opposite[0]).re;
                    for ((product, value), other) in
                        products[1..].iter_mut().zip(&row[1..]).zip(opposite[1..].iter().rev())
                    {
                        *product += value.re * other.re - value.im * other.im;
                    }
                }
            }
        }
        let scale = 0.25 / (self.taper_power * self.tiles(a) as f32);
        let spectrum = |sign: f32| {
            let mut spectrum = vec![0.0; side * side];
            // The transform left the axes exchanged.
            for y in 0..side {
                for x in 0..side {
                    let (at, opposite) = (x * side + y, (side - x) % side * side + (side - y) % side);
                    let sum = powers[at] + powers[opposite] + 2.0 * sign * products[at];
                    spectrum[y * side + x] = (sum * scale).max(0.0);
                }
            }
            spectrum
        };
        [spectrum(1.0), spectrum(-1.0)]
    }

    /// Returns the number of tiles of a plane.
    pub(super) fn tiles(&self, plane: &Plane) -> usize {
        let along = |length: usize| (length - self.side) / (self.side / 2) + 1;
        along(plane.width) * along(plane.height)
    }
}

fn transpose(from: &[Complex<f32>], to: &mut [Complex<f32>], side: usize) {
    // Blocks of 8 x 8 stay in the cache.
    for top in (0..side).step_by(8) {
        for left in (0..side).step_by(8) {
            for y in top..top + 8 {
                for x in left..left + 8 {
                    to[x * side + y] = from[y * side + x];
                }
            }
        }
    }
}

static TRANSFORM: LazyLock<Transform> = LazyLock::new(|| Transform::new(SIDE));

pub(super) fn describe(window: &Window, features: &mut Features) {
    let [luma, blue, red] = &window.laplacians;
    let [luma_spectrum, median_spectrum] = TRANSFORM.power(luma, &window.medians[0]);
    let [blue_spectrum, red_spectrum] = TRANSFORM.power(blue, red);
    let spectra = [
        ("luma Laplacian", luma_spectrum),
        ("luma median residual", median_spectrum),
        ("blue difference Laplacian", blue_spectrum),
        ("red difference Laplacian", red_spectrum),
    ];
    for (index, (name, power)) in spectra.into_iter().enumerate() {
        let logs = relative_logs(power);
        for (ring, value) in radial(&logs).into_iter().enumerate() {
            let radius = (ring as f64 + 0.5) / RINGS as f64 * std::f64::consts::FRAC_1_SQRT_2;
            features.push(value, || format!("{name} spectrum: frequency {radius:.2}"));
        }
        peaks::describe(&logs, name, features);
        if index < 2 {
            for (cell, value) in quadrant(&logs).into_iter().enumerate() {
                let [x, y] = [cell % CELLS, cell / CELLS].map(|at| (at as f64 + 0.5) / (2 * CELLS) as f64);
                features.push(value, || format!("{name} spectrum: frequency ({x:.2}, {y:.2})"));
            }
        }
    }
}

/// Returns the logarithms of a spectrum minus their mean: the content's contrast cancels.
fn relative_logs(mut spectrum: Vec<f32>) -> Vec<f32> {
    for value in &mut spectrum {
        *value = (*value + FLOOR).ln();
    }
    let mean = spectrum.iter().map(|&value| f64::from(value)).sum::<f64>() / spectrum.len() as f64;
    for value in &mut spectrum {
        *value -= mean as f32;
    }
    spectrum
}

/// Returns the distance of a frequency's index from frequency 0, at most half of the side.
fn folded(index: usize) -> usize {
    index.min(SIDE - index)
}

/// Averages a spectrum over rings of equal width. Frequency 0 is left out.
fn radial(logs: &[f32]) -> [f32; RINGS] {
    let mut sums = [0.0_f32; RINGS];
    let mut counts = [0.0_f32; RINGS];
    for (index, &value) in logs.iter().enumerate().skip(1) {
        let [x, y] = [index % SIDE, index / SIDE].map(folded);
        // RINGS times the radius, divided by that of the corner and rounded down, in whole numbers: some frequencies
        // are exactly at the edge of a ring.
        let ring = ((x * x + y * y) * 2 * RINGS * RINGS / (SIDE * SIDE)).isqrt().min(RINGS - 1);
        sums[ring] += value;
        counts[ring] += 1.0;
    }
    std::array::from_fn(|ring| sums[ring] / counts[ring])
}

/// Averages a spectrum over square cells of absolute frequencies, so that flips do not change it.
fn quadrant(logs: &[f32]) -> [f32; CELLS * CELLS] {
    let mut sums = [0.0_f32; CELLS * CELLS];
    let mut counts = [0.0_f32; CELLS * CELLS];
    let cell = |at: usize| (folded(at) * 2 * CELLS / SIDE).min(CELLS - 1);
    for (index, &value) in logs.iter().enumerate().skip(1) {
        let at = cell(index / SIDE) * CELLS + cell(index % SIDE);
        sums[at] += value;
        counts[at] += 1.0;
    }
    std::array::from_fn(|cell| sums[cell] / counts[cell])
}
