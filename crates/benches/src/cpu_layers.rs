//! Measures the time of each CPU kernel at the shapes of a network's training step.

use kernels::cpu::{
    Buffer, ConvAlgorithm, Convolution, ElementType, Input, Isa, MaskByNorm, MaxPool, Norm, Operand, Statistics,
    Tensor, ValuesMut,
};
use kernels::{ConvShape, max_pool_side};

/// The time of one kernel at one shape.
#[derive(Clone, Debug)]
pub struct Row {
    /// The shape: `KERNELxKERNEL/STRIDE INPUTS>OUTPUTS SIDE`, such as `1x1/1 64>256 56`.
    pub name: String,
    /// The number of layers of the network with this shape.
    pub layers: usize,
    /// `forward`, `input gradient`, `weight gradient`, …
    pub direction: &'static str,
    /// The operations of a direct convolution, in units of 10^9. `None` for kernels that are limited by memory
    /// bandwidth.
    pub gflop: Option<f64>,
    /// Milliseconds for one layer. This is the minimum over all repetitions, because other load can only slow down a
    /// repetition.
    pub ms: f64,
}

/// A distinct convolution, and the number of layers that have its shape.
struct Shape {
    shape: ConvShape,
    input: Input,
    layers: usize,
}

/// The options of a measurement.
#[derive(Clone, Copy, Debug)]
pub struct Timer<'a> {
    /// Repetitions of each kernel.
    pub repeats: usize,
    /// The clock, in seconds. Use processor time instead of wall time on a machine with other load.
    pub clock: fn() -> f64,
    /// Measures only kernels whose name and direction contain this text, such as `1x1/1 64>256 56 forward`.
    pub only: &'a str,
}

/// Measures the kernels of `architecture` with the instruction set `isa`, for batches of `images` squares of `side`
/// pixels. Calls `report` with each row.
///
/// # Errors
/// The architecture is unknown, or there is too little memory.
pub fn layers(
    architecture: &str,
    isa: Isa,
    [images, side]: [usize; 2],
    timer: Timer<'_>,
    mut report: impl FnMut(Row),
) -> model::Result<()> {
    let convolutions = model::convolution_shapes(architecture, [images, side, side])?;
    for shape in distinct(&convolutions) {
        convolution(&shape, timer, isa, &mut report)?;
    }
    if let Some(stem) = convolutions.first() {
        pooling(stem, timer, isa, &mut report)?;
    }
    Ok(())
}

/// Returns the distinct shapes in the order of their first layers. The first layer reads pixels.
fn distinct(convolutions: &[ConvShape]) -> Vec<Shape> {
    let mut shapes: Vec<Shape> = Vec::new();
    for (index, &shape) in convolutions.iter().enumerate() {
        let input = if index == 0 { Input::PaddedPixels } else { Input::Activations };
        match shapes.iter_mut().find(|known| known.shape == shape && known.input == input) {
            Some(known) => known.layers += 1,
            None => shapes.push(Shape { shape, input, layers: 1 }),
        }
    }
    shapes
}

