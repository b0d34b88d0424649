//! The activation functions of transformers: three forms of GELU (Hendrycks and Gimpel, arXiv 1606.08415).

use rayon::prelude::*;

use super::exponential::{exp, sigmoid};
use super::simd::{Isa, Kernel, Simd};

/// An activation function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x Φ(x)`, with the normal distribution function Φ: `gelu` in transformers.
    Gelu,
    /// `x sigmoid(2 sqrt(2 / π) (x + 0.044715 x³))`: `gelu_pytorch_tanh` in transformers.
    GeluTanh,
    /// `x sigmoid(1.702 x)`: `quick_gelu` in transformers.
    QuickGelu,
}

/// Coefficients of erfc(z) / exp(-z²) as a polynomial of `1 / (1 + 0.3275911 z)`, highest power first: formula 7.1.26
/// of Abramowitz and Stegun, "Handbook of Mathematical Functions". The error is below 1.5e-7.
const ERFC: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
/// The factor in the argument of that polynomial.
const ERFC_FACTOR: f32 = 0.327_591_1;
const QUICK: f32 = 1.702;
/// 2 sqrt(2 / π).
const TANH_FACTOR: f32 = 1.595_769;
const TANH_CUBE: f32 = 0.044_715;
/// 1 / sqrt(2 π).
const DENSITY: f32 = 0.398_942_3;

impl Activation {
    /// Applies the function.
    #[inline(always)]
    pub(super) fn apply<S: Simd>(self, s: S, x: S::Vector) -> S::Vector {
        match self {
            Self::Gelu => {
                // x Φ(x) = max(x, 0) - |x| / 2 erfc(|x| / sqrt 2), without cancellation for either sign.
                let (size, tail) = (absolute(s, x), upper_tail(s, x).0);
                s.sub(s.relu(x), s.mul(size, tail))
            }
            Self::GeluTanh => s.mul(x, sigmoid(s, tanh_argument(s, x))),
            Self::QuickGelu => s.mul(x, sigmoid(s, s.mul(x, s.splat(QUICK)))),
        }
    }

    /// Returns the derivative of the function at `x`.
    #[inline(always)]
    fn derivative<S: Simd>(self, s: S, x: S::Vector) -> S::Vector {
        let one = s.splat(1.0);
        match self {
            Self::Gelu => {
                // Φ(x) + x φ(x).
                let (tail, density) = upper_tail(s, x);
                let distribution = s.select_greater(x, s.splat(0.0), s.sub(one, tail), tail);
                s.fma(s.mul(x, s.splat(DENSITY)), density, distribution)
            }
            Self::GeluTanh => {
                let slope = s.fma(s.mul(x, x), s.splat(3.0 * TANH_CUBE * TANH_FACTOR), s.splat(TANH_FACTOR));
                product_derivative(s, x, tanh_argument(s, x), slope)
            }
            Self::QuickGelu => product_derivative(s, x, s.mul(x, s.splat(QUICK)), s.splat(QUICK)),
        }
    }
}

/// Returns the derivative of `x sigmoid(u)`, where `slope` is the derivative of `u`.
#[inline(always)]
fn product_derivative<S: Simd>(s: S, x: S::Vector, u: S::Vector, slope: S::Vector) -> S::Vector {
    let y = sigmoid(s, u);
    s.fma(s.mul(x, s.mul(y, s.sub(s.splat(1.0), y))), slope, y)
}

#[inline(always)]
fn absolute<S: Simd>(s: S, x: S::Vector) -> S::Vector {
    s.select_greater(x, s.splat(0.0), x, s.sub(s.splat(0.0), x))
}

/// Returns `1 - Φ(|x|)`, half of erfc(|x| / sqrt 2), and `exp(-x² / 2)`.
#[inline(always)]
fn upper_tail<S: Simd>(s: S, x: S::Vector) -> (S::Vector, S::Vector) {
    let size = absolute(s, x);
    let one = s.splat(1.0);
    let t = s.div(one, s.fma(size, s.splat(ERFC_FACTOR * std::f32::consts::FRAC_1_SQRT_2), one));
    let mut sum = s.splat(ERFC[0]);
    let mut power = 1;
    while power < ERFC.len() {
        sum = s.fma(sum, t, s.splat(ERFC[power]));
        power += 1;
    }
    let density = exp(s, s.mul(s.mul(x, x), s.splat(-0.5)));
    (s.mul(s.mul(s.mul(sum, t), density), s.splat(0.5)), density)
}

