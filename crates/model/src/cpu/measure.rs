//! How fast each kernel of a training step runs, at the shapes that a network has: for `examples/layers.rs`.

use super::convolution::{Convolution, Input};
use super::epilogue::{MaskByNorm, Statistics};
use super::method::Method;
use super::norm::Norm;
use super::pool::MaxPool;
use super::simd::Isa;
use super::workspace::zeros;
use crate::architecture::{Architecture, ConvNorm, Plan, pooled_side};
use crate::device::Device;
use crate::error::Result;

/// One kernel at one shape.
#[derive(Clone, Debug)]
pub struct Row {
    /// `kernel x kernel / stride, inputs > outputs, input side`.
    pub name: String,
    /// How many layers of the network have the shape.
    pub layers: usize,
    /// `forward`, `input gradient`, `weight gradient`, …
    pub direction: &'static str,
    /// The arithmetic of a direct convolution, in 10^9 floating-point operations; none where memory is the limit.
    pub gflop: Option<f64>,
    /// Milliseconds for one layer: the least of all repetitions, because the work of others can only add to it.
    pub ms: f64,
}

/// A convolution of the network for inputs of one size.
struct Shape {
    layer: ConvNorm,
    input: Input,
    side: usize,
    layers: usize,
}

/// How kernels are measured.
#[derive(Clone, Copy, Debug)]
pub struct Timer<'a> {
    /// How often each one.
    pub repeats: usize,
    /// Gives seconds: of the wall, or of the processor where others work on the machine.
    pub clock: fn() -> f64,
    /// Kernels are left out whose name and direction, as in `1x1/1 64>256 56 forward`, do not contain this.
    pub only: &'a str,
}

/// Measures the kernels of `architecture` on the processor `device` for batches of `images` squares of `side`, and hands
/// each row to `found`.
///
/// # Errors
/// An unknown architecture, or too little memory.
pub fn layers(
    architecture: &str,
    device: &Device,
    [images, side]: [usize; 2],
    timer: Timer<'_>,
    mut found: impl FnMut(Row),
) -> Result<()> {
    let plan = Plan::new(&Architecture::by_name(architecture)?, 2);
    let isa = device.isa();
    for shape in shapes(&plan, side) {
        convolution(&shape, images, timer, isa, &mut found)?;
    }
    pooling(&plan, images, side, timer, isa, &mut found)
}

/// The different convolutions in the order of their first layers.
fn shapes(plan: &Plan, side: usize) -> Vec<Shape> {
    let stem = Shape { layer: plan.stem.clone(), input: Input::PaddedPixels, side, layers: 1 };
    let mut side = pooled_side(plan.stem.output_side(side));
    let mut shapes = vec![stem];
    let mut add = |layer: &ConvNorm, side: usize| {
        let key = |layer: &ConvNorm| (layer.inputs, layer.outputs, layer.kernel, layer.stride);
        match shapes.iter_mut().find(|shape| key(&shape.layer) == key(layer) && shape.side == side) {
            Some(shape) => shape.layers += 1,
            None => shapes.push(Shape { layer: layer.clone(), input: Input::Activations, side, layers: 1 }),
        }
    };
    for block in &plan.blocks {
        block.downsample.iter().for_each(|layer| add(layer, side));
        for layer in &block.main {
            add(layer, side);
            side = layer.output_side(side);
        }
    }
    shapes
}

