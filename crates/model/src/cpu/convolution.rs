//! The three products of a convolution: what each gathers, and which weights it multiplies with.

use super::gather::{Gather, Picture};
use super::gradient::WeightGradient;
use super::panels::Panels;
use super::product::{Phase, Product};
use super::simd::Isa;
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
    pub(crate) forward: Product,
    /// The input's gradient from the output's; none for pixels.
    pub(crate) input: Option<Product>,
    /// The weights' gradient from both.
    pub(crate) weights: WeightGradient,
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
        let places = places(layer, input);
        let weights = WeightGradient::new(gather(layer, input, from), images, to, outputs, places.clone(), isa);
        let forward = forward(layer, input, images, from, isa);
        let (input, phase_taps) = match input {
            Input::PaddedPixels => (None, Vec::new()),
            Input::Activations => {
                let (product, taps) = input_gradient(layer, images, from, to, isa);
                (Some(product), taps)
            }
        };
        Self { forward, input, weights, inputs, outputs, kernel, places, phase_taps }
    }

    /// Packs weights, `[outputs, inputs, kernel, kernel]`, for the forward product.
    pub(crate) fn pack_forward(&self, weights: &[f32], to: &mut [f32]) {
        let per_output = weights.len() / self.outputs;
        for phase in self.forward.phases() {
            phase.panels.pack(to, |k, output| weights[output * per_output + self.places[k] as usize]);
        }
    }

    /// Packs weights for the product that gives the input's gradient.
    pub(crate) fn pack_input(&self, weights: &[f32], to: &mut [f32]) {
        let Self { inputs, outputs, kernel, .. } = *self;
        for (phase, taps) in self.input.iter().flat_map(Product::phases).zip(&self.phase_taps) {
            phase.panels.pack(&mut to[phase.weights..], |k, input| {
                let ((down, right), output) = (taps[k / outputs], k % outputs);
                weights[((output * inputs + input) * kernel + down) * kernel + right]
            });
        }
    }

    /// Elements that the packed weights of either product need.
    pub(crate) fn packed_len(&self) -> usize {
        self.input.as_ref().map_or(0, Product::packed_len).max(self.forward.packed_len())
    }
}

/// The forward product of `layer` for `images` inputs of `(height, width)`.
pub(crate) fn forward(layer: &ConvNorm, input: Input, images: usize, from: (usize, usize), isa: Isa) -> Product {
    let to = (layer.output_side(from.0), layer.output_side(from.1));
    let phase = Phase { gather: gather(layer, input, from), panels: panels(layer, isa), weights: 0, first: (0, 0) };
    Product::new(images, to, layer.outputs, vec![phase], isa)
}

/// Layout of the forward product's weights, whatever the batch shape.
pub(crate) fn panels(layer: &ConvNorm, isa: Isa) -> Panels {
    Panels::new(layer.inputs * layer.kernel * layer.kernel, layer.outputs, isa.tile().1)
}

/// Order of the depth of the forward product: where each (tap, channel) stands among an output channel's weights.
pub(crate) fn places(layer: &ConvNorm, input: Input) -> Vec<u32> {
    let ConvNorm { inputs, kernel, .. } = *layer;
    let depth = inputs * kernel * kernel;
    let place = |k: usize| match input {
        Input::Activations => k % inputs * kernel * kernel + k / inputs,
        Input::PaddedPixels => {
            let (down, right, channel) = (k / (kernel * inputs), k / inputs % kernel, k % inputs);
            (channel * kernel + down) * kernel + right
        }
    };
    (0..depth).map(|k| place(k) as u32).collect()
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
        let panels = Panels::new(gather.depth(), inputs, isa.tile().1);
        phases.push(Phase { gather, panels, weights, first });
        phase_taps.push(taps);
        weights += panels.len();
    }
    (Product::new(images, from, inputs, phases, isa), phase_taps)
}
