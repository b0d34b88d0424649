//! The algorithms for convolutions and their gradients: GEMM or Winograd. The choice depends only on the shape, on the
//! kind of input and on the instruction set.

use super::epilogue::Epilogue;
use super::operand::Operand;
use super::product::Product;
use super::units::Units;
use super::values::ValuesMut;
use super::weight_gradient::WeightGradient;
use super::winograd::Winograd;
use super::winograd::weight_gradient::WinogradGradient;

/// The plan for a convolution's output, or for its input gradient, for one batch shape.
#[derive(Clone, Debug)]
pub enum ConvAlgorithm {
    /// Im2col and a blocked matrix product (GEMM).
    Direct(Product),
    /// Winograd convolution, for 3x3 kernels with stride 1: a quarter of the multiplications. Always in f32, so not used
    /// where a matrix unit multiplies bf16, which is faster.
    Winograd(Winograd),
}

impl ConvAlgorithm {
    /// The partition of the output into units.
    fn units(&self) -> &Units {
        match self {
            Self::Direct(product) => product.units(),
            Self::Winograd(winograd) => winograd.units(),
        }
    }

    /// The number of units: the first dimension of `sums` in [`ConvAlgorithm::run`].
    pub fn unit_count(&self) -> usize {
        self.units().count()
    }

    /// The number of output pixels of each unit.
    pub fn unit_pixels(&self) -> Vec<usize> {
        self.units().pixels()
    }

    /// The number of elements of the output.
    pub fn output_len(&self) -> usize {
        self.units().output_len()
    }

    /// The number of elements of the packed weights.
    pub fn packed_len(&self) -> usize {
        match self {
            Self::Direct(product) => product.packed_len(),
            Self::Winograd(winograd) => winograd.packed_len(),
        }
    }

    /// Computes the output into `to`. `sums`, `[units, E::SUMS, channels]`, receives the sums of the epilogue.
    pub fn run<E: Epilogue>(
        &self,
        operand: &Operand<'_>,
        weights: &[f32],
        epilogue: &E,
        to: ValuesMut<'_>,
        sums: &mut [f32],
    ) {
        match self {
            Self::Direct(product) => product.run(operand, weights, epilogue, to, sums),
            Self::Winograd(winograd) => winograd.run(operand, weights, epilogue, to, sums),
        }
    }
}

/// The plan for a convolution's weight gradient, for one batch shape.
#[derive(Clone, Debug)]
pub enum WeightGradientAlgorithm {
    /// Im2col and a blocked matrix product (GEMM).
    Direct(WeightGradient),
    /// Winograd convolution, for 3x3 kernels with stride 1: a quarter of the multiplications.
    Winograd(WinogradGradient),
}

impl WeightGradientAlgorithm {
    /// The number of elements of scratch memory for partial results.
    pub fn partial_len(&self) -> usize {
        match self {
            Self::Direct(gradient) => gradient.partial_len(),
            Self::Winograd(gradient) => gradient.partial_len(),
        }
    }

    /// Computes the weight gradient into `to`, `[outputs, inputs, kernel, kernel]`, from the convolution's input and
    /// the gradient of its output. `partial` is scratch memory.
    pub fn run(&self, input: &Operand<'_>, gradient: &Operand<'_>, partial: &mut [f32], to: &mut [f32]) {
        match self {
            Self::Direct(plan) => plan.run(input, gradient, partial, to),
            Self::Winograd(plan) => plan.run(input, gradient, partial, to),
        }
    }
}
