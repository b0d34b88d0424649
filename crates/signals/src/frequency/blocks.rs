//! Statistics of JPEG's blocks of 8 x 8 pixels: their edges, and their DCT coefficients.

use std::f64::consts::PI;
use std::sync::LazyLock;

use super::features::Features;
use super::planes::{PLANE_NAMES, Plane, Window, sum};

/// The side of a block in pixels.
const SIDE: usize = 8;

/// Keeps logarithms of flat images finite, in levels.
const FLOOR: f64 = 0.05;

/// The number of groups of coefficients with the same sum of frequencies in x and y, without the mean.
const DIAGONALS: usize = 2 * (SIDE - 1);

pub(super) fn describe(window: &Window, features: &mut Features) {
    let mut grid = [0, 0];
    for (plane, (values, name)) in window.planes.iter().zip(PLANE_NAMES).enumerate() {
        let columns = Edges::of(&column_edges(values));
        let rows = Edges::of(&row_edges(values));
        if plane == 0 {
            grid = [columns.phase, rows.phase];
        }
        features.push_f64((columns.first + rows.first) / 2.0, || format!("{name}: block edges"));
        features.push_f64((columns.second + rows.second) / 2.0, || format!("{name}: second grid of block edges"));
    }
    for (plane, (values, name)) in window.planes.iter().zip(PLANE_NAMES).enumerate() {
        Coefficients::of(values, grid).describe(name, plane == 0, features);
    }
}

/// The strength of edges between blocks.
struct Edges {
    /// The distance of the strongest grid's first line from the start of the window.
    phase: usize,
    /// The log ratio of the edges on the strongest grid to those on the other grids.
    first: f64,
    /// The log ratio of the second strongest grid to those that remain. It shows that an image was saved, cropped and
    /// saved again.
    second: f64,
}

impl Edges {
    /// Finds the grids. `means` has the mean strength of the edges before the columns or rows of each phase.
    fn of(means: &[f64; SIDE]) -> Edges {
        let mut order: [usize; SIDE] = std::array::from_fn(|phase| phase);
        order.sort_by(|&a, &b| means[b].total_cmp(&means[a]));
        let mean = |phases: &[usize]| phases.iter().map(|&phase| means[phase]).sum::<f64>() / phases.len() as f64;
        let ratio = |phase: usize, others: &[usize]| ((means[phase] + FLOOR) / (mean(others) + FLOOR)).ln();
        Edges { phase: order[0], first: ratio(order[0], &order[1..]), second: ratio(order[1], &order[2..]) }
    }
}

/// Returns the mean magnitude of the third difference across the boundary before each column, by column modulo 8.
fn column_edges(plane: &Plane) -> [f64; SIDE] {
    let mut strengths = vec![0.0_f32; plane.width - 3];
    for row in plane.rows() {
        for (strength, four) in strengths.iter_mut().zip(row.windows(4)) {
            *strength += third_difference(four[0], four[1], four[2], four[3]);
        }
    }
    by_phase(strengths.into_iter().map(f64::from), plane.height)
}

/// Returns the mean magnitude of the third difference across the boundary before each row, by row modulo 8.
fn row_edges(plane: &Plane) -> [f64; SIDE] {
    let mut differences = vec![0.0; plane.width];
    let strengths = (0..plane.height - 3).map(|y| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|offset| plane.row(y + offset));
        for x in 0..plane.width {
            differences[x] = third_difference(a[x], b[x], c[x], d[x]);
        }
        sum(&differences, |value| value)
    });
    by_phase(strengths.collect::<Vec<f64>>().into_iter(), plane.width)
}

fn third_difference(a: f32, b: f32, c: f32, d: f32) -> f32 {
    (3.0 * (c - b) - (d - a)).abs()
}

/// Averages strengths of boundaries. The first one is between pixels 1 and 2.
fn by_phase(strengths: impl Iterator<Item = f64>, length: usize) -> [f64; SIDE] {
    let (mut sums, mut counts) = ([0.0; SIDE], [0.0; SIDE]);
    for (boundary, strength) in (2..).zip(strengths) {
        sums[boundary % SIDE] += strength;
        counts[boundary % SIDE] += length as f64;
    }
    std::array::from_fn(|phase| sums[phase] / counts[phase])
}

