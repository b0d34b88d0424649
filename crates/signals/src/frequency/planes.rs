//! The analysed window as planes of numbers, and their residuals.

use pixels::RgbImage;

use crate::residual::median_of_nine;

/// The side of a tile in pixels.
pub(super) const TILE: usize = 64;

/// The number of planes: luma, blue difference, red difference.
pub(super) const PLANES: usize = 3;

/// The names of the planes.
pub(super) const PLANE_NAMES: [&str; PLANES] = ["luma", "blue difference", "red difference"];

/// A matrix of numbers, row-major `[height, width]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plane {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<f32>,
}

impl Plane {
    pub(super) fn row(&self, y: usize) -> &[f32] {
        &self.values[y * self.width..][..self.width]
    }

    pub(super) fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.width)
    }

    /// Computes a plane of the same shape, row by row. `fill` gets the row above, the row and the row below, each with
    /// one more value at both ends, and writes the row of the result. Values outside the plane repeat the nearest one.
    fn filtered(&self, fill: impl Fn([&[f32]; 3], &mut [f32])) -> Plane {
        let padded: Vec<Vec<f32>> = self.rows().map(|row| [&row[..1], row, &row[self.width - 1..]].concat()).collect();
        let mut values = vec![0.0; self.values.len()];
        for (y, out) in values.chunks_exact_mut(self.width).enumerate() {
            let (above, below) = (&padded[y.saturating_sub(1)], &padded[(y + 1).min(self.height - 1)]);
            fill([above, &padded[y], below], out);
        }
        Plane { values, ..*self }
    }

    /// Returns the sum of the four neighbours minus four times the value.
    pub(super) fn laplacian(&self) -> Plane {
        self.filtered(|[above, row, below], out| {
            let width = out.len();
            let (left, centre, right) = (&row[..width], &row[1..=width], &row[2..width + 2]);
            let (above, below) = (&above[1..=width], &below[1..=width]);
            for x in 0..width {
                out[x] = above[x] + below[x] + left[x] + right[x] - 4.0 * centre[x];
            }
        })
    }

    /// Returns the difference to the median of the 3x3 neighbourhood.
    pub(super) fn median_residual(&self) -> Plane {
        self.filtered(|rows, out| {
            let width = out.len();
            let [a, b, c] = rows.map(|row| [&row[..width], &row[1..=width], &row[2..width + 2]]);
            for x in 0..width {
                let median =
                    median_of_nine([a[0][x], a[1][x], a[2][x], b[0][x], b[1][x], b[2][x], c[0][x], c[1][x], c[2][x]]);
                out[x] = b[1][x] - median;
            }
        })
    }
}

/// The analysed window of an image.
pub(super) struct Window {
    /// Luma, blue difference and red difference.
    pub(super) planes: [Plane; PLANES],
    pub(super) laplacians: [Plane; PLANES],
    pub(super) medians: [Plane; PLANES],
}

impl Window {
    /// Cuts the central window with sides of at most `max_side` pixels.
    pub(super) fn central(image: &RgbImage, max_side: u32) -> Window {
        let planes = central_planes(image, max_side);
        let laplacians = std::array::from_fn(|plane| planes[plane].laplacian());
        let medians = std::array::from_fn(|plane| planes[plane].median_residual());
        Window { planes, laplacians, medians }
    }
}

/// Converts the central window with sides of at most `max_side` pixels to luma and colour differences, which are those
/// of JFIF without offset and rounding.
pub(super) fn central_planes(image: &RgbImage, max_side: u32) -> [Plane; PLANES] {
    let (width, height) = (image.width().min(max_side) as usize, image.height().min(max_side) as usize);
    let (left, top) = ((image.width() as usize - width) / 2, (image.height() as usize - height) / 2);
    let empty = || Plane { width, height, values: vec![0.0; width * height] };
    let mut planes = [empty(), empty(), empty()];
    let [luma, blue, red] = &mut planes;
    let rows = image.data().chunks_exact(image.width() as usize * 3).skip(top).take(height);
    for (y, row) in rows.enumerate() {
        let (pixels, _) = row[left * 3..][..width * 3].as_chunks::<3>();
        let start = y * width;
        let (luma, blue, red) =
            (&mut luma.values[start..][..width], &mut blue.values[start..][..width], &mut red.values[start..][..width]);
        for (x, pixel) in pixels.iter().enumerate() {
            let [r, g, b] = pixel.map(f32::from);
            let y = 0.299 * r + 0.587 * g + 0.114 * b;
            luma[x] = y;
            blue[x] = (b - y) * 0.564;
            red[x] = (r - y) * 0.713;
        }
    }
    planes
}

/// Lanes of a sum, so that the compiler can use vector instructions and the order of additions is fixed.
const LANES: usize = 16;

/// Sums a function of the values of one row.
pub(super) fn sum(row: &[f32], of: impl Fn(f32) -> f32) -> f64 {
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += of(value);
        }
    }
    total(lanes) + rest.iter().map(|&value| f64::from(of(value))).sum::<f64>()
}

/// Sums the products of two rows of the same length.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let (chunks, rest) = a.as_chunks::<LANES>();
    let (others, other_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for (a, b) in chunks.iter().zip(others) {
        for (lane, (&a, &b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
    total(lanes) + rest.iter().zip(other_rest).map(|(&a, &b)| f64::from(a * b)).sum::<f64>()
}

/// Sums the magnitudes, third powers and fourth powers of the values of one row.
pub(super) fn moments(row: &[f32]) -> [f64; 3] {
    let powers = |value: f32| {
        let square = value * value;
        [value.abs(), square * value, square * square]
    };
    let (chunks, rest) = row.as_chunks::<LANES>();
    let mut lanes = [[0.0_f32; LANES]; 3];
    for chunk in chunks {
        for (lane, &value) in chunk.iter().enumerate() {
            for (sums, power) in lanes.iter_mut().zip(powers(value)) {
                sums[lane] += power;
            }
        }
    }
    let mut sums = lanes.map(total);
    for &value in rest {
        for (sum, power) in sums.iter_mut().zip(powers(value)) {
            *sum += f64::from(power);
        }
    }
    sums
}

fn total(lanes: [f32; LANES]) -> f64 {
    lanes.into_iter().map(f64::from).sum()
}
