//! Bayer mosaics and demosaicing.

use super::radiance::Radiance;

/// The values of photosites, row-major `[height, width]`, in the pattern RGGB: red at even rows and columns, blue at
/// odd rows and columns, green elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mosaic {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) values: Vec<f32>,
}

const RED: usize = 0;
const GREEN: usize = 1;
const BLUE: usize = 2;

/// Returns the colour channel of a photosite.
fn channel(x: usize, y: usize) -> usize {
    match (y % 2, x % 2) {
        (0, 0) => RED,
        (1, 1) => BLUE,
        _ => GREEN,
    }
}

impl Mosaic {
    /// Samples an image at the photosites.
    pub(super) fn of(picture: &Radiance) -> Self {
        let values = picture.samples.iter().enumerate().map(|(i, sample)| {
            let (x, y) = (i % picture.width, i / picture.width);
            sample[channel(x, y)]
        });
        Self { width: picture.width, height: picture.height, values: values.collect() }
    }

    /// Returns the value at a position. Positions outside the mosaic are mirrored at the edge samples, which preserves
    /// the Bayer pattern.
    fn mirrored(&self, x: isize, y: isize) -> f32 {
        self.values[mirror(y, self.height) * self.width + mirror(x, self.width)]
    }

    /// Applies a symmetric 5 x 5 kernel at a photosite.
    fn filter(&self, x: usize, y: usize, kernel: &Kernel) -> f32 {
        let (x, y) = (x as isize, y as isize);
        let mut sum = 0.0;
        for &(dx, dy, weight) in kernel.taps {
            sum += weight * self.mirrored(x + dx, y + dy);
        }
        sum / 8.0
    }
}

fn mirror(position: isize, length: usize) -> usize {
    let last = length as isize - 1;
    let position = position.abs();
    (if position > last { 2 * last - position } else { position }) as usize
}

/// A filter, given by its non-zero taps: column, row, weight in eighths.
struct Kernel {
    taps: &'static [(isize, isize, f32)],
}

/// Interpolates green at a red or blue photosite.
const GREEN_AT_COLOUR: Kernel = Kernel {
    taps: &[
        (0, 0, 4.0),
        (-1, 0, 2.0),
        (1, 0, 2.0),
        (0, -1, 2.0),
        (0, 1, 2.0),
        (-2, 0, -1.0),
        (2, 0, -1.0),
        (0, -2, -1.0),
        (0, 2, -1.0),
    ],
};

/// Interpolates a colour at a green photosite with neighbours of that colour in its row.
const COLOUR_IN_ROW: Kernel = Kernel {
    taps: &[
        (0, 0, 5.0),
        (-1, 0, 4.0),
        (1, 0, 4.0),
        (-2, 0, -1.0),
        (2, 0, -1.0),
        (-1, -1, -1.0),
        (1, -1, -1.0),
        (-1, 1, -1.0),
        (1, 1, -1.0),
        (0, -2, 0.5),
        (0, 2, 0.5),
    ],
};

/// Interpolates a colour at a green photosite with neighbours of that colour in its column.
const COLOUR_IN_COLUMN: Kernel = Kernel {
    taps: &[
        (0, 0, 5.0),
        (0, -1, 4.0),
        (0, 1, 4.0),
        (0, -2, -1.0),
        (0, 2, -1.0),
        (-1, -1, -1.0),
        (1, -1, -1.0),
        (-1, 1, -1.0),
        (1, 1, -1.0),
        (-2, 0, 0.5),
        (2, 0, 0.5),
    ],
};

/// Interpolates red at a blue photosite and blue at a red one.
const COLOUR_AT_OTHER: Kernel = Kernel {
    taps: &[
        (0, 0, 6.0),
        (-1, -1, 2.0),
        (1, -1, 2.0),
        (-1, 1, 2.0),
        (1, 1, 2.0),
        (-2, 0, -1.5),
        (2, 0, -1.5),
        (0, -2, -1.5),
        (0, 2, -1.5),
    ],
};

/// Interpolates the missing colours of each photosite with the linear filters of H. S. Malvar, L. He, R. Cutler,
/// "High-quality linear interpolation for demosaicing of Bayer-patterned color images", 2004, figure 2.
pub(super) fn malvar(mosaic: &Mosaic) -> Radiance {
    Radiance::from_fn(mosaic.width, mosaic.height, |x, y| {
        let sampled = mosaic.values[y * mosaic.width + x];
        let estimate = |kernel| mosaic.filter(x, y, kernel);
        match (channel(x, y), y % 2) {
            (RED, _) => [sampled, estimate(&GREEN_AT_COLOUR), estimate(&COLOUR_AT_OTHER)],
            (BLUE, _) => [estimate(&COLOUR_AT_OTHER), estimate(&GREEN_AT_COLOUR), sampled],
            // Green photosites. Even rows have red and green, odd rows green and blue.
            (_, 0) => [estimate(&COLOUR_IN_ROW), sampled, estimate(&COLOUR_IN_COLUMN)],
            _ => [estimate(&COLOUR_IN_COLUMN), sampled, estimate(&COLOUR_IN_ROW)],
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_keep_the_mean() {
        for kernel in [&GREEN_AT_COLOUR, &COLOUR_IN_ROW, &COLOUR_IN_COLUMN, &COLOUR_AT_OTHER] {
            let sum: f32 = kernel.taps.iter().map(|tap| tap.2).sum();
            assert_eq!(sum, 8.0);
        }
    }

    #[test]
    fn preserves_a_uniform_grey() {
        let grey = Radiance::from_fn(6, 8, |_, _| [0.4; 3]);
        for sample in malvar(&Mosaic::of(&grey)).samples {
            assert!(sample.iter().all(|v| (v - 0.4).abs() < 1e-6));
        }
    }

    #[test]
    fn preserves_a_grey_ramp_away_from_the_edges() {
        let ramp = Radiance::from_fn(12, 12, |x, y| [0.02 * x as f32 + 0.03 * y as f32; 3]);
        let developed = malvar(&Mosaic::of(&ramp));
        for y in 2..10 {
            for x in 2..10 {
                let (sample, expected) = (developed.samples[y * 12 + x], ramp.samples[y * 12 + x]);
                for (value, expected) in sample.iter().zip(expected) {
                    assert!((value - expected).abs() < 1e-5, "({x}, {y})");
                }
            }
        }
    }

    #[test]
    fn keeps_the_sampled_channel() {
        let picture = Radiance::from_fn(4, 4, |x, y| [x as f32, y as f32, (x * y) as f32]);
        let mosaic = Mosaic::of(&picture);
        let developed = malvar(&mosaic);
        for y in 0..4 {
            for x in 0..4 {
                let i = y * 4 + x;
                assert_eq!(developed.samples[i][channel(x, y)], mosaic.values[i]);
            }
        }
    }
}