/// The cosines of the orthonormal DCT-II, `[frequency, position]`.
static COSINES: LazyLock<[[f32; SIDE]; SIDE]> = LazyLock::new(|| {
    std::array::from_fn(|frequency| {
        let scale = if frequency == 0 { (1.0 / SIDE as f64).sqrt() } else { (2.0 / SIDE as f64).sqrt() };
        let angle = |position: usize| PI * (position as f64 + 0.5) * frequency as f64 / SIDE as f64;
        std::array::from_fn(|position| (scale * angle(position).cos()) as f32)
    })
});

/// Computes the orthonormal two-dimensional DCT-II of a block, `[y, x]`. The result is `[frequency y, frequency x]`.
fn dct(block: &[[f32; SIDE]; SIDE]) -> [[f32; SIDE]; SIDE] {
    let cosines = &*COSINES;
    // Columns first, all eight at once.
    let mut columns = [[0.0_f32; SIDE]; SIDE];
    for (frequency, out) in columns.iter_mut().enumerate() {
        for (y, row) in block.iter().enumerate() {
            for x in 0..SIDE {
                out[x] += cosines[frequency][y] * row[x];
            }
        }
    }
    let mut result = [[0.0_f32; SIDE]; SIDE];
    for (row, out) in columns.iter().zip(&mut result) {
        for (x, &value) in row.iter().enumerate() {
            for frequency in 0..SIDE {
                out[frequency] += cosines[frequency][x] * value;
            }
        }
    }
    result
}

/// Sums over the blocks of a plane for each coefficient.
struct Coefficients {
    blocks: f64,
    magnitudes: [f64; SIDE * SIDE],
    squares: [f64; SIDE * SIDE],
    /// The number of coefficients below 1 level.
    small: [u32; SIDE * SIDE],
    /// The number of coefficients, except means, with each first decimal digit.
    digits: [u32; 10],
}

/// The first decimal digit of numbers below 2048, the largest coefficient.
static FIRST_DIGITS: LazyLock<[u8; 2048]> = LazyLock::new(|| {
    std::array::from_fn(|number| {
        let mut number = number;
        while number >= 10 {
            number /= 10;
        }
        number as u8
    })
});

impl Coefficients {
    /// Computes the coefficients of the blocks on a grid.
    fn of(plane: &Plane, [left, top]: [usize; 2]) -> Coefficients {
        let mut sums = Coefficients {
            blocks: 0.0,
            magnitudes: [0.0; SIDE * SIDE],
            squares: [0.0; SIDE * SIDE],
            small: [0; SIDE * SIDE],
            digits: [0; 10],
        };
        let first_digits = &*FIRST_DIGITS;
        for y in (top..=plane.height - SIDE).step_by(SIDE) {
            let (mut magnitudes, mut squares) = ([0.0_f32; SIDE * SIDE], [0.0_f32; SIDE * SIDE]);
            for x in (left..=plane.width - SIDE).step_by(SIDE) {
                let block: [[f32; SIDE]; SIDE] = std::array::from_fn(|row| {
                    let row = &plane.row(y + row)[x..][..SIDE];
                    std::array::from_fn(|column| row[column])
                });
                let coefficients = dct(&block);
                let coefficients = coefficients.as_flattened();
                for i in 0..SIDE * SIDE {
                    magnitudes[i] += coefficients[i].abs();
                    squares[i] += coefficients[i] * coefficients[i];
                    sums.small[i] += u32::from(coefficients[i].abs() < 1.0);
                }
                for value in &coefficients[1..] {
                    let whole = (value.abs() as usize).min(first_digits.len() - 1);
                    sums.digits[usize::from(first_digits[whole])] += 1;
                }
                sums.blocks += 1.0;
            }
            for i in 0..SIDE * SIDE {
                sums.magnitudes[i] += f64::from(magnitudes[i]);
                sums.squares[i] += f64::from(squares[i]);
            }
        }
        sums
    }

