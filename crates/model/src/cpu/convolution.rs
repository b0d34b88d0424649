//! The three products of a convolution: what each gathers, and which weights it multiplies with.

use super::gather::{Gather, Picture};
use super::gradient::WeightGradient;
use super::method::{GradientMethod, Method};
use super::panels::{Columns, Panels};
use super::product::{Phase, Product};
use super::simd::Isa;
use super::winograd::gradient::WinogradGradient;
use super::winograd::{self, Direction, Winograd};
use crate::architecture::ConvNorm;

/// What a convolution reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Activations, `[images, height, width, channels]`; the padding is made while packing.
    Activations,
    /// Normalised pixels with the padding around them, which need no gradient.
    PaddedPixels,
}

/// A convolution for one batch shape.
#[derive(Clone, Debug)]
pub(crate) struct Convolution {
    /// The output from the input.
    pub(crate) forward: Method,
    /// The input's gradient from the output's; none for pixels.
    pub(crate) input: Option<Method>,
    /// The weights' gradient from both.
    pub(crate) weights: GradientMethod,
    inputs: usize,
    outputs: usize,
    kernel: usize,
    places: Vec<u32>,
    /// Taps (down, right) of each phase of the input's gradient.
    phase_taps: Vec<Vec<(usize, usize)>>,
}

impl Convolution {
    /// Plans `layer` for `images` inputs of `(height, width)`.
    pub(crate) fn new(layer: &ConvNorm, input: Input, images: usize, from: (usize, usize), isa: Isa) -> Self {
        let ConvNorm { inputs, outputs, kernel, .. } = *layer;
        let to = (layer.output_side(from.0), layer.output_side(from.1));
        let places = places(layer);
        let (forward, gradient, weights, phase_taps) = if input == Input::Activations && winograd::suits(layer, from) {
            let product = |depth, channels| Method::Winograd(Winograd::new(images, from, depth, channels, isa));
            let weights = GradientMethod::Winograd(WinogradGradient::new(images, from, inputs, outputs, isa));
            (product(inputs, outputs), Some(product(outputs, inputs)), weights, Vec::new())
        } else {
            let gather = gather(layer, input, from);
            let panels = Panels::new(gather.depth(), outputs, isa);
            let phase = Phase { gather: gather.clone(), panels, weights: 0, first: (0, 0) };
            let forward = Method::Direct(Product::new(images, to, outputs, vec![phase], isa));
            let weights = GradientMethod::Direct(WeightGradient::new(gather, images, to, outputs, &places, isa));
            let of_input = (input == Input::Activations).then(|| input_gradient(layer, images, from, to, isa));
            let (gradient, taps) = of_input.unzip();
            (forward, gradient.map(Method::Direct), weights, taps.unwrap_or_default())
        };
        Self { forward, input: gradient, weights, inputs, outputs, kernel, places, phase_taps }
    }

    /// Packs weights, `[outputs, inputs, kernel, kernel]`, for the forward product.
    pub(crate) fn pack_forward(&self, weights: &[f32], to: &mut [f32]) {
        match &self.forward {
            Method::Direct(product) => pack_forward(product, &self.places, weights, to),
            Method::Winograd(winograd) => winograd.pack(weights, Direction::Forward, to),
        }
    }

    /// Packs weights for the product that gives the input's gradient.
    pub(crate) fn pack_input(&self, weights: &[f32], to: &mut [f32]) {
        let Self { inputs, outputs, kernel, .. } = *self;
        let product = match &self.input {
            None => return,
            Some(Method::Winograd(winograd)) => return winograd.pack(weights, Direction::Backward, to),
            Some(Method::Direct(product)) => product,
        };
        for (phase, taps) in product.phases().iter().zip(&self.phase_taps) {
            let first = |k: usize| {
                let ((down, right), output) = (taps[k / outputs], k % outputs);
                (output * inputs * kernel + down) * kernel + right
            };
            phase.panels.pack(Columns { weights, first, step: kernel * kernel }, &mut to[phase.weights..]);
        }
    }

    /// Elements that the packed weights of either product need.
    pub(crate) fn packed_len(&self) -> usize {
        self.input.as_ref().map_or(0, Method::packed_len).max(self.forward.packed_len())
    }
}

/// Packs the weights of a forward product whose depth has the order `places`.
fn pack_forward(product: &Product, places: &[u32], weights: &[f32], to: &mut [f32]) {
    for phase in product.phases() {
        let columns = Columns { weights, first: |k: usize| places[k] as usize, step: places.len() };
        phase.panels.pack(columns, to);
    }
}

/// Order of the depth of the forward product: where each (tap, channel) stands among an output channel's weights.
fn places(layer: &ConvNorm) -> Vec<u32> {
    let ConvNorm { inputs, kernel, .. } = *layer;
    (0..inputs * kernel * kernel).map(|k| (k % inputs * kernel * kernel + k / inputs) as u32).collect()
}

/// What the forward product gathers from inputs of `(height, width)`.
fn gather(layer: &ConvNorm, input: Input, (height, width): (usize, usize)) -> Gather {
    let ConvNorm { inputs, kernel, stride, padding, .. } = *layer;
    let offset = |tap: usize| tap as isize - padding as isize;
    match input {
        Input::Activations => Gather {
            source: Picture::dense(height, width, inputs),
            stride,
            taps: square(kernel).map(|(down, right)| (offset(down), offset(right))).collect(),
            channels: inputs,
        },
        // The elements of a row of the kernel lie one after the other, so that they make one tap.
        Input::PaddedPixels => Gather {
            source: Picture::dense(height + 2 * padding, width + 2 * padding, inputs),
            stride,
            taps: (0..kernel).map(|down| (down as isize, 0)).collect(),
            channels: kernel * inputs,
        },
    }
}

/// The taps of a square kernel, row by row.
fn square(side: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..side).flat_map(move |down| (0..side).map(move |right| (down, right)))
}

/// The product for the input's gradient: the pixels of the input whose place modulo the stride is the same see the same
/// taps of the kernel, so that each such phase is a convolution of the output's gradient without a stride.
fn input_gradient(
    layer: &ConvNorm,
    images: usize,
    from: (usize, usize),
    to: (usize, usize),
    isa: Isa,
) -> (Product, Vec<Vec<(usize, usize)>>) {
    let ConvNorm { inputs, outputs, kernel, stride, padding, .. } = *layer;
    let (mut phases, mut phase_taps, mut weights) = (Vec::new(), Vec::new(), 0);
    for first in square(stride) {
        // Pixel `first + stride * i` was read as `stride * o + tap - padding`, so o = i + (first + padding - tap) / stride.
        let distance = |first: usize, tap: usize| (first + padding) as isize - tap as isize;
        let sees = |&(down, right): &(usize, usize)| {
            distance(first.0, down) % stride as isize == 0 && distance(first.1, right) % stride as isize == 0
        };
        let taps: Vec<_> = square(kernel).filter(sees).collect();
        let offset = |first: usize, tap: usize| distance(first, tap) / stride as isize;
        let gather = Gather {
            source: Picture::dense(to.0, to.1, outputs),
            stride: 1,
            taps: taps.iter().map(|&(down, right)| (offset(first.0, down), offset(first.1, right))).collect(),
            channels: outputs,
        };
        let panels = Panels::new(gather.depth(), inputs, isa);
        phases.push(Phase { gather, panels, weights, first });
        phase_taps.push(taps);
        weights += panels.len();
    }
    (Product::new(images, from, inputs, phases, isa), phase_taps)
}
