//! Warnings about pictures that are unlike photographs as cameras and generators save them: heavy compression,
//! enlargement, and straight edges across the picture, as in screenshots and collages.

use pixels::metadata::Compression;
use pixels::{Format, RgbImage};

/// The JPEG quality below which compression hides traces.
const LOW_QUALITY: u8 = 50;
/// The largest side of the part of a picture that is measured.
const SIDE: u32 = 1024;
/// The shortest side of a picture that is measured.
const MIN_SIDE: u32 = 64;
/// Pictures with a smaller [`detail`] look enlarged. See docs/checking.md for the error rates of this threshold.
const ENLARGED: f64 = 0.16;

/// Pictures with a larger [`straight_edge`] look put together. See docs/checking.md for the error rates of this threshold.
const PUT_TOGETHER: f64 = 0.55;
/// The largest number of columns in which an edge between two rows is looked for.
const POSITIONS: usize = 1024;
/// The smallest step of the luma at an edge, in levels of 256.
const STEP: f64 = 10.0;
/// The largest step beside an edge, relative to the step at the edge.
const BESIDE: f64 = 0.4;

/// Returns a warning for each way in which a picture is unusual.
pub(crate) fn warnings(file: &[u8], format: Format, image: &RgbImage) -> Vec<String> {
    let mut warnings = Vec::new();
    let compression = if format == Format::Jpeg { Compression::read(file) } else { None };
    if let Some(quality) = compression.map(|found| found.quality).filter(|&quality| quality < LOW_QUALITY) {
        warnings.push(format!("it is compressed strongly (JPEG quality about {quality}), which hides traces"));
    }
    if detail(image).is_some_and(|detail| detail < ENLARGED) {
        warnings.push(
            "its finest detail is as weak as in an enlarged or blurred picture; enlarging changes the traces"
                .to_owned(),
        );
    }
    if straight_edge(image).is_some_and(|share| share > PUT_TOGETHER) {
        warnings.push(
            "a straight edge runs across it, as in a screenshot, a collage or a framed picture; the verdict is one for all \
             its parts"
                .to_owned(),
        );
    }
    warnings
}

/// Returns how much of the width or height of a picture its longest straight edge takes, from 0 to 1. An edge lies between
/// two rows, or two columns, and is one pixel wide: the step from one to the other is large, and the steps before and
/// after it are small. Edges of things in photographs are rarely straight, parallel to the border and as sharp over such a
/// length. The outer twentieth of the picture is left out. `None` for pictures that are too small.
fn straight_edge(image: &RgbImage) -> Option<f64> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    if width < MIN_SIDE as usize || height < MIN_SIDE as usize {
        return None;
    }
    let luma = |x: usize, y: usize| luma(&image.data()[(y * width + x) * 3..]);
    let between_rows = longest_edge(height, width, |row, column| luma(column, row));
    let between_columns = longest_edge(width, height, luma);
    Some(between_rows.max(between_columns))
}

/// The largest share of positions along a line at which there is an edge between this line and the next.
fn longest_edge(lines: usize, positions: usize, luma: impl Fn(usize, usize) -> f64) -> f64 {
    let (border, taken) = (lines / 20, positions.min(POSITIONS));
    let mut edges = vec![0_usize; lines];
    for position in (0..taken).map(|index| index * positions / taken) {
        let mut values = [0; 4].map(|_: usize| 0.0);
        for line in 0..lines {
            values = [values[1], values[2], values[3], luma(line, position)];
            if line < 3 {
                continue;
            }
            let [before, at, after] = [0, 1, 2].map(|i: usize| (values[i + 1] - values[i]).abs());
            if at >= STEP && before <= BESIDE * at && after <= BESIDE * at {
                edges[line - 2] += 1;
            }
        }
    }
    let inner = edges.get(border.max(1)..lines - border.max(1)).unwrap_or_default();
    inner.iter().max().map_or(0.0, |&most| most as f64 / taken as f64)
}

/// The luma of a pixel, whose bytes come first.
fn luma(pixel: &[u8]) -> f64 {
    0.299 * f64::from(pixel[0]) + 0.587 * f64::from(pixel[1]) + 0.114 * f64::from(pixel[2])
}

/// Returns the energy of the finest detail of the middle of a picture, relative to that of detail half as fine: the ratio
/// of the energies of second differences of neighbours and of second neighbours, along rows and columns. Enlarging by at
/// least 2 leaves frequencies below half the highest one, for which the ratio is 1/16 to 1/4. `None` for pictures that
/// are too small or flat.
fn detail(image: &RgbImage) -> Option<f64> {
    let (width, height) = (image.width().min(SIDE), image.height().min(SIDE));
    if width < MIN_SIDE || height < MIN_SIDE {
        return None;
    }
    let (left, top) = ((image.width() - width) / 2, (image.height() - height) / 2);
    let (width, height) = (width as usize, height as usize);
    let mut values = Vec::with_capacity(width * height);
    for y in 0..height {
        let start = ((top as usize + y) * image.width() as usize + left as usize) * 3;
        let row = &image.data()[start..start + width * 3];
        values.extend(row.chunks_exact(3).map(luma));
    }
    // The sum of squares of second differences at a distance, from one end of a line to the other.
    let energy = |step: usize, distance: usize, count: usize, first: usize| {
        let value = |at: usize| values[first + at * step];
        (2..count.saturating_sub(2))
            .map(|at| (value(at - distance) - 2.0 * value(at) + value(at + distance)).powi(2))
            .sum::<f64>()
    };
    let total = |distance: usize| {
        let rows: f64 = (0..height).map(|y| energy(1, distance, width, y * width)).sum();
        let columns: f64 = (0..width).map(|x| energy(width, distance, height, x)).sum();
        rows + columns
    };
    let coarse = total(2);
    // Less than a level of difference: there is no detail to compare.
    let pixels = (width * height) as f64;
    (coarse / pixels > 1.0).then(|| total(1) / coarse)
}

