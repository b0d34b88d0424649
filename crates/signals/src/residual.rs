//! High-pass residuals of windows: what remains when the content is removed.
//!
//! A residual is stored as bytes, as networks take images: `128 + scale * value`, rounded and clamped to 0 to 255. The
//! scales are chosen so that only strong edges are clamped. Pixels outside the window repeat its nearest pixel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The residual that a network sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Residual {
    /// The pixels themselves.
    None,
    /// Three filters of the spatial rich model (Fridrich and Kodovsky 2012), as chosen by Zhou et al. 2018 (arXiv
    /// 1805.04953), on the mean of the three colours. A channel for each filter: second differences in a 3x3 and in a
    /// 5x5 neighbourhood, and horizontal second differences. One level is 4 steps.
    #[default]
    Srm,
    /// The difference to the median of the 3x3 neighbourhood, for each colour. One level is 4 steps.
    Median,
    /// The mean of the three colours minus that of the right, the lower and the lower right neighbour. A channel for
    /// each neighbour. One level is 2 steps.
    Neighbours,
    /// The difference to the top left pixel of each 2x2 cell, for each colour: the neighbouring pixel relationships of
    /// Tan et al. 2024 (arXiv 2312.10461). One level is 2 steps.
    Npr,
}

impl Residual {
    /// All residuals.
    pub const ALL: [Residual; 5] =
        [Residual::None, Residual::Srm, Residual::Median, Residual::Neighbours, Residual::Npr];

    /// Returns the name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Residual::None => "none",
            Residual::Srm => "srm",
            Residual::Median => "median",
            Residual::Neighbours => "neighbours",
            Residual::Npr => "npr",
        }
    }

    /// Computes the residual of a window. `pixels` is RGB, `[side, side, 3]`; the result has the same shape.
    ///
    /// # Panics
    /// If `pixels` does not have `side * side * 3` bytes, or `side` is 0.
    pub fn of(self, pixels: &[u8], side: usize) -> Vec<u8> {
        assert!(side > 0 && pixels.len() == side * side * 3, "a window has side x side x 3 bytes");
        match self {
            Residual::None => pixels.to_vec(),
            Residual::Srm => srm(pixels, side),
            Residual::Median => median(pixels, side),
            Residual::Neighbours => neighbours(pixels, side),
            Residual::Npr => npr(pixels, side),
        }
    }
}

impl std::fmt::Display for Residual {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Pixels on each side of the centre of the largest SRM filter.
const SRM_RADIUS: usize = 2;

fn srm(pixels: &[u8], side: usize) -> Vec<u8> {
    let padded = padded_sums(pixels, side, SRM_RADIUS);
    let width = side + 2 * SRM_RADIUS;
    let mut result = vec![0; pixels.len()];
    let mut values = vec![[0; 3]; side];
    for (y, out) in result.chunks_exact_mut(side * 3).enumerate() {
        let rows: [&[i32]; 5] = std::array::from_fn(|row| &padded[(y + row) * width..][..width]);
        // The filters are symmetric, so that rows at the same distance from the centre are added first.
        let [mut far, mut near, mut centre] = [[0_i32; 5]; 3];
        for (x, value) in values.iter_mut().enumerate() {
            for column in 0..5 {
                far[column] = rows[0][x + column] + rows[4][x + column];
                near[column] = rows[1][x + column] + rows[3][x + column];
                centre[column] = rows[2][x + column];
            }
            let small = -near[1] + 2 * near[2] - near[3] + 2 * centre[1] - 4 * centre[2] + 2 * centre[3];
            let large = -far[0] + 2 * far[1] - 2 * far[2] + 2 * far[3] - far[4] + 2 * near[0] - 6 * near[1]
                + 8 * near[2]
                - 6 * near[3]
                + 2 * near[4]
                - 2 * centre[0]
                + 8 * centre[1]
                - 12 * centre[2]
                + 8 * centre[3]
                - 2 * centre[4];
            let horizontal = centre[1] - 2 * centre[2] + centre[3];
            *value = [small, large, horizontal];
        }
        // The filters have the factors 1/4, 1/12 and 1/2, the mean of three colours 1/3, and a level is 4 steps.
        for (out, value) in out.iter_mut().zip(
            values
                .as_flattened()
                .chunks_exact(3)
                .flat_map(|value| [value[0] as f32 / 3.0, value[1] as f32 / 9.0, value[2] as f32 * (2.0 / 3.0)]),
        ) {
            *out = to_byte(value);
        }
    }
    result
}

fn median(pixels: &[u8], side: usize) -> Vec<u8> {
    let stride = side * 3;
    let mut result = vec![0; pixels.len()];
    // Each line has a repeated pixel at both ends.
    let padded_line = |y: usize, line: &mut Vec<u8>| {
        let source = &pixels[y * stride..][..stride];
        line.clear();
        line.extend_from_slice(&source[..3]);
        line.extend_from_slice(source);
        line.extend_from_slice(&source[stride - 3..]);
    };
    let mut lines = [const { Vec::new() }; 3];
    for (y, out) in result.chunks_exact_mut(stride).enumerate() {
        for (line, offset) in lines.iter_mut().zip(0..) {
            padded_line((y + offset).saturating_sub(1).min(side - 1), line);
        }
        let [above, line, below] = &lines;
        for (i, out) in out.iter_mut().enumerate() {
            let centre = line[i + 3];
            let median = median_of_nine([
                above[i],
                above[i + 3],
                above[i + 6],
                line[i],
                centre,
                line[i + 6],
                below[i],
                below[i + 3],
                below[i + 6],
            ]);
            *out = (128 + 4 * (i16::from(centre) - i16::from(median))).clamp(0, 255) as u8;
        }
    }
    result
}

/// Returns the median, by the exchanges of Paeth (Graphics Gems, 1990): sort columns, then compare among them.
pub(crate) fn median_of_nine<T: Ordered>(values: [T; 9]) -> T {
    let [a, b, c, d, e, f, g, h, i] = values;
    let [a, d, g] = sorted(a, d, g);
    let [b, e, h] = sorted(b, e, h);
    let [c, f, i] = sorted(c, f, i);
    let largest_minimum = a.larger(b).larger(c);
    let [_, middle, _] = sorted(d, e, f);
    let smallest_maximum = g.smaller(h).smaller(i);
    let [_, median, _] = sorted(largest_minimum, middle, smallest_maximum);
    median
}

fn sorted<T: Ordered>(a: T, b: T, c: T) -> [T; 3] {
    let (a, b) = (a.smaller(b), a.larger(b));
    let (b, c) = (b.smaller(c), b.larger(c));
    [a.smaller(b), a.larger(b), c]
}

/// Numbers whose minimum and maximum the compiler turns into single instructions.
pub(crate) trait Ordered: Copy {
    fn smaller(self, other: Self) -> Self;
    fn larger(self, other: Self) -> Self;
}

impl Ordered for u8 {
    fn smaller(self, other: u8) -> u8 {
        self.min(other)
    }

