//! The two ways to compute a convolution, its input's gradient and its weights': chosen by its shape alone.

use super::epilogue::Epilogue;
use super::operand::Operand;
use super::product::Product;
use super::units::Units;
use super::weight_gradient::WeightGradient;
use super::winograd::Winograd;
use super::winograd::weight_gradient::WinogradGradient;

/// A convolution's plan for one batch shape.
#[derive(Clone, Debug)]
pub enum ConvAlgorithm {
    /// A blocked matrix product.
    Direct(Product),
    /// With a quarter of the multiplications, for 3x3 without stride; in f32 always.
    Winograd(Winograd),
}

impl ConvAlgorithm {
    /// The units of the output.
    fn units(&self) -> &Units {
        match self {
            Self::Direct(product) => product.units(),
            Self::Winograd(winograd) => winograd.units(),
        }
    }

    /// Number of units, for whoever keeps the sums.
    pub fn unit_count(&self) -> usize {
        self.units().count()
    }

    /// Pixels of the output in each unit.
    pub fn unit_pixels(&self) -> Vec<usize> {
        self.units().pixels()
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.units().output_len()
    }

    /// Elements of the packed weights.
    pub fn packed_len(&self) -> usize {
        match self {
            Self::Direct(product) => product.packed_len(),
            Self::Winograd(winograd) => winograd.packed_len(),
        }
    }

    /// Computes it. `sums` is `[units, E::SUMS, channels]`.
    pub fn run<E: Epilogue>(
        &self,
        operand: &Operand<'_>,
        weights: &[f32],
        epilogue: &E,
        to: &mut [f32],
        sums: &mut [f32],
    ) {
        match self {
            Self::Direct(product) => product.run(operand, weights, epilogue, to, sums),
            Self::Winograd(winograd) => winograd.run(operand, weights, epilogue, to, sums),
        }
    }
}

/// The plan of a convolution's weight gradient for one batch shape.
#[derive(Clone, Debug)]
pub enum WeightGradientAlgorithm {
    /// A blocked matrix product.
    Direct(WeightGradient),
    /// With a quarter of the multiplications, for 3x3 without stride.
    Winograd(WinogradGradient),
}

impl WeightGradientAlgorithm {
    /// Elements of scratch memory for the partial results.
    pub fn partial_len(&self) -> usize {
        match self {
            Self::Direct(gradient) => gradient.partial_len(),
            Self::Winograd(gradient) => gradient.partial_len(),
        }
    }

    /// Computes the gradient from the convolution's input and the gradient of its output, into the weights' order.
    pub fn run(&self, input: &Operand<'_>, gradient: &Operand<'_>, partial: &mut [f32], to: &mut [f32]) {
        match self {
            Self::Direct(plan) => plan.run(input, gradient, partial, to),
            Self::Winograd(plan) => plan.run(input, gradient, partial, to),
        }
    }
}
