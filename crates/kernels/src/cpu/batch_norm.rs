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
use super::values::Values;
use crate::batch_norm::{EPSILON, MOMENTUM};

/// The per-channel coefficients of a batch normalisation for one batch.
#[derive(Clone, Debug, Default)]
pub struct Norm {
    /// Mean of the convolution's output `z`.
    pub mean: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`.
    inverse: Vec<f32>,
    /// The number of values per channel that [`Norm::set_from_batch`] had the moments of.
    pub pixels: f64,
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
            pixels: 0.0,
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

    /// Sets the coefficients from the moments of a batch, and updates the running statistics.
    pub fn set_from_batch(
        &mut self,
        affine: Affine<'_>,
        moments: &Moments,
        running_mean: &mut [f32],
        running_variance: &mut [f32],
    ) {
        self.pixels = moments.pixels;
        for (c, (&mean, &squares)) in moments.mean.iter().zip(&moments.squares).enumerate() {
            self.set(affine, c, mean, squares / moments.pixels);
            let unbiased = squares / (moments.pixels - 1.0);
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

    /// Computes the coefficients of [`Norm::gradient`] for a norm that used the moments of the batch.
    pub fn backward_batch(&mut self, sums: &GradientSums) {
        for c in 0..self.mean.len() {
            let d_bias = sums.gradient[c];
            let d_weight = sums.products[c] * f64::from(self.inverse[c]);
            let scale = f64::from(self.scale[c]);
            let of_output = -scale * f64::from(self.inverse[c]) * d_weight / self.pixels;
            self.of_gradient[c] = self.scale[c];
            self.of_output[c] = of_output as f32;
            self.constant[c] = (-scale * d_bias / self.pixels - of_output * f64::from(self.mean[c])) as f32;
        }
    }

    /// Computes the gradients of weight and bias, `[channels]` each.
    pub fn affine_gradient(&self, sums: &GradientSums, weight: &mut [f32], bias: &mut [f32]) {
        for c in 0..self.mean.len() {
            weight[c] = (sums.products[c] * f64::from(self.inverse[c])) as f32;
            bias[c] = sums.gradient[c] as f32;
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
    pub fn activated<'a>(&'a self, z: Values<'a>) -> Operand<'a> {
        Operand::Activated { z, scale: &self.scale, shift: &self.shift }
    }

    /// Returns the gradient of `z` as an operand, from the gradient `g` of the batch norm's output.
    pub fn gradient<'a>(&'a self, g: Values<'a>, z: Values<'a>) -> Operand<'a> {
        let Self { of_gradient, of_output, constant, .. } = self;
        Operand::NormGradient { g, z, of_gradient, of_output, constant }
    }
}

/// The moments of a convolution's output `z` over a batch, for each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// The number of values per channel.
    pub pixels: f64,
    /// The mean, `[channels]`.
    pub mean: Vec<f64>,
    /// The sum of squared differences from the mean, `[channels]`.
    pub squares: Vec<f64>,
}

impl Moments {
    /// Merges the sums of all units. `sums`, `[units, 3, channels]`, comes from the epilogue
    /// [`super::epilogue::Statistics`]; `counts` is the number of pixels of each unit.
    pub fn new(sums: &[f32], counts: &[usize], channels: usize) -> Self {
        let (mean, squares) = (0..channels).map(|c| merge(sums, counts, channels, c)).unzip();
        Self { pixels: counts.iter().sum::<usize>() as f64, mean, squares }
    }

    /// Returns the moments of several parts of a batch together. `sum` replaces each value by its sum over the parts. It
    /// is called once, because each call may cross a network; double precision absorbs the cancellation.
    #[must_use]
    pub fn merged(&self, sum: impl FnOnce(&mut [f64])) -> Self {
        let channels = self.mean.len();
        let totals = self.mean.iter().map(|mean| mean * self.pixels);
        let squares = self.mean.iter().zip(&self.squares).map(|(mean, squares)| squares + mean * mean * self.pixels);
        let mut values: Vec<f64> = std::iter::once(self.pixels).chain(totals).chain(squares).collect();
        sum(&mut values);
        let pixels = values[0];
        let mean: Vec<f64> = values[1..=channels].iter().map(|total| total / pixels).collect();
        let raw = values[channels + 1..].iter().zip(&mean);
        let squares = raw.map(|(squares, mean)| (squares - mean * mean * pixels).max(0.0)).collect();
        Self { pixels, mean, squares }
    }
}

/// Sums over a batch of the gradient `g` of a batch norm's output, for each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientSums {
    /// The sum of `g`, `[channels]`.
    pub gradient: Vec<f64>,
    /// The sum of `g * (z - mean)`, `[channels]`.
    pub products: Vec<f64>,
}

impl GradientSums {
    /// Adds the sums of all units.
    pub fn new(gradient: Sums<'_>, products: Sums<'_>) -> Self {
        let totals = |sums: Sums<'_>| (0..sums.channels).map(|c| sums.total(c)).collect();
        Self { gradient: totals(gradient), products: totals(products) }
    }

    /// Returns the sums over several parts of a batch, in the scale of this part: the loss of a part is the mean over its
    /// images, and its gradient has the weight `share` in that of the whole batch. `sum` replaces each value by its sum
    /// over the parts.
    #[must_use]
    pub fn merged(&self, share: f64, sum: impl FnOnce(&mut [f64])) -> Self {
        let channels = self.gradient.len();
        let mut values: Vec<f64> = self.gradient.iter().chain(&self.products).map(|value| value * share).collect();
        sum(&mut values);
        values.iter_mut().for_each(|value| *value /= share);
        let products = values.split_off(channels);
        Self { gradient: values, products }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Moments of values `[pixels, channels]`, as one unit.
    fn moments(values: &[f32], channels: usize) -> Moments {
        let pixels = values.len() / channels;
        let of_channel = |c: usize| values.iter().skip(c).step_by(channels);
        // The epilogue's sums: a shift, the sum of differences from it, and the sum of their squares.
        let shift = |c: usize| values[c];
        let difference = |c: usize| of_channel(c).map(move |value| value - shift(c));
        let sums: Vec<f32> = (0..channels)
            .map(shift)
            .chain((0..channels).map(|c| difference(c).sum()))
            .chain((0..channels).map(|c| difference(c).map(|d| d * d).sum()))
            .collect();
        Moments::new(&sums, &[pixels], channels)
    }

    #[test]
    fn merged_moments_are_those_of_the_whole_batch() {
        let values: Vec<f32> = (0..60).map(|i| 100.0 + (i * 7 % 13) as f32 * 0.25).collect();
        let whole = moments(&values, 2);
        let parts = [moments(&values[..16], 2), moments(&values[16..], 2)];
        let mut sums = Vec::new();
        let _ = parts[1].merged(|values| sums = values.to_vec());
        let merged = parts[0].merged(|values| values.iter_mut().zip(&sums).for_each(|(a, b)| *a += b));
        assert_eq!(merged.pixels, 30.0);
        for c in 0..2 {
            assert!((merged.mean[c] - whole.mean[c]).abs() < 1e-5, "{merged:?} {whole:?}");
            assert!((merged.squares[c] - whole.squares[c]).abs() < 1e-3 * whole.squares[c], "{merged:?} {whole:?}");
        }
    }

    #[test]
    fn merged_gradient_sums_have_the_scale_of_the_part() {
        let sums = |gradient: f64| GradientSums { gradient: vec![gradient], products: vec![2.0 * gradient] };
        // Part 0 has a quarter of the images, and part 1 the rest.
        let mut other = Vec::new();
        let _ = sums(8.0).merged(0.75, |values| other = values.to_vec());
        let merged = sums(4.0).merged(0.25, |values| values.iter_mut().zip(&other).for_each(|(a, b)| *a += b));
        assert_eq!(merged, sums((0.25 * 4.0 + 0.75 * 8.0) / 0.25));
    }
}