/// The three products of a convolution and the packing of its weights, with the operands and epilogues of a training step.
fn convolution(shape: &Shape, images: usize, timer: Timer<'_>, isa: Isa, found: &mut impl FnMut(Row)) -> Result<()> {
    let Shape { layer, input, side, layers } = shape;
    let ConvNorm { inputs, outputs, kernel, stride, padding, .. } = *layer;
    let name = format!("{kernel}x{kernel}/{stride} {inputs}>{outputs} {side}");
    let to = layer.output_side(*side);
    let gflop = 2e-9 * (images * to * to * outputs * inputs * kernel * kernel) as f64;
    let mut measure = measuring(timer, name, *layers, found);

    let from = (*side, *side);
    let convolution = Convolution::new(layer, *input, images, from, isa);
    let padded = if *input == Input::PaddedPixels { side + 2 * padding } else { *side };
    let (mut x, mut z) = (zeros(images * padded * padded * inputs)?, zeros(images * to * to * outputs)?);
    let (mut g, mut dx) = (zeros(images * to * to * outputs)?, zeros(images * padded * padded * inputs)?);
    let (mut weights, mut packed) = (zeros(outputs * inputs * kernel * kernel)?, zeros(convolution.packed_len())?);
    let mut dw = zeros(outputs * inputs * kernel * kernel)?;
    let products = std::iter::once(&convolution.forward).chain(&convolution.input);
    let units = products.map(Method::unit_count).max().unwrap_or(0);
    let mut sums = zeros(units * 3 * inputs.max(outputs))?;
    let mut partial = zeros(convolution.weights.partial_len())?;
    // Neither zero nor subnormal, which some processors treat apart.
    for (seed, buffer) in [&mut x, &mut g, &mut weights].into_iter().enumerate() {
        for (i, value) in buffer.slice_mut().iter_mut().enumerate() {
            *value = ((i * 31 + seed * 7) % 61) as f32 / 61.0 - 0.49;
        }
    }
    let (of_input, of_output) = (Norm::identity(inputs), Norm::identity(outputs));
    let operand = || match input {
        Input::PaddedPixels => super::operand::Operand::Plain(x.slice()),
        Input::Activations => of_input.activated(x.slice()),
    };

    measure("pack forward", None, &mut || convolution.pack_forward(weights.slice(), packed.slice_mut()));
    measure("forward", Some(gflop), &mut || {
        convolution.forward.run(&operand(), packed.slice(), &Statistics, z.slice_mut(), sums.slice_mut());
    });
    let gradient = of_output.gradient(g.slice(), z.slice());
    measure("weight gradient", Some(gflop), &mut || {
        convolution.weights.run(&operand(), &gradient, partial.slice_mut(), dw.slice_mut());
    });
    if let Some(product) = &convolution.input {
        measure("pack input", None, &mut || convolution.pack_input(weights.slice(), packed.slice_mut()));
        let Norm { mean, scale, shift, .. } = &of_input;
        let mask = MaskByNorm { z: x.slice(), mean, scale, shift };
        measure("input gradient", Some(gflop), &mut || {
            product.run(&gradient, packed.slice(), &mask, dx.slice_mut(), sums.slice_mut());
        });
    }
    Ok(())
}

/// The pooling after the stem.
fn pooling(
    plan: &Plan,
    images: usize,
    side: usize,
    timer: Timer<'_>,
    isa: Isa,
    found: &mut impl FnMut(Row),
) -> Result<()> {
    let (side, channels) = (plan.stem.output_side(side), plan.stem.outputs);
    let pool = MaxPool { images, height: side, width: side, channels };
    let out = pooled_side(side);
    let (z, mut dz) = (zeros(images * side * side * channels)?, zeros(images * side * side * channels)?);
    let mut y = zeros(images * out * out * channels)?;
    let mut winners = vec![0; images * out * out * channels];
    let mut sums = zeros(images * side * 2 * channels)?;
    let norm = Norm::identity(channels);
    let name = format!("pool {channels} {side}");
    let mut measure = measuring(timer, name, 1, found);
    measure("forward", None, &mut || pool.forward(isa, &norm, z.slice(), y.slice_mut(), &mut winners));
    measure("input gradient", None, &mut || {
        pool.backward(isa, &norm, z.slice(), (y.slice(), &winners), dz.slice_mut(), sums.slice_mut());
    });
    Ok(())
}

/// Measures kernels of one shape, given their direction and their arithmetic, and hands their rows to `found`.
fn measuring(
    timer: Timer<'_>,
    name: String,
    layers: usize,
    found: &mut impl FnMut(Row),
) -> impl FnMut(&'static str, Option<f64>, &mut dyn FnMut()) {
    move |direction, gflop, kernel| {
        if let Some(ms) = timer.least(&name, direction, kernel) {
            found(Row { name: name.clone(), layers, direction, gflop, ms });
        }
    }
}

impl Timer<'_> {
    /// Milliseconds of the fastest of all calls but one, which is not counted; none where it is not asked for.
    fn least(self, name: &str, direction: &str, kernel: &mut dyn FnMut()) -> Option<f64> {
        if !format!("{name} {direction}").contains(self.only) {
            return None;
        }
        kernel();
        let mut best = f64::INFINITY;
        for _ in 0..self.repeats.max(1) {
            let start = (self.clock)();
            kernel();
            best = best.min((self.clock)() - start);
        }
        Some(best * 1e3)
    }
}
