//! Layer normalisation (Ba, Kiros and Hinton, arXiv 1607.06450) over the channels of each row.

use rayon::prelude::*;

use super::simd::{Isa, Kernel, MAX_LANES, Simd};

/// The parameters of a layer norm.
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm<'a> {
    /// The learned scale, per channel.
    pub weight: &'a [f32],
    /// The learned shift, per channel.
    pub bias: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

/// Rows that one task computes. The partial sums of the gradients depend on it.
const BLOCK: usize = 32;

/// Normalises each row of `x`, `[rows, channels]`, into `to`: `(x - mean) / sqrt(variance + epsilon) * weight + bias`.
pub fn layer_norm(norm: LayerNorm<'_>, x: &[f32], to: &mut [f32], isa: Isa) {
    let block = BLOCK * norm.weight.len();
    x.par_chunks(block).zip(to.par_chunks_mut(block)).for_each(|(x, to)| isa.run_in_f32(Forward { norm, x, to }));
}

/// Computes the gradients of [`layer_norm`] from the gradient of its output. `to`, `[rows, channels]`, receives the
/// gradient of `x`. Returns the gradients of `weight` and `bias`.
pub fn layer_norm_backward(
    norm: LayerNorm<'_>,
    x: &[f32],
    gradient: &[f32],
    to: &mut [f32],
    isa: Isa,
) -> (Vec<f32>, Vec<f32>) {
    let channels = norm.weight.len();
    let block = BLOCK * channels;
    let blocks = x.par_chunks(block).zip(gradient.par_chunks(block)).zip(to.par_chunks_mut(block));
    let partial: Vec<Vec<f32>> = blocks
        .map(|((x, gradient), to)| {
            let mut sums = vec![0.0; 2 * channels];
            isa.run_in_f32(Backward { norm, x, gradient, to, sums: &mut sums });
            sums
        })
        .collect();
    let mut sums = vec![0.0; 2 * channels];
    for partial in partial {
        sums.iter_mut().zip(partial).for_each(|(sum, value)| *sum += value);
    }
    let bias = sums.split_off(channels);
    (sums, bias)
}

struct Forward<'a> {
    norm: LayerNorm<'a>,
    x: &'a [f32],
    to: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let LayerNorm { weight, bias, epsilon } = self.norm;
        for (x, to) in self.x.chunks_exact(weight.len()).zip(self.to.chunks_exact_mut(weight.len())) {
            let (mean, inverse) = moments(s, x, epsilon);
            let (inverse, mean) = (s.splat(inverse), s.splat(mean));
            let parameters = weight.chunks(S::LANES).zip(bias.chunks(S::LANES));
            for ((x, to), (weight, bias)) in x.chunks(S::LANES).zip(to.chunks_mut(S::LANES)).zip(parameters) {
                let normalised = s.mul(s.sub(s.load(x), mean), inverse);
                s.store(s.fma(normalised, s.load(weight), s.load(bias)), to);
            }
        }
    }
}