    fn larger(self, other: u8) -> u8 {
        self.max(other)
    }
}

impl Ordered for f32 {
    fn smaller(self, other: f32) -> f32 {
        if self < other { self } else { other }
    }

    fn larger(self, other: f32) -> f32 {
        if self > other { self } else { other }
    }
}

fn neighbours(pixels: &[u8], side: usize) -> Vec<u8> {
    let padded = padded_sums(pixels, side, 1);
    let width = side + 2;
    let mut result = vec![0; pixels.len()];
    for (y, out) in result.chunks_exact_mut(side * 3).enumerate() {
        let (line, below) = (&padded[(y + 1) * width..][..width], &padded[(y + 2) * width..][..width]);
        for (x, out) in out.chunks_exact_mut(3).enumerate() {
            let centre = line[x + 1];
            for (out, neighbour) in out.iter_mut().zip([line[x + 2], below[x + 1], below[x + 2]]) {
                *out = to_byte((centre - neighbour) as f32 * (2.0 / 3.0));
            }
        }
    }
    result
}

fn npr(pixels: &[u8], side: usize) -> Vec<u8> {
    let stride = side * 3;
    let mut result = vec![0; pixels.len()];
    for (y, (out, line)) in result.chunks_exact_mut(stride).zip(pixels.chunks_exact(stride)).enumerate() {
        let corners = &pixels[y / 2 * 2 * stride..][..stride];
        for ((out, pixels), corner) in out.chunks_mut(6).zip(line.chunks(6)).zip(corners.chunks(6)) {
            for (i, (out, &pixel)) in out.iter_mut().zip(pixels).enumerate() {
                *out = (128 + 2 * (i16::from(pixel) - i16::from(corner[i % 3]))).clamp(0, 255) as u8;
            }
        }
    }
    result
}

/// Returns the sums of the three colours, `[side + 2 * radius, side + 2 * radius]`, with repeated edges.
fn padded_sums(pixels: &[u8], side: usize, radius: usize) -> Vec<i32> {
    let width = side + 2 * radius;
    let mut sums = Vec::with_capacity(width * width);
    for y in 0..width {
        let line = &pixels[y.saturating_sub(radius).min(side - 1) * side * 3..][..side * 3];
        let sum = |x: usize| line[3 * x..3 * x + 3].iter().map(|&byte| i32::from(byte)).sum::<i32>();
        sums.extend(std::iter::repeat_n(sum(0), radius));
        sums.extend(line.as_chunks::<3>().0.iter().map(|&[r, g, b]| i32::from(r) + i32::from(g) + i32::from(b)));
        sums.extend(std::iter::repeat_n(sum(side - 1), radius));
    }
    sums
}

fn to_byte(value: f32) -> u8 {
    // A cast saturates at 0 and 255. Adding a half before truncation rounds; halves do not occur.
    (value + 128.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRM: [([[i32; 5]; 5], f64); 3] = [
        ([[0, 0, 0, 0, 0], [0, -1, 2, -1, 0], [0, 2, -4, 2, 0], [0, -1, 2, -1, 0], [0, 0, 0, 0, 0]], 4.0),
        ([[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]], 12.0),
        ([[0; 5], [0; 5], [0, 1, -2, 1, 0], [0; 5], [0; 5]], 2.0),
    ];

    /// Makes a window of structure and noise, or of pure black and white noise if `extreme`.
    fn window(side: usize, extreme: bool) -> Vec<u8> {
        let mut state = 7_u32;
        (0..side * side * 3)
            .map(|i| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if extreme { ((state >> 31) * 255) as u8 } else { (100 + i / side % 50 + (state >> 27) as usize) as u8 }
            })
            .collect()
    }

    /// Returns a sample of a window whose edges are repeated.
    fn at(pixels: &[u8], side: usize, y: i64, x: i64, channel: usize) -> i32 {
        let [y, x] = [y, x].map(|at| at.clamp(0, side as i64 - 1) as usize);
        i32::from(pixels[(y * side + x) * 3 + channel])
    }

    /// Computes one value of a residual from its definition, in levels.
    fn value(residual: Residual, pixels: &[u8], side: usize, y: i64, x: i64, channel: usize) -> f64 {
        let colour = |y, x, channel| f64::from(at(pixels, side, y, x, channel));
        let mean = |y, x| (0..3).map(|channel| colour(y, x, channel)).sum::<f64>() / 3.0;
        match residual {
            Residual::None => unreachable!(),
            Residual::Srm => {
                let (kernel, divisor) = SRM[channel];
                let terms = (0..5).flat_map(|i| (0..5).map(move |j| (i, j)));
                let sum: f64 =
                    terms.map(|(i, j)| f64::from(kernel[i][j]) * mean(y + i as i64 - 2, x + j as i64 - 2)).sum();
                4.0 * sum / divisor
            }
            Residual::Median => {
                let mut nine: Vec<i32> = (-1..=1)
                    .flat_map(|dy| (-1..=1).map(move |dx| (dy, dx)))
                    .map(|(dy, dx)| at(pixels, side, y + dy, x + dx, channel))
                    .collect();
                nine.sort_unstable();
                4.0 * (colour(y, x, channel) - f64::from(nine[4]))
            }
            Residual::Neighbours => {
                let [dy, dx] = [[0, 1], [1, 0], [1, 1]][channel];
                2.0 * (mean(y, x) - mean(y + dy, x + dx))
            }
            Residual::Npr => 2.0 * (colour(y, x, channel) - colour(y / 2 * 2, x / 2 * 2, channel)),
        }
    }

    #[test]
    fn residuals_equal_their_definitions() {
        for residual in [Residual::Srm, Residual::Median, Residual::Neighbours, Residual::Npr] {
            for (side, extreme) in [(1, false), (2, false), (9, false), (16, false), (16, true)] {
                let pixels = window(side, extreme);
                let computed = residual.of(&pixels, side);
                assert_eq!(computed.len(), pixels.len());
                for (i, &byte) in computed.iter().enumerate() {
                    let [y, x] = [i / 3 / side, i / 3 % side].map(|at| at as i64);
                    let expected = (128.0 + value(residual, &pixels, side, y, x, i % 3)).round().clamp(0.0, 255.0);
                    assert_eq!(f64::from(byte), expected, "{residual} at {i} of side {side}");
                }
            }
        }
        assert_eq!(Residual::None.of(&window(4, false), 4), window(4, false));
    }

    #[test]
    fn flat_windows_have_no_residual() {
        for residual in Residual::ALL.into_iter().filter(|residual| *residual != Residual::None) {
            assert_eq!(residual.of(&[77; 8 * 8 * 3], 8), [128; 8 * 8 * 3], "{residual}");
        }
    }

    #[test]
    fn median_of_nine_is_the_middle_one() {
        let mut state = 1_u32;
        for _ in 0..1000 {
            let values: [u8; 9] = std::array::from_fn(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8 % 16
            });
            let mut sorted = values;
            sorted.sort_unstable();
            assert_eq!(median_of_nine(values), sorted[4]);
            assert_eq!(median_of_nine(values.map(f32::from)), f32::from(sorted[4]));
        }
    }

    #[test]
    fn names_are_those_of_configurations() {
        for residual in Residual::ALL {
            assert_eq!(serde_json::to_string(&residual).unwrap(), format!("\"{residual}\""));
        }
    }
}
