//! Floating-point images and their filters.

/// An RGB image of floats, row-major `[height, width]`, in linear light or in display values.
#[derive(Clone, Debug, PartialEq)]
pub struct Radiance {
    /// The width in pixels.
    pub width: usize,
    /// The height in pixels.
    pub height: usize,
    /// Red, green and blue of each pixel, row by row.
    pub samples: Vec<[f32; 3]>,
}

impl Radiance {
    /// Makes an image by calling `pixel(column, row)` for each pixel, row by row.
    pub fn from_fn(width: usize, height: usize, mut pixel: impl FnMut(usize, usize) -> [f32; 3]) -> Self {
        let mut samples = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                samples.push(pixel(x, y));
            }
        }
        Self { width, height, samples }
    }

    /// Returns the sample at a position, or the nearest one if the position is outside.
    pub fn nearest(&self, x: isize, y: isize) -> [f32; 3] {
        let column = x.clamp(0, self.width as isize - 1) as usize;
        let row = y.clamp(0, self.height as isize - 1) as usize;
        self.samples[row * self.width + column]
    }

    /// Applies a function to each sample.
    pub fn map(&self, mut change: impl FnMut([f32; 3]) -> [f32; 3]) -> Self {
        Self {
            width: self.width,
            height: self.height,
            samples: self.samples.iter().map(|&sample| change(sample)).collect(),
        }
    }

    /// Averages blocks of `factor` x `factor` samples. The square photosites of a sensor do the same with light.
    pub fn block_means(&self, factor: usize) -> Self {
        let scale = 1.0 / (factor * factor) as f32;
        Self::from_fn(self.width / factor, self.height / factor, |x, y| {
            let mut sum = [0.0; 3];
            for row in y * factor..(y + 1) * factor {
                for sample in &self.samples[row * self.width + x * factor..][..factor] {
                    add_scaled(&mut sum, *sample, scale);
                }
            }
            sum
        })
    }

    /// Convolves with `kernel` along the rows and then along the columns. Edge samples are repeated.
    pub(super) fn convolve_separable(&self, kernel: &[f32]) -> Self {
        let reach = (kernel.len() / 2) as isize;
        let along = |source: &Self, step: (isize, isize)| {
            Self::from_fn(source.width, source.height, |x, y| {
                let mut sum = [0.0; 3];
                for (offset, &weight) in (-reach..).zip(kernel) {
                    let x = x as isize + step.0 * offset;
                    let y = y as isize + step.1 * offset;
                    add_scaled(&mut sum, source.nearest(x, y), weight);
                }
                sum
            })
        };
        along(&along(self, (1, 0)), (0, 1))
    }

    /// Blurs with a Gaussian of standard deviation `sigma` in pixels, truncated at three deviations.
    pub fn gaussian_blur(&self, sigma: f32) -> Self {
        let reach = (3.0 * sigma).ceil() as i32;
        let mut kernel: Vec<f32> =
            (-reach..=reach).map(|offset| (-0.5 * (offset as f32 / sigma).powi(2)).exp()).collect();
        let sum: f32 = kernel.iter().sum();
        kernel.iter_mut().for_each(|weight| *weight /= sum);
        self.convolve_separable(&kernel)
    }
}

/// `sum += scale * sample`, channel by channel.
pub(super) fn add_scaled(sum: &mut [f32; 3], sample: [f32; 3], scale: f32) {
    for (sum, sample) in sum.iter_mut().zip(sample) {
        *sum += scale * sample;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_preserve_a_uniform_image() {
        let flat = Radiance::from_fn(8, 6, |_, _| [0.1, 0.5, 0.9]);
        for filtered in [flat.gaussian_blur(0.8), flat.block_means(2)] {
            for sample in filtered.samples {
                for (value, expected) in sample.into_iter().zip([0.1, 0.5, 0.9]) {
                    assert!((value - expected).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn block_means_average_blocks() {
        let ramp = Radiance::from_fn(4, 2, |x, y| [(x + 4 * y) as f32; 3]);
        let means = ramp.block_means(2);
        assert_eq!((means.width, means.height), (2, 1));
        assert_eq!(means.samples, vec![[2.5; 3], [4.5; 3]]);
    }
}
