//! A convolution as three matrix products: its output, its input gradient and its weight gradient.

use super::algorithm::{ConvAlgorithm, WeightGradientAlgorithm};
use super::im2col::{Im2col, ImageLayout};
use super::panels::{Panels, WeightMatrix};
use super::product::{Phase, Product};
use super::simd::Isa;
use super::weight_gradient::WeightGradient;
use super::winograd::weight_gradient::WinogradGradient;
use super::winograd::{self, Direction, Winograd};
use crate::shape::ConvShape;

/// The input of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Activations, `[images, height, width, channels]`. Packing adds the padding.
    Activations,
    /// Normalised pixels that include their padding. There is no gradient for them.
    PaddedPixels,
}

/// The plan of a convolution and its gradients for one batch shape.
#[derive(Clone, Debug)]
pub struct Convolution {
    /// The output.
    pub forward: ConvAlgorithm,
    /// The input gradient; `None` for pixels.
    pub input: Option<ConvAlgorithm>,
    /// The weight gradient.
    pub weights: WeightGradientAlgorithm,
    inputs: usize,
    outputs: usize,
    kernel: usize,
    /// See [`weight_offsets`].
    weight_offsets: Vec<u32>,
    /// The taps (down, right) of each phase of the input gradient.
    phase_taps: Vec<Vec<(usize, usize)>>,
}

impl Convolution {
    /// Plans the products of a convolution of `shape`.
    pub fn new(shape: &ConvShape, input: Input, isa: Isa) -> Self {
        let ConvShape { images, inputs, outputs, kernel, .. } = *shape;
        let (from, to) = (shape.input(), shape.output());
        let weight_offsets = weight_offsets(shape);
        let winograd = input == Input::Activations && winograd::is_suitable(shape) && !isa.has_matrix_unit();
        let (forward, gradient, weights, phase_taps) = if winograd {
            let product = |depth, channels| ConvAlgorithm::Winograd(Winograd::new(images, from, depth, channels, isa));
            let weights = WeightGradientAlgorithm::Winograd(WinogradGradient::new(images, from, inputs, outputs, isa));
            (product(inputs, outputs), Some(product(outputs, inputs)), weights, Vec::new())
        } else {
            let im2col = im2col(shape, input);
            let panels = Panels::new(im2col.depth(), outputs, isa);
            let phase = Phase { im2col: im2col.clone(), panels, weights_offset: 0, first: (0, 0) };
            let forward = ConvAlgorithm::Direct(Product::new(images, to, outputs, vec![phase], isa));
            let weights =
                WeightGradientAlgorithm::Direct(WeightGradient::new(im2col, images, to, outputs, &weight_offsets, isa));
            let input_plan = (input == Input::Activations).then(|| input_gradient(shape, isa));
            let (gradient, taps) = input_plan.unzip();
            (forward, gradient.map(ConvAlgorithm::Direct), weights, taps.unwrap_or_default())
        };
        Self { forward, input: gradient, weights, inputs, outputs, kernel, weight_offsets, phase_taps }
    }

    /// Packs weights, `[outputs, inputs, kernel, kernel]`, for the product that computes the output.
    pub fn pack_forward(&self, weights: &[f32], to: &mut [f32]) {
        match &self.forward {
            ConvAlgorithm::Direct(product) => pack_forward(product, &self.weight_offsets, weights, to),
            ConvAlgorithm::Winograd(winograd) => winograd.pack(weights, Direction::Forward, to),
        }
    }

    /// Packs weights, `[outputs, inputs, kernel, kernel]`, for the product that computes the input gradient. Does
    /// nothing if there is no such product.
    pub fn pack_input(&self, weights: &[f32], to: &mut [f32]) {
        let Self { inputs, outputs, kernel, .. } = *self;
        let product = match &self.input {
            None => return,
            Some(ConvAlgorithm::Winograd(winograd)) => return winograd.pack(weights, Direction::Backward, to),
            Some(ConvAlgorithm::Direct(product)) => product,
        };
        for (phase, taps) in product.phases().iter().zip(&self.phase_taps) {
            let row_start = |k: usize| {
                let ((down, right), output) = (taps[k / outputs], k % outputs);
                (output * inputs * kernel + down) * kernel + right
            };
            phase.panels.pack(
                WeightMatrix { weights, row_start, column_stride: kernel * kernel },
                &mut to[phase.weights_offset..],
            );
        }
    }

