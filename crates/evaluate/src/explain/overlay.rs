//! Drawing heat maps.

use image::RgbImage;
use model::HeatMap;

/// The colour map viridis at nine equal steps (van der Walt and Smith 2015). Its lightness increases evenly, so that it
/// can be read in grey and with any colour blindness.
const VIRIDIS: [[u8; 3]; 9] = [
    [68, 1, 84],
    [71, 45, 123],
    [59, 82, 139],
    [44, 114, 142],
    [33, 145, 140],
    [40, 174, 128],
    [94, 201, 98],
    [173, 220, 48],
    [253, 231, 37],
];
/// Opacity of the heat map in an overlay.
const OPACITY: f32 = 0.5;

/// Returns the colour of a value, which is clamped to 0 to 1.
pub fn colour(value: f32) -> [u8; 3] {
    let position = value.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f32;
    let below = (position as usize).min(VIRIDIS.len() - 2);
    let share = position - below as f32;
    std::array::from_fn(|channel| mix(VIRIDIS[below][channel], VIRIDIS[below + 1][channel], share))
}

fn mix(a: u8, b: u8, share: f32) -> u8 {
    (f32::from(a) + share * (f32::from(b) - f32::from(a))).round() as u8
}

/// Draws a heat map over its image, `[height, width, 3]`. The map is resized to the image and divided by its maximum; a
/// map of zeros is drawn in the colour of 0.
pub fn overlay(pixels: &[u8], [height, width]: [usize; 2], map: &HeatMap) -> RgbImage {
    let peak = map.values.iter().copied().fold(0.0, f32::max);
    let scale = if peak > 0.0 { 1.0 / peak } else { 0.0 };
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let value = sample(map, (y as usize, height), (x as usize, width)) * scale;
        let heat = colour(value);
        let at = (y as usize * width + x as usize) * 3;
        image::Rgb(std::array::from_fn(|channel| mix(pixels[at + channel], heat[channel], OPACITY)))
    })
}

/// Draws a heat map alone, `[height, width]` pixels. The map is divided by its maximum; a map of zeros is drawn in the
/// colour of 0.
pub fn heat_picture(map: &HeatMap, [height, width]: [usize; 2]) -> RgbImage {
    let peak = map.values.iter().copied().fold(0.0, f32::max);
    let scale = if peak > 0.0 { 1.0 / peak } else { 0.0 };
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        image::Rgb(colour(sample(map, (y as usize, height), (x as usize, width)) * scale))
    })
}

/// Samples the map at the centre of pixel `y` of `height` and `x` of `width`: bilinear, with half-pixel centres and
/// replicated edges, as `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)` does.
fn sample(map: &HeatMap, (y, height): (usize, usize), (x, width): (usize, usize)) -> f32 {
    let (top, bottom, down) = neighbours(y, height, map.height);
    let (left, right, across) = neighbours(x, width, map.width);
    let at = |row: usize, column: usize| map.values[row * map.width + column];
    let above = at(top, left) + across * (at(top, right) - at(top, left));
    let below = at(bottom, left) + across * (at(bottom, right) - at(bottom, left));
    above + down * (below - above)
}

/// The two cells around a pixel's centre, and the weight of the second.
fn neighbours(pixel: usize, pixels: usize, cells: usize) -> (usize, usize, f32) {
    let position = ((pixel as f32 + 0.5) * cells as f32 / pixels as f32 - 0.5).max(0.0);
    let first = (position as usize).min(cells - 1);
    (first, (first + 1).min(cells - 1), position - first as f32)
}

/// Draws the legend: the colours from 0 at the left to the maximum of a map at the right.
pub fn legend() -> RgbImage {
    const WIDTH: u32 = 256;
    RgbImage::from_fn(WIDTH, 12, |x, _| image::Rgb(colour(x as f32 / (WIDTH - 1) as f32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lightness([r, g, b]: [u8; 3]) -> f32 {
        0.2126 * f32::from(r) + 0.7152 * f32::from(g) + 0.0722 * f32::from(b)
    }

    #[test]
    fn lightness_increases() {
        let colours: Vec<[u8; 3]> = (0..=40).map(|step| colour(step as f32 / 40.0)).collect();
        assert!(colours.windows(2).all(|pair| lightness(pair[0]) < lightness(pair[1])), "{colours:?}");
        assert_eq!((colour(-1.0), colour(2.0)), (VIRIDIS[0], VIRIDIS[8]));
    }

    #[test]
    fn sample_equals_torch() {
        // torch.nn.functional.interpolate([[0., 1.], [2., 4.]], size=(4, 4), mode="bilinear"), rows 0 and 1.
        let map = HeatMap { values: vec![0.0, 1.0, 2.0, 4.0], height: 2, width: 2 };
        let row = |y| -> Vec<f32> { (0..4).map(|x| sample(&map, (y, 4), (x, 4))).collect() };
        assert_eq!(row(0), [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(row(1), [0.5, 0.8125, 1.4375, 1.75]);
    }

    #[test]
    fn cell_with_highest_value_is_brightest() {
        let mut values = vec![0.0; 49];
        values[7 * 3 + 5] = 3.0;
        let map = HeatMap { values, height: 7, width: 7 };
        let picture = overlay(&[100; 70 * 70 * 3], [70, 70], &map);
        let brightest =
            picture.enumerate_pixels().max_by(|a, b| lightness(a.2.0).total_cmp(&lightness(b.2.0))).unwrap();
        assert!((50..60).contains(&brightest.0) && (30..40).contains(&brightest.1), "{brightest:?}");
        let empty = overlay(&[100; 12], [2, 2], &HeatMap { values: vec![0.0; 4], height: 2, width: 2 });
        assert_eq!(empty.get_pixel(0, 0).0, [84, 51, 92]);
    }
}
