//! Timings of each kernel for processors at the shapes of a network's training step.

use kernels::cpu::{Buffer, ConvAlgorithm, Convolution, Input, Isa, MaskByNorm, MaxPool, Norm, Operand, Statistics};
use kernels::{ConvShape, max_pool_side};

/// The time of one kernel at one shape.
#[derive(Clone, Debug)]
pub struct KernelTime {
    /// Kernel, stride, input and output channels, and input side, as in `3x3/2 128>128 56`.
    pub name: String,
    /// The number of layers of the network with this shape.
    pub layers: usize,
    /// `forward`, `input gradient`, `weight gradient`, …
    pub direction: &'static str,
    /// The arithmetic of a direct convolution in 10^9 floating-point operations, or `None` for kernels that are limited by
    /// memory.
    pub gflop: Option<f64>,
    /// Milliseconds for one layer: the minimum over the repetitions, because other processes can only add time.
    pub ms: f64,
}

/// A shape of a convolution, and the number of layers of the network that have it.
struct LayerShape {
    shape: ConvShape,
    input: Input,
    layers: usize,
}

/// Settings of the measurement.
#[derive(Clone, Copy, Debug)]
pub struct Timer<'a> {
    /// Timed calls of each kernel.
    pub repeats: usize,
    /// Returns seconds of wall time or of processor time.
    pub clock: fn() -> f64,
    /// Only kernels whose name and direction, as in `1x1/1 64>256 56 forward`, contain this text are timed.
    pub only: &'a str,
}

/// Times the kernels of `architecture` with the instruction set `isa` on batches of `images` square images of side `side`.
/// Passes each time to `report`.
///
/// # Errors
/// The architecture is unknown, or memory runs out.
pub fn time_layers(
    architecture: &str,
    isa: Isa,
    [images, side]: [usize; 2],
    timer: Timer<'_>,
    mut report: impl FnMut(KernelTime),
) -> model::Result<()> {
    let convolutions = model::convolution_shapes(architecture, [images, side, side])?;
    for shape in distinct(&convolutions) {
        time_convolution(&shape, timer, isa, &mut report)?;
    }
    if let Some(stem) = convolutions.first() {
        time_pooling(stem, timer, isa, &mut report)?;
    }
    Ok(())
}

/// Returns the distinct shapes in the order of their first layers. The first layer reads pixels.
fn distinct(convolutions: &[ConvShape]) -> Vec<LayerShape> {
    let mut shapes: Vec<LayerShape> = Vec::new();
    for (index, &shape) in convolutions.iter().enumerate() {
        let input = if index == 0 { Input::PaddedPixels } else { Input::Activations };
        match shapes.iter_mut().find(|seen| seen.shape == shape && seen.input == input) {
            Some(seen) => seen.layers += 1,
            None => shapes.push(LayerShape { shape, input, layers: 1 }),
        }
    }
    shapes
}