/// Measures forward pass, gradients and weight packing of a convolution, with the operands and epilogues of a
/// training step.
fn convolution(
    &Shape { ref shape, input, layers }: &Shape,
    timer: Timer<'_>,
    isa: Isa,
    report: &mut impl FnMut(Row),
) -> kernels::Result<()> {
    let ConvShape { height: side, inputs, outputs, kernel, stride, .. } = *shape;
    let name = format!("{kernel}x{kernel}/{stride} {inputs}>{outputs} {side}");
    let gflop = 2e-9 * (shape.output_len() * inputs * kernel * kernel) as f64;
    let mut measure = measuring(timer, name, layers, report);

    let convolution = Convolution::new(shape, input, isa);
    let input_len = if input == Input::PaddedPixels { shape.padded_input_len() } else { shape.input_len() };
    let tensor = |len| Tensor::zeros(len, isa.element_type());
    let x_type = if input == Input::PaddedPixels { ElementType::F32 } else { isa.element_type() };
    let (mut x, mut z) = (Tensor::zeros(input_len, x_type)?, tensor(shape.output_len())?);
    let (mut g, mut dx) = (tensor(shape.output_len())?, tensor(input_len)?);
    let (mut weights, mut dw) = (Buffer::zeros(shape.weight_len())?, Buffer::zeros(shape.weight_len())?);
    let mut packed = Buffer::zeros(convolution.packed_len())?;
    let products = std::iter::once(&convolution.forward).chain(&convolution.input);
    let units = products.map(ConvAlgorithm::unit_count).max().unwrap_or(0);
    let mut sums = Buffer::zeros(units * 3 * inputs.max(outputs))?;
    let mut partial = Buffer::zeros(convolution.weights.partial_len())?;
    // Avoid zeros and subnormal numbers, because some processors need more or less time for them.
    for (seed, values) in [x.values_mut(), g.values_mut(), weights.slice_mut().into()].into_iter().enumerate() {
        let value = |i: usize| ((i * 31 + seed * 7) % 61) as f32 / 61.0 - 0.49;
        match values {
            ValuesMut::F32(values) => values.iter_mut().enumerate().for_each(|(i, to)| *to = value(i)),
            ValuesMut::Bf16(values) => {
                values.iter_mut().enumerate().for_each(|(i, to)| *to = half::bf16::from_f32(value(i)));
            }
        }
    }
    let (of_input, of_output) = (Norm::identity(inputs), Norm::identity(outputs));
    let operand = || match input {
        Input::PaddedPixels => Operand::Plain(x.values()),
        Input::Activations => of_input.activated(x.values()),
    };

    measure("pack forward", None, &mut || convolution.pack_forward(weights.slice(), packed.slice_mut()));
    measure("forward", Some(gflop), &mut || {
        convolution.forward.run(&operand(), packed.slice(), &Statistics, z.values_mut(), sums.slice_mut());
    });
    let gradient = of_output.gradient(g.values(), z.values());
    measure("weight gradient", Some(gflop), &mut || {
        convolution.weights.run(&operand(), &gradient, partial.slice_mut(), dw.slice_mut());
    });
    if let Some(product) = &convolution.input {
        measure("pack input", None, &mut || convolution.pack_input(weights.slice(), packed.slice_mut()));
        let Norm { mean, scale, shift, .. } = &of_input;
        let mask = MaskByNorm { z: x.values(), mean, scale, shift };
        measure("input gradient", Some(gflop), &mut || {
            product.run(&gradient, packed.slice(), &mask, dx.values_mut(), sums.slice_mut());
        });
    }
    Ok(())
}

/// Measures the max pooling after the stem.
fn pooling(stem: &ConvShape, timer: Timer<'_>, isa: Isa, report: &mut impl FnMut(Row)) -> kernels::Result<()> {
    let ((height, width), images, channels) = (stem.output(), stem.images, stem.outputs);
    let pool = MaxPool { images, height, width, channels };
    let outputs = images * max_pool_side(height) * max_pool_side(width) * channels;
    let tensor = |len| Tensor::zeros(len, isa.element_type());
    let (z, mut dz, mut y) = (tensor(stem.output_len())?, tensor(stem.output_len())?, tensor(outputs)?);
    let mut argmax = vec![0; outputs];
    let mut sums = Buffer::zeros(images * height * 2 * channels)?;
    let norm = Norm::identity(channels);
    let name = format!("pool {channels} {height}");
    let mut measure = measuring(timer, name, 1, report);
    measure("forward", None, &mut || pool.forward(isa, &norm, z.values(), y.values_mut(), &mut argmax));
    measure("input gradient", None, &mut || {
        pool.backward(isa, &norm, z.values(), (y.values(), &argmax), dz.values_mut(), sums.slice_mut());
    });
    Ok(())
}

/// Returns a function that measures a kernel, given its direction and operations, and calls `report` with the row.
fn measuring(
    timer: Timer<'_>,
    name: String,
    layers: usize,
    report: &mut impl FnMut(Row),
) -> impl FnMut(&'static str, Option<f64>, &mut dyn FnMut()) {
    move |direction, gflop, kernel| {
        if let Some(ms) = timer.minimum(&name, direction, kernel) {
            report(Row { name: name.clone(), layers, direction, gflop, ms });
        }
    }
}

impl Timer<'_> {
    /// Returns the milliseconds of the fastest call after a warm-up call, or `None` if the kernel is not selected.
    fn minimum(self, name: &str, direction: &str, kernel: &mut dyn FnMut()) -> Option<f64> {
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
