//! Reference implementation of convolutions, in plain loops and double precision, for tests.

use super::element_type::ElementType;
use super::values::{Tensor, ValuesMut};
use crate::shape::ConvShape;

/// A convolution with its tensors.
pub(crate) struct Case {
    pub(crate) shape: ConvShape,
    pub(crate) input: Vec<f32>,
    /// `[outputs, inputs, kernel, kernel]`.
    pub(crate) weights: Vec<f32>,
}

impl Case {
    /// Creates a convolution with values between -1 and 1.
    pub(crate) fn new(
        [images, height, width]: [usize; 3],
        [inputs, outputs]: [usize; 2],
        [kernel, stride, padding]: [usize; 3],
    ) -> Self {
        let shape = ConvShape { images, height, width, inputs, outputs, kernel, stride, padding };
        Self { shape, input: noise(1, shape.input_len()), weights: noise(2, shape.weight_len()) }
    }

    /// Calls `f(output, input, weight)` with the indices of each multiplication of the convolution.
    fn products(&self, mut f: impl FnMut(usize, usize, usize)) {
        let ConvShape { height, width, inputs, outputs, kernel, stride, padding, .. } = self.shape;
        let (to_height, to_width) = self.shape.output();
        for pixel in 0..self.shape.output_pixels() {
            let (image, y, x) = (pixel / (to_height * to_width), pixel / to_width % to_height, pixel % to_width);
            for tap in 0..kernel * kernel {
                let (down, right) = (y * stride + tap / kernel, x * stride + tap % kernel);
                if down < padding || right < padding || down - padding >= height || right - padding >= width {
                    continue;
                }
                let from = ((image * height + down - padding) * width + right - padding) * inputs;
                for output in 0..outputs {
                    for input in 0..inputs {
                        let weight = (output * inputs + input) * kernel * kernel + tap;
                        f(pixel * outputs + output, from + input, weight);
                    }
                }
            }
        }
    }

    pub(crate) fn output_len(&self) -> usize {
        self.shape.output_len()
    }

    pub(crate) fn forward(&self, input: &[f32]) -> Vec<f64> {
        let mut to = vec![0.0; self.output_len()];
        self.products(|o, i, w| to[o] += f64::from(input[i]) * f64::from(self.weights[w]));
        to
    }

    pub(crate) fn input_gradient(&self, gradient: &[f32]) -> Vec<f64> {
        let mut to = vec![0.0; self.input.len()];
        self.products(|o, i, w| to[i] += f64::from(gradient[o]) * f64::from(self.weights[w]));
        to
    }

    pub(crate) fn weight_gradient(&self, input: &[f32], gradient: &[f32]) -> Vec<f64> {
        let mut to = vec![0.0; self.weights.len()];
        self.products(|o, i, w| to[w] += f64::from(gradient[o]) * f64::from(input[i]));
        to
    }
}

/// Pseudo-random values between -1 and 1.
pub(crate) fn noise(seed: u32, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    let mut next = || {
        // xorshift32: Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8, 2003.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0
    };
    (0..len).map(|_| next() as f32).collect()
}

/// Returns a tensor with these values, rounded to the type of its elements.
pub(crate) fn tensor(values: &[f32], element_type: ElementType) -> Tensor {
    let mut tensor = Tensor::zeros(values.len(), element_type).unwrap();
    match tensor.values_mut() {
        ValuesMut::F32(to) => to[..values.len()].copy_from_slice(values),
        ValuesMut::Bf16(to) => {
            to.iter_mut().zip(values).for_each(|(to, &value)| *to = half::bf16::from_f32(value));
        }
    }
    tensor
}

/// Asserts that no element differs by more than `tolerance` times the largest expected magnitude.
pub(crate) fn assert_close(actual: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-30, |largest: f64, x| largest.max(x.abs()));
    for (i, (&actual, expected)) in actual.iter().zip(expected).enumerate() {
        let difference = (f64::from(actual) - expected).abs();
        assert!(difference <= tolerance * largest, "{what}: element {i} is {actual} instead of {expected}");
    }
}
