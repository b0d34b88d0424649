//! Batch normalisation (Ioffe and Szegedy, arXiv 1502.03167) as coefficients per channel.
//!
//! Tensors are not normalised in a separate pass. In the forward pass, the next layer computes `relu(scale * z +
//! shift)` while it packs its input (`operand`). In the backward pass, the gradient of `z` is computed while it is
//! packed. With x̂ = (z - mean) * inverse, and `g` the gradient of the norm's output, it is
//!
//! `dz = weight * inverse * (g - mean(g) - x̂ * mean(g * x̂))`,
//!
//! which is linear in `g` and `z`.

use super::operand::Operand;
use crate::batch_norm::{EPSILON, MOMENTUM};

/// The per-channel coefficients of a batch normalisation for one batch.
#[derive(Clone, Debug, Default)]
pub struct Norm {
    /// Mean of the convolution's output `z`.
    pub mean: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`.
    inverse: Vec<f32>,
    /// Forward: `scale * z + shift`.
    pub scale: Vec<f32>,
    /// Forward: `scale * z + shift`.
    pub shift: Vec<f32>,
    /// Backward: see [`Operand::NormGradient`].
    of_gradient: Vec<f32>,
    /// Backward: see [`Operand::NormGradient`].
    of_output: Vec<f32>,
    /// Backward: see [`Operand::NormGradient`].
    constant: Vec<f32>,
}

/// The parameters of a batch norm.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a> {
    /// The learned scale, `weight` in torchvision.
    pub weight: &'a [f32],
    /// The learned shift, `bias` in torchvision.
    pub bias: &'a [f32],
}

impl Norm {
    /// Creates coefficients for `channels` channels, all zero.
    pub fn new(channels: usize) -> Self {
        let zeros = || vec![0.0; channels];
        Self {
            mean: zeros(),
            inverse: zeros(),
            scale: zeros(),
            shift: zeros(),
            of_gradient: zeros(),
            of_output: zeros(),
            constant: zeros(),
        }
    }

    /// Creates the coefficients of the identity: scale 1 and shift 0.
    pub fn identity(channels: usize) -> Self {
        Self { scale: vec![1.0; channels], ..Self::new(channels) }
    }

    /// Sets the coefficients from the statistics of a batch, and updates the running statistics. `sums`, `[units, 3,
    /// channels]`, comes from the epilogue [`super::epilogue::Statistics`]; `counts` is the number of pixels of each
    /// unit.
    pub fn set_from_batch(
        &mut self,
        affine: Affine<'_>,
        sums: &[f32],
        counts: &[usize],
        running_mean: &mut [f32],
        running_variance: &mut [f32],
    ) {
        let channels = self.mean.len();
        let total = counts.iter().sum::<usize>() as f64;
        for c in 0..channels {
            let (mean, squares) = merge(sums, counts, channels, c);
            let variance = squares / total;
            self.set(affine, c, mean, variance);
            let unbiased = squares / (total - 1.0);
            running_mean[c] = moving_average(running_mean[c], mean);
            running_variance[c] = moving_average(running_variance[c], unbiased);
        }
    }

    /// Sets the coefficients from the running statistics.
    pub fn set_from_running(&mut self, affine: Affine<'_>, mean: &[f32], variance: &[f32]) {
        for c in 0..self.mean.len() {
            self.set(affine, c, f64::from(mean[c]), f64::from(variance[c]));
        }
    }

    fn set(&mut self, affine: Affine<'_>, c: usize, mean: f64, variance: f64) {
        let inverse = 1.0 / (variance + EPSILON).sqrt();
        let scale = f64::from(affine.weight[c]) * inverse;
        self.mean[c] = mean as f32;
        self.inverse[c] = inverse as f32;
        self.scale[c] = scale as f32;
        self.shift[c] = (f64::from(affine.bias[c]) - mean * scale) as f32;
    }

    /// Computes the coefficients of [`Norm::gradient`] and the gradients of weight and bias, for a norm that used the
    /// statistics of the batch. For each unit and channel, `g` holds the sum of the output gradient, and `products` the
    /// sum of the output gradient times `z - mean`. `pixels` is the number of values per channel.
    pub fn backward_batch(
        &mut self,
        (g, products): (Sums<'_>, Sums<'_>),
        pixels: usize,
        weight_gradient: &mut [f32],
        bias_gradient: &mut [f32],
    ) {
        let pixels = pixels as f64;
        for c in 0..self.mean.len() {
            let d_bias = g.total(c);
            let d_weight = products.total(c) * f64::from(self.inverse[c]);
            let scale = f64::from(self.scale[c]);
            let of_output = -scale * f64::from(self.inverse[c]) * d_weight / pixels;
            self.of_gradient[c] = self.scale[c];
            self.of_output[c] = of_output as f32;
            self.constant[c] = (-scale * d_bias / pixels - of_output * f64::from(self.mean[c])) as f32;
            weight_gradient[c] = d_weight as f32;
            bias_gradient[c] = d_bias as f32;
        }
    }

    /// Computes the coefficients of [`Norm::gradient`] for a norm that used the running statistics. They do not depend
    /// on `z`, so the gradient is only scaled.
    pub fn backward_running(&mut self) {
        self.of_gradient.copy_from_slice(&self.scale);
        self.of_output.fill(0.0);
        self.constant.fill(0.0);
    }

    /// Returns the input of the next layer as an operand, `relu(scale * z + shift)`.
    pub fn activated<'a>(&'a self, z: &'a [f32]) -> Operand<'a> {
        Operand::Activated { z, scale: &self.scale, shift: &self.shift }
    }

    /// Returns the gradient of `z` as an operand, from the gradient `g` of the batch norm's output.
    pub fn gradient<'a>(&'a self, g: &'a [f32], z: &'a [f32]) -> Operand<'a> {
        let Self { of_gradient, of_output, constant, .. } = self;
        Operand::NormGradient { g, z, of_gradient, of_output, constant }
    }
}

fn moving_average(old: f32, new: f64) -> f32 {
    ((1.0 - MOMENTUM) * f64::from(old) + MOMENTUM * new) as f32
}

/// Merges the statistics of all units for channel `c`: the mean, and the sum of squared differences from it (Chan,
/// Golub and LeVeque, "Algorithms for Computing the Sample Variance", The American Statistician 37, 1983).
fn merge(sums: &[f32], counts: &[usize], channels: usize, c: usize) -> (f64, f64) {
    let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for (sums, &count) in sums.chunks_exact(3 * channels).zip(counts) {
        let count = count as f64;
        let value = |which: usize| f64::from(sums[which * channels + c]);
        let unit_mean = value(0) + value(1) / count;
        let unit_squares = (value(2) - value(1) * value(1) / count).max(0.0);
        let difference = unit_mean - mean;
        let total = n + count;
        mean += difference * count / total;
        squares += unit_squares + difference * difference * n * count / total;
        n = total;
    }
    (mean, squares)
}

/// One kind of per-channel sum that an epilogue keeps for each unit.
#[derive(Clone, Copy, Debug)]
pub struct Sums<'a> {
    /// `[units, kinds, channels]`.
    pub values: &'a [f32],
    /// The number of kinds of sums.
    pub kinds: usize,
    /// The number of channels.
    pub channels: usize,
    /// The index of this kind.
    pub kind: usize,
}

impl Sums<'_> {
    /// The sum of channel `c` over all units, added in order.
    pub(crate) fn total(&self, c: usize) -> f64 {
        let units = self.values.chunks_exact(self.kinds * self.channels);
        units.map(|unit| f64::from(unit[self.kind * self.channels + c])).sum()
    }
}
