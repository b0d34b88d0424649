//! Images of the fixture: a hilly landscape for each seed, with a faint grid in the fakes.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

pub(crate) const SIDE: u32 = 112;

/// Returns a landscape. `grid` adds a faint grid, like the traces of up-sampling.
pub(crate) fn scene(seed: u32, grid: bool) -> RgbImage {
    let hue = f64::from(seed.wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let (u, v) = (f64::from(x) / f64::from(SIDE), f64::from(y) / f64::from(SIDE));
        let ridge =
            |k: f64, height: f64| height + 0.09 * (k * u * 5.0 + 6.0 * hue).sin() + 0.03 * (k * u * 17.0 + hue).cos();
        let mut colour = mix([0.55 + 0.4 * hue, 0.72, 0.93 - 0.3 * hue], [0.98, 0.88, 0.72], v * 1.4);
        let sun = ((u - 0.2 - 0.6 * hue).powi(2) + (v - 0.28).powi(2)).sqrt();
        colour = if sun < 0.07 { [1.0, 0.95, 0.8] } else { colour };
        for (i, base) in [0.5, 0.66, 0.82].into_iter().enumerate() {
            if v > ridge(1.0 + i as f64 * 0.7, base) {
                let depth = 0.35 + 0.22 * i as f64;
                colour = [0.42 - 0.3 * depth * hue, 0.52 - 0.35 * depth, 0.5 - 0.4 * depth + 0.2 * hue];
            }
        }
        let grain =
            f64::from((x.wrapping_mul(374_761) ^ y.wrapping_mul(668_265) ^ seed.wrapping_mul(97)) % 23) / 23.0 - 0.5;
        let trace = if grid && (x % 4 == 0 || y % 4 == 0) { 0.05 } else { 0.0 };
        Rgb(colour.map(|c| ((c + 0.05 * grain + trace).clamp(0.0, 1.0) * 255.0) as u8))
    })
}

/// Returns an image with a heat map over it.
pub(crate) fn overlay(image: &RgbImage, seed: u32) -> RgbImage {
    let centre = (f64::from(seed * 37 % 80) / 100.0 + 0.1, f64::from(seed * 53 % 70) / 100.0 + 0.15);
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let (u, v) = (f64::from(x) / f64::from(SIDE), f64::from(y) / f64::from(SIDE));
        let heat = (-((u - centre.0).powi(2) + (v - centre.1).powi(2)) / 0.06).exp();
        let under = image.get_pixel(x, y).0.map(|c| f64::from(c) / 255.0);
        Rgb(mix(under, heat_colour(heat), 0.5).map(|c| (c * 255.0) as u8))
    })
}

/// Returns the colour scale of the heat maps, weakest on the left.
pub(crate) fn legend() -> RgbImage {
    RgbImage::from_fn(256, 12, |x, _| Rgb(heat_colour(f64::from(x) / 255.0).map(|c| (c * 255.0) as u8)))
}

fn heat_colour(heat: f64) -> [f64; 3] {
    let [dark, middle, bright] = [[0.27, 0.0, 0.33], [0.13, 0.57, 0.55], [0.99, 0.91, 0.15]];
    if heat < 0.5 { mix(dark, middle, 2.0 * heat) } else { mix(middle, bright, 2.0 * heat - 1.0) }
}

fn mix(a: [f64; 3], b: [f64; 3], share: f64) -> [f64; 3] {
    let share = share.clamp(0.0, 1.0);
    std::array::from_fn(|i| a[i] + share * (b[i] - a[i]))
}

/// Encodes an image as PNG.
pub(crate) fn png(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}