/// Times a convolution, its two gradients and the packing of its weights, with the operands and epilogues of a training
/// step.
fn time_convolution(
    &LayerShape { ref shape, input, layers }: &LayerShape,
    timer: Timer<'_>,
    isa: Isa,
    report: &mut impl FnMut(KernelTime),
) -> kernels::Result<()> {
    let ConvShape { height: side, inputs, outputs, kernel, stride, .. } = *shape;
    let name = format!("{kernel}x{kernel}/{stride} {inputs}>{outputs} {side}");
    let gflop = 2e-9 * (shape.output_len() * inputs * kernel * kernel) as f64;
    let mut time = timing(timer, name, layers, report);

    let convolution = Convolution::new(shape, input, isa);
    let input_len = if input == Input::PaddedPixels { shape.padded_input_len() } else { shape.input_len() };
    let (mut x, mut z) = (Buffer::zeros(input_len)?, Buffer::zeros(shape.output_len())?);
    let (mut g, mut dx) = (Buffer::zeros(shape.output_len())?, Buffer::zeros(input_len)?);
    let (mut weights, mut dw) = (Buffer::zeros(shape.weight_len())?, Buffer::zeros(shape.weight_len())?);
    let mut packed = Buffer::zeros(convolution.packed_len())?;
    let products = std::iter::once(&convolution.forward).chain(&convolution.input);
    let units = products.map(ConvAlgorithm::unit_count).max().unwrap_or(0);
    let mut sums = Buffer::zeros(units * 3 * inputs.max(outputs))?;
    let mut partial = Buffer::zeros(convolution.weights.partial_len())?;
    // Neither zero nor subnormal, because some processors compute with those at another speed.
    for (seed, buffer) in [&mut x, &mut g, &mut weights].into_iter().enumerate() {
        for (i, value) in buffer.slice_mut().iter_mut().enumerate() {
            *value = ((i * 31 + seed * 7) % 61) as f32 / 61.0 - 0.49;
        }
    }
    let (input_norm, output_norm) = (Norm::identity(inputs), Norm::identity(outputs));
    let operand = || match input {
        Input::PaddedPixels => Operand::Plain(x.slice()),
        Input::Activations => input_norm.activated(x.slice()),
    };

    time("pack forward", None, &mut || convolution.pack_forward(weights.slice(), packed.slice_mut()));
    time("forward", Some(gflop), &mut || {
        convolution.forward.run(&operand(), packed.slice(), &Statistics, z.slice_mut(), sums.slice_mut());
    });
    let gradient = output_norm.gradient(g.slice(), z.slice());
    time("weight gradient", Some(gflop), &mut || {
        convolution.weights.run(&operand(), &gradient, partial.slice_mut(), dw.slice_mut());
    });
    if let Some(product) = &convolution.input {
        time("pack input", None, &mut || convolution.pack_input(weights.slice(), packed.slice_mut()));
        let Norm { mean, scale, shift, .. } = &input_norm;
        let mask = MaskByNorm { z: x.slice(), mean, scale, shift };
        time("input gradient", Some(gflop), &mut || {
            product.run(&gradient, packed.slice(), &mask, dx.slice_mut(), sums.slice_mut());
        });
    }
    Ok(())
}

/// Times the max pooling after the stem.
fn time_pooling(
    stem: &ConvShape,
    timer: Timer<'_>,
    isa: Isa,
    report: &mut impl FnMut(KernelTime),
) -> kernels::Result<()> {
    let ((height, width), images, channels) = (stem.output(), stem.images, stem.outputs);
    let pool = MaxPool { images, height, width, channels };
    let outputs = images * max_pool_side(height) * max_pool_side(width) * channels;
    let (z, mut dz) = (Buffer::zeros(stem.output_len())?, Buffer::zeros(stem.output_len())?);
    let mut y = Buffer::zeros(outputs)?;
    let mut argmax = vec![0; outputs];
    let mut sums = Buffer::zeros(images * height * 2 * channels)?;
    let norm = Norm::identity(channels);
    let name = format!("pool {channels} {height}");
    let mut time = timing(timer, name, 1, report);
    time("forward", None, &mut || pool.forward(isa, &norm, z.slice(), y.slice_mut(), &mut argmax));
    time("input gradient", None, &mut || {
        pool.backward(isa, &norm, z.slice(), (y.slice(), &argmax), dz.slice_mut(), sums.slice_mut());
    });
    Ok(())
}

/// Returns a function that times a kernel of one shape, given its direction and arithmetic, and passes the time to `report`.
fn timing(
    timer: Timer<'_>,
    name: String,
    layers: usize,
    report: &mut impl FnMut(KernelTime),
) -> impl FnMut(&'static str, Option<f64>, &mut dyn FnMut()) {
    move |direction, gflop, kernel| {
        if let Some(ms) = timer.min_ms(&name, direction, kernel) {
            report(KernelTime { name: name.clone(), layers, direction, gflop, ms });
        }
    }
}

impl Timer<'_> {
    /// Returns the minimum time of the calls in milliseconds, after one untimed call, or `None` if `only` excludes the kernel.
    fn min_ms(self, name: &str, direction: &str, kernel: &mut dyn FnMut()) -> Option<f64> {
        if !format!("{name} {direction}").contains(self.only) {
            return None;
        }
        kernel();
        let mut min = f64::INFINITY;
        for _ in 0..self.repeats.max(1) {
            let start = (self.clock)();
            kernel();
            min = min.min((self.clock)() - start);
        }
        Some(min * 1e3)
    }
}