    /// Appends the features of a plane; for luma, also those of single coefficients and of first digits.
    fn describe(&self, name: &str, is_luma: bool, features: &mut Features) {
        let mean = |sums: &[f64; SIDE * SIDE], i: usize| sums[i] / self.blocks;
        let mut logs: [f64; SIDE * SIDE] = std::array::from_fn(|i| (mean(&self.magnitudes, i) + FLOOR).ln());
        // Relative to the mean over the coefficients, so that the contrast of the content cancels.
        let level = logs[1..].iter().sum::<f64>() / (SIDE * SIDE - 1) as f64;
        logs.iter_mut().for_each(|log| *log -= level);
        let by_diagonal = |of: &dyn Fn(usize) -> f64| -> [f64; DIAGONALS] {
            let (mut sums, mut counts) = ([0.0; DIAGONALS], [0.0; DIAGONALS]);
            for i in 1..SIDE * SIDE {
                sums[i / SIDE + i % SIDE - 1] += of(i);
                counts[i / SIDE + i % SIDE - 1] += 1.0;
            }
            std::array::from_fn(|diagonal| sums[diagonal] / counts[diagonal])
        };
        if is_luma {
            for (i, &log) in logs.iter().enumerate().skip(1) {
                features.push_f64(log, || format!("{name} DCT: log magnitude at ({}, {})", i % SIDE, i / SIDE));
            }
            let shape = |i: usize| {
                let magnitude = mean(&self.magnitudes, i);
                ((mean(&self.squares, i) + FLOOR) / (magnitude * magnitude + FLOOR)).ln()
            };
            for (diagonal, value) in (1..).zip(by_diagonal(&shape)) {
                features.push_f64(value, || format!("{name} DCT: log kurtosis at frequency {diagonal}"));
            }
            let digits = f64::from(self.digits[1..].iter().sum::<u32>()) + 1.0;
            for (digit, &count) in self.digits.iter().enumerate().skip(1) {
                features.push_f64(f64::from(count) / digits, || format!("{name} DCT: share of first digit {digit}"));
            }
        } else {
            for (diagonal, value) in (1..).zip(by_diagonal(&|i| logs[i])) {
                features.push_f64(value, || format!("{name} DCT: log magnitude at frequency {diagonal}"));
            }
        }
        let small = by_diagonal(&|i| f64::from(self.small[i]) / self.blocks);
        for (diagonal, value) in (1..).zip(small) {
            features.push_f64(value, || format!("{name} DCT: share below 1 level at frequency {diagonal}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dct_keeps_energy_and_separates_cosines() {
        let block: [[f32; SIDE]; SIDE] =
            std::array::from_fn(|y| std::array::from_fn(|x| ((x * 31 + y * 17) % 50) as f32));
        let energy = |block: &[[f32; SIDE]; SIDE]| block.as_flattened().iter().map(|value| value * value).sum::<f32>();
        assert!((energy(&block) / energy(&dct(&block)) - 1.0).abs() < 1e-5);
        let wave: [[f32; SIDE]; SIDE] = std::array::from_fn(|y| std::array::from_fn(|x| COSINES[2][y] * COSINES[5][x]));
        for (i, value) in dct(&wave).as_flattened().iter().enumerate() {
            assert!((value - f32::from(u8::from(i == 2 * SIDE + 5))).abs() < 1e-5, "{i}: {value}");
        }
    }

    #[test]
    fn finds_the_grid_of_blocks() {
        for [left, top] in [[0, 0], [3, 5], [7, 1]] {
            let level = |x: usize, y: usize| (((x + 8 - left) / 8 * 37 + (y + 8 - top) / 8 * 91) % 60) as f32;
            let values = (0..64 * 64).map(|i| level(i % 64, i / 64) + (i % 7) as f32 * 0.1).collect();
            let plane = Plane { width: 64, height: 64, values };
            let (columns, rows) = (Edges::of(&column_edges(&plane)), Edges::of(&row_edges(&plane)));
            assert_eq!([columns.phase, rows.phase], [left, top]);
            assert!(columns.first > 1.0 && rows.first > 1.0);
        }
    }
}