#[cfg(test)]
mod tests {
    use pixels::encode::{self, Subsampling};
    use pixels::{Filter, resize_to};

    use super::*;

    /// A picture with detail of all sizes, whose amplitude falls with the frequency as in photographs.
    fn photograph(side: u32) -> RgbImage {
        let mut state = 12345_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24) - 0.5
        };
        let mut values = vec![128.0; (side * side) as usize];
        for octave in 0..6 {
            let cell = 1 << octave;
            let cells = side / cell + 2;
            let noise: Vec<f64> = (0..cells * cells).map(|_| random()).collect();
            for y in 0..side {
                for x in 0..side {
                    let at = |dx: u32, dy: u32| noise[((y / cell + dy) * cells + x / cell + dx) as usize];
                    let (fx, fy) = (f64::from(x % cell) / f64::from(cell), f64::from(y % cell) / f64::from(cell));
                    let above = at(0, 0) * (1.0 - fx) + at(1, 0) * fx;
                    let below = at(0, 1) * (1.0 - fx) + at(1, 1) * fx;
                    values[(y * side + x) as usize] += (above * (1.0 - fy) + below * fy) * 10.0 * f64::from(cell);
                }
            }
        }
        RgbImage::from_fn(side, side, |x, y| [values[(y * side + x) as usize].clamp(0.0, 255.0) as u8; 3])
    }

    #[test]
    fn tells_enlarged_pictures_from_original_ones() {
        let original = photograph(160);
        assert!(detail(&original).unwrap() > ENLARGED, "{:?}", detail(&original));
        let cases: [(Filter, &[u32]); 3] =
            [(Filter::Bicubic, &[320, 480]), (Filter::Bilinear, &[320]), (Filter::Lanczos, &[320, 480])];
        for (filter, sides) in cases {
            for &side in sides {
                let enlarged = resize_to(&original, side, side, filter).unwrap();
                assert!(detail(&enlarged).unwrap() < ENLARGED, "{filter:?} {side}: {:?}", detail(&enlarged));
            }
        }
        let small = resize_to(&photograph(200), 100, 100, Filter::Lanczos).unwrap();
        assert!(detail(&small).unwrap() > ENLARGED, "made smaller is not enlarged: {:?}", detail(&small));
    }

    #[test]
    fn flat_and_small_pictures_have_no_measurable_detail() {
        assert_eq!(detail(&RgbImage::from_fn(100, 100, |x, _| [(x / 50) as u8; 3])), None);
        assert_eq!(detail(&photograph(32)), None);
    }

    #[test]
    fn finds_the_seams_of_collages_and_frames_and_no_edge_in_a_photograph() {
        let part = photograph(128);
        let pixel = |x: u32, y: u32| {
            let at = ((y * 128 + x) * 3) as usize;
            [0, 1, 2].map(|channel: usize| part.data()[at + channel])
        };
        let other = |x: u32, y: u32| pixel(127 - x, y).map(|value| value / 2);
        let beside = RgbImage::from_fn(256, 128, |x, y| if x < 128 { pixel(x, y) } else { other(x - 128, y) });
        let above = RgbImage::from_fn(128, 256, |x, y| if y < 128 { pixel(x, y) } else { other(x, y - 128) });
        let framed = RgbImage::from_fn(176, 176, |x, y| {
            if (24..152).contains(&x) && (24..152).contains(&y) { pixel(x - 24, y - 24) } else { [0; 3] }
        });
        for (name, image) in [("beside", &beside), ("above", &above), ("framed", &framed)] {
            for quality in [95, 75] {
                let file = encode::jpeg(image, quality, Subsampling::Quarter).unwrap();
                let image = pixels::decode(&file, &pixels::Limits::default()).unwrap().rgb;
                let share = straight_edge(&image).unwrap();
                assert!(share > PUT_TOGETHER, "{name} at quality {quality}: {share}");
            }
        }
        let share = straight_edge(&part).unwrap();
        assert!(share < PUT_TOGETHER, "a photograph: {share}");
        assert_eq!(straight_edge(&photograph(32)), None);
    }

    #[test]
    fn warns_of_strong_compression() {
        let image = photograph(96);
        let file = |quality| encode::jpeg(&image, quality, Subsampling::Quarter).unwrap();
        let compressed = |quality| warnings(&file(quality), Format::Jpeg, &image);
        assert!(compressed(30)[0].contains("quality about 30"), "{:?}", compressed(30));
        assert_eq!(compressed(80), Vec::<String>::new());
    }
}