/// Returns `2 sqrt(2 / π) (x + 0.044715 x³)`.
#[inline(always)]
fn tanh_argument<S: Simd>(s: S, x: S::Vector) -> S::Vector {
    let factor = s.fma(s.mul(x, x), s.splat(TANH_CUBE * TANH_FACTOR), s.splat(TANH_FACTOR));
    s.mul(x, factor)
}

/// Elements that one task computes.
const BLOCK: usize = 1 << 14;

/// Applies `activation` to each element of `x`.
pub fn activate(activation: Activation, x: &[f32], to: &mut [f32], isa: Isa) {
    let blocks = x.par_chunks(BLOCK).zip(to.par_chunks_mut(BLOCK));
    blocks.for_each(|(x, to)| isa.run_in_f32(Forward { activation, x, to }));
}

/// Computes the gradient of [`activate`]: `gradient` times the derivative at `x`.
pub fn activate_backward(activation: Activation, x: &[f32], gradient: &[f32], to: &mut [f32], isa: Isa) {
    let blocks = x.par_chunks(BLOCK).zip(gradient.par_chunks(BLOCK)).zip(to.par_chunks_mut(BLOCK));
    blocks.for_each(|((x, gradient), to)| isa.run_in_f32(Backward { activation, x, gradient, to }));
}

struct Forward<'a> {
    activation: Activation,
    x: &'a [f32],
    to: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (x, to) in self.x.chunks(S::LANES).zip(self.to.chunks_mut(S::LANES)) {
            s.store(self.activation.apply(s, s.load(x)), to);
        }
    }
}

struct Backward<'a> {
    activation: Activation,
    x: &'a [f32],
    gradient: &'a [f32],
    to: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let from = self.x.chunks(S::LANES).zip(self.gradient.chunks(S::LANES));
        for ((x, gradient), to) in from.zip(self.to.chunks_mut(S::LANES)) {
            s.store(s.mul(s.load(gradient), self.activation.derivative(s, s.load(x))), to);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The plain reference, in double precision.
    pub(in super::super) fn reference(activation: Activation, x: f64) -> f64 {
        match activation {
            Activation::Gelu => x * normal_distribution(x),
            Activation::GeluTanh => {
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh())
            }
            Activation::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
        }
    }

    /// Φ(x), by Simpson's rule from 0 to x.
    fn normal_distribution(x: f64) -> f64 {
        let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let (steps, mut sum) = (400, 0.0);
        let width = x / f64::from(steps);
        for i in 0..steps {
            let start = f64::from(i) * width;
            sum += (density(start) + 4.0 * density(start + width / 2.0) + density(start + width)) * width / 6.0;
        }
        0.5 + sum
    }

    const ALL: [Activation; 3] = [Activation::Gelu, Activation::GeluTanh, Activation::QuickGelu];

    #[test]
    fn matches_reference_and_its_differences() {
        let x: Vec<f32> = (-900..=900).map(|i| i as f32 * 0.01).chain([-60.0, 60.0]).collect();
        let gradient: Vec<f32> = (0..x.len()).map(|i| 0.5 + (i % 7) as f32).collect();
        for isa in Isa::available().into_iter().chain(Isa::with_bf16()) {
            for activation in ALL {
                let (mut y, mut dx) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
                activate(activation, &x, &mut y, isa);
                activate_backward(activation, &x, &gradient, &mut dx, isa);
                for i in 0..x.len() {
                    let (at, step) = (f64::from(x[i]), 1e-4);
                    let expected = reference(activation, at);
                    let error = (f64::from(y[i]) - expected).abs();
                    assert!(error <= 1e-6 * at.abs().max(1.0), "{isa:?} {activation:?}({at}) is {}", y[i]);
                    let slope = (reference(activation, at + step) - reference(activation, at - step)) / (2.0 * step);
                    let error = (f64::from(dx[i] / gradient[i]) - slope).abs();
                    assert!(error <= 2e-6, "{isa:?} {activation:?}'({at}) is {}", dx[i] / gradient[i]);
                }
            }
        }
    }

    #[test]
    fn keeps_nan() {
        for activation in ALL {
            let mut to = [0.0; 3];
            activate(activation, &[1.0, f32::NAN, 2.0], &mut to, Isa::detect());
            assert!(to[1].is_nan() && to[0].is_finite() && to[2].is_finite());
        }
    }
}