/// Returns the mean of a row and `1 / sqrt(variance + epsilon)`.
#[inline(always)]
fn moments<S: Simd>(s: S, x: &[f32], epsilon: f32) -> (f32, f32) {
    let count = x.len() as f32;
    let mut sum = s.splat(0.0);
    for x in x.chunks(S::LANES) {
        sum = s.add(sum, s.load(x));
    }
    let mean = total(s, sum) / count;
    let mut squares = s.splat(0.0);
    let whole = x.chunks_exact(S::LANES);
    // The missing lanes of a partial register would count as zeros, not as means.
    let rest: f32 = whole.remainder().iter().map(|x| (x - mean) * (x - mean)).sum();
    for x in whole {
        let difference = s.sub(s.load(x), s.splat(mean));
        squares = s.fma(difference, difference, squares);
    }
    let variance = (total(s, squares) + rest) / count;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// Returns the sum of all lanes.
#[inline(always)]
pub(super) fn total<S: Simd>(s: S, vector: S::Vector) -> f32 {
    let mut lanes = [0.0; MAX_LANES];
    s.store(vector, &mut lanes[..S::LANES]);
    lanes.iter().sum()
}

struct Backward<'a> {
    norm: LayerNorm<'a>,
    x: &'a [f32],
    gradient: &'a [f32],
    to: &'a mut [f32],
    /// The gradients of the weight and of the bias, `[2, channels]`.
    sums: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    /// With x̂ the normalised input and h = gradient * weight, the gradient of x is
    /// `inverse * (h - mean(h) - x̂ * mean(h * x̂))`.
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let LayerNorm { weight, epsilon, .. } = self.norm;
        let channels = weight.len();
        let (of_weight, of_bias) = self.sums.split_at_mut(channels);
        let rows = self.x.chunks_exact(channels).zip(self.gradient.chunks_exact(channels));
        for ((x, gradient), to) in rows.zip(self.to.chunks_exact_mut(channels)) {
            let (mean, inverse) = moments(s, x, epsilon);
            let (mean, inverse) = (s.splat(mean), s.splat(inverse));
            let (mut sum, mut product) = (s.splat(0.0), s.splat(0.0));
            for at in (0..channels).step_by(S::LANES) {
                let end = channels.min(at + S::LANES);
                let g = s.load(&gradient[at..end]);
                let normalised = s.mul(s.sub(s.load(&x[at..end]), mean), inverse);
                let h = s.mul(g, s.load(&weight[at..end]));
                sum = s.add(sum, h);
                product = s.fma(h, normalised, product);
                s.store(s.fma(g, normalised, s.load(&of_weight[at..end])), &mut of_weight[at..end]);
                s.store(s.add(g, s.load(&of_bias[at..end])), &mut of_bias[at..end]);
            }
            let sum = s.splat(total(s, sum) / channels as f32);
            let product = s.splat(total(s, product) / channels as f32);
            for at in (0..channels).step_by(S::LANES) {
                let end = channels.min(at + S::LANES);
                let normalised = s.mul(s.sub(s.load(&x[at..end]), mean), inverse);
                let h = s.mul(s.load(&gradient[at..end]), s.load(&weight[at..end]));
                s.store(s.mul(inverse, s.sub(s.sub(h, sum), s.mul(normalised, product))), &mut to[at..end]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::{assert_close, noise};
    use super::*;

    const EPSILON: f32 = 1e-3;

    /// The plain reference, in double precision.
    fn reference(x: &[f64], weight: &[f32], bias: &[f32]) -> Vec<f64> {
        let normalise = |x: &[f64]| -> Vec<f64> {
            let mean = x.iter().sum::<f64>() / x.len() as f64;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
            let inverse = 1.0 / (variance + f64::from(EPSILON)).sqrt();
            let parameters = weight.iter().zip(bias);
            x.iter().zip(parameters).map(|(x, (&w, &b))| (x - mean) * inverse * f64::from(w) + f64::from(b)).collect()
        };
        x.chunks(weight.len()).flat_map(normalise).collect()
    }

    #[test]
    fn matches_reference_and_its_differences() {
        for isa in Isa::available() {
            for [rows, channels] in [[1, 1], [3, 5], [33, 16], [40, 37], [2, 100]] {
                let what = format!("{isa:?} {rows}x{channels}");
                let x: Vec<f32> = noise(1, rows * channels).iter().map(|x| 3.0 * x + 5.0).collect();
                let (weight, bias, g) = (noise(2, channels), noise(3, channels), noise(4, rows * channels));
                let norm = LayerNorm { weight: &weight, bias: &bias, epsilon: EPSILON };
                let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
                let mut y = vec![f32::NAN; x.len()];
                layer_norm(norm, &x, &mut y, isa);
                assert_close(&y, &reference(&wide, &weight, &bias), 2e-5, &what);

                let mut dx = vec![f32::NAN; x.len()];
                let (of_weight, of_bias) = layer_norm_backward(norm, &x, &g, &mut dx, isa);
                let loss = |x: &[f64], weight: &[f32]| -> f64 {
                    reference(x, weight, &bias).iter().zip(&g).map(|(y, &g)| y * f64::from(g)).sum()
                };
                let step = 1e-5;
                let difference = |i: usize| {
                    let moved = |by: f64| {
                        let mut x = wide.clone();
                        x[i] += by;
                        loss(&x, &weight)
                    };
                    (moved(step) - moved(-step)) / (2.0 * step)
                };
                let expected: Vec<f64> = (0..x.len()).map(difference).collect();
                assert_close_absolute(&dx, &expected, &what);
                let ones = reference(&wide, &vec![1.0; channels], &vec![0.0; channels]);
                let mut expected = [vec![0.0; channels], vec![0.0; channels]];
                for (i, &g) in g.iter().enumerate() {
                    expected[0][i % channels] += f64::from(g) * ones[i];
                    expected[1][i % channels] += f64::from(g);
                }
                assert_close_absolute(&of_weight, &expected[0], &what);
                assert_close_absolute(&of_bias, &expected[1], &what);
            }
        }
    }

    /// A gradient may be zero everywhere, so the tolerance has an absolute part.
    fn assert_close_absolute(found: &[f32], expected: &[f64], what: &str) {
        for (i, (&found, expected)) in found.iter().zip(expected).enumerate() {
            let error = (f64::from(found) - expected).abs();
            assert!(error <= 2e-4 * expected.abs().max(1.0), "{what}: element {i} is {found} instead of {expected}");
        }
    }
}