    /// The number of elements of the packed weights: the larger number of the two products.
    pub fn packed_len(&self) -> usize {
        self.input.as_ref().map_or(0, ConvAlgorithm::packed_len).max(self.forward.packed_len())
    }
}

/// Packs the weights of the product that computes the output.
fn pack_forward(product: &Product, weight_offsets: &[u32], weights: &[f32], to: &mut [f32]) {
    for phase in product.phases() {
        let matrix = WeightMatrix {
            weights,
            row_start: |k: usize| weight_offsets[k] as usize,
            column_stride: weight_offsets.len(),
        };
        phase.panels.pack(matrix, to);
    }
}

/// Returns, for each step of the depth, the offset of its weight among the weights of an output channel, `[inputs,
/// kernel, kernel]`. Step `k` is tap `k / inputs` and input channel `k % inputs`.
fn weight_offsets(shape: &ConvShape) -> Vec<u32> {
    let ConvShape { inputs, kernel, .. } = *shape;
    (0..inputs * kernel * kernel).map(|k| (k % inputs * kernel * kernel + k / inputs) as u32).collect()
}

/// Returns the im2col matrix of the input.
fn im2col(shape: &ConvShape, input: Input) -> Im2col {
    let ConvShape { height, width, inputs, kernel, stride, padding, .. } = *shape;
    let offset = |tap: usize| tap as isize - padding as isize;
    match input {
        Input::Activations => Im2col {
            source: ImageLayout::contiguous(height, width, inputs),
            stride,
            taps: positions_in_square(kernel).map(|(down, right)| (offset(down), offset(right))).collect(),
            channels: inputs,
        },
        // The source includes its padding, so the pixels under a row of the kernel are contiguous. They form one tap.
        Input::PaddedPixels => Im2col {
            source: ImageLayout::contiguous(height + 2 * padding, width + 2 * padding, inputs),
            stride,
            taps: (0..kernel).map(|down| (down as isize, 0)).collect(),
            channels: kernel * inputs,
        },
    }
}

/// Iterates over the positions (down, right) in a square, row by row.
fn positions_in_square(side: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..side).flat_map(move |down| (0..side).map(move |right| (down, right)))
}

/// Plans the product for the input gradient, and returns the taps of each phase.
///
/// A phase is the set of input pixels with the same position modulo the stride. The same taps of the kernel read all
/// its pixels, so the gradient of a phase is a convolution of the output gradient with stride 1.
fn input_gradient(shape: &ConvShape, isa: Isa) -> (Product, Vec<Vec<(usize, usize)>>) {
    let ConvShape { images, inputs, outputs, kernel, stride, padding, .. } = *shape;
    let (from, to) = (shape.input(), shape.output());
    let (mut phases, mut phase_taps, mut weights_offset) = (Vec::new(), Vec::new(), 0);
    for first in positions_in_square(stride) {
        // Output `o` reads pixel `stride * o + tap - padding`. For pixel `first + stride * i`, therefore, o = i +
        // (first + padding - tap) / stride.
        let distance = |first: usize, tap: usize| (first + padding) as isize - tap as isize;
        let reads_phase = |&(down, right): &(usize, usize)| {
            distance(first.0, down) % stride as isize == 0 && distance(first.1, right) % stride as isize == 0
        };
        let taps: Vec<_> = positions_in_square(kernel).filter(reads_phase).collect();
        let offset = |first: usize, tap: usize| distance(first, tap) / stride as isize;
        let im2col = Im2col {
            source: ImageLayout::contiguous(to.0, to.1, outputs),
            stride: 1,
            taps: taps.iter().map(|&(down, right)| (offset(first.0, down), offset(first.1, right))).collect(),
            channels: outputs,
        };
        let panels = Panels::new(im2col.depth(), inputs, isa);
        phases.push(Phase { im2col, panels, weights_offset, first });
        phase_taps.push(taps);
        weights_offset += panels.len();
    }
    (Product::new(images, from, inputs, phases, isa), phase_taps)
}
