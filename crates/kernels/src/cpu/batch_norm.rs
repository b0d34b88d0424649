//! Batch normalisation (Ioffe and Szegedy, arXiv 1502.03167) as coefficients per channel.
//!
//! The tensors are never normalised in a pass of their own: forward, `relu(scale * z + shift)` is applied where a tensor
//! is read (`operand`); backward, so is the gradient of `z`. With x̂ = (z - mean) * inverse and `g` the gradient of the
//! output, `dz = weight * inverse * (g - mean(g) - x̂ * mean(g x̂))`, which is linear in `g` and `z`.

use super::operand::Operand;
use crate::batch_norm::{EPSILON, MOMENTUM};

/// Per-channel coefficients of one batch norm for one batch.
#[derive(Clone, Debug, Default)]
pub struct Norm {
    /// Mean of the convolution's output.
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
    /// `weight` in torchvision's names.
    pub weight: &'a [f32],
    /// `bias` in torchvision's names.
    pub bias: &'a [f32],
}

impl Norm {
    /// For `channels`.
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

    /// One that changes nothing.
    pub fn identity(channels: usize) -> Self {
        Self { scale: vec![1.0; channels], ..Self::new(channels) }
    }

    /// From the statistics of a batch; moves the running statistics on. `sums` is what [`super::epilogue::Statistics`]
    /// left, `[units, 3, channels]`, and `counts` the pixels of each unit.
    pub fn of_batch(
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
            running_mean[c] = moved(running_mean[c], mean);
            running_variance[c] = moved(running_variance[c], unbiased);
        }
    }

    /// From the running statistics.
    pub fn of_running(&mut self, affine: Affine<'_>, mean: &[f32], variance: &[f32]) {
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

    /// Backward for statistics of the batch. For each channel `g` and `products` hold, for each unit, the sums of the
    /// output's gradient and of it times `z - mean`; `pixels` is the number of values per channel.
    pub fn differentiate(
        &mut self,
        (g, products): (Sums<'_>, Sums<'_>),
        pixels: usize,
        weight_gradient: &mut [f32],
        bias_gradient: &mut [f32],
    ) {
        let pixels = pixels as f64;
        for c in 0..self.mean.len() {
            let of_bias = g.total(c);
            let of_weight = products.total(c) * f64::from(self.inverse[c]);
            let scale = f64::from(self.scale[c]);
            let of_output = -scale * f64::from(self.inverse[c]) * of_weight / pixels;
            self.of_gradient[c] = self.scale[c];
            self.of_output[c] = of_output as f32;
            self.constant[c] = (-scale * of_bias / pixels - of_output * f64::from(self.mean[c])) as f32;
            weight_gradient[c] = of_weight as f32;
            bias_gradient[c] = of_bias as f32;
        }
    }

    /// Backward for running statistics, which are constants.
    pub fn differentiate_running(&mut self) {
        self.of_gradient.copy_from_slice(&self.scale);
        self.of_output.fill(0.0);
        self.constant.fill(0.0);
    }

    /// `z` as it is read by the next layer.
    pub fn activated<'a>(&'a self, z: &'a [f32]) -> Operand<'a> {
        Operand::Activated { z, scale: &self.scale, shift: &self.shift }
    }

    /// The gradient of `z`, from the gradient `g` of the output.
    pub fn gradient<'a>(&'a self, g: &'a [f32], z: &'a [f32]) -> Operand<'a> {
        let Self { of_gradient, of_output, constant, .. } = self;
        Operand::NormGradient { g, z, of_gradient, of_output, constant }
    }
}

fn moved(old: f32, new: f64) -> f32 {
    ((1.0 - MOMENTUM) * f64::from(old) + MOMENTUM * new) as f32
}

/// Mean and sum of squared differences from it of channel `c`, over all units in their order (Chan, Golub and LeVeque,
/// "Algorithms for Computing the Sample Variance", The American Statistician 37, 1983).
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

/// One of the per-channel sums that the units of a product keep.
#[derive(Clone, Copy, Debug)]
pub struct Sums<'a> {
    /// `[units, kinds, channels]`.
    pub values: &'a [f32],
    /// Kinds of sums.
    pub kinds: usize,
    /// Channels.
    pub channels: usize,
    /// Which kind.
    pub kind: usize,
}

impl Sums<'_> {
    /// The sum over all units in their order.
    pub(crate) fn total(&self, c: usize) -> f64 {
        let units = self.values.chunks_exact(self.kinds * self.channels);
        units.map(|unit| f64::from(unit[self.kind * self.channels + c])).sum()
    }
}
