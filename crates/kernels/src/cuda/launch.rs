//! The kernels of `kernels/*.cu` as functions: arguments and their order stand here and nowhere else.

use super::engine::{Address, Arg, Engine, NULL, THREADS};
use super::error::Result;
use super::shapes::{CHANNEL_MULTIPLE, CHANNELS_PER_BLOCK, HeadShape, Images, Matrix, Units, int};
use crate::adam::AdamStep;
use crate::precision::Precision;

/// The trainable and running values of a batch norm on the device, each `[channels]` in f32.
#[derive(Clone, Copy, Debug)]
pub struct NormValues {
    /// Scale.
    pub weight: Address,
    /// Shift.
    pub bias: Address,
    /// Running mean.
    pub mean: Address,
    /// Running variance.
    pub variance: Address,
}

/// What is added before the ReLU at the end of a residual block.
#[derive(Clone, Copy, Debug)]
pub enum Shortcut {
    /// Nothing: the layer is not the block's last.
    None,
    /// The block's input.
    Identity(Address),
    /// The batch norm, by its coefficients, of the projected input.
    Projection(Address, Address),
}

/// The inputs of [`join_backward`].
#[derive(Clone, Copy, Debug)]
pub struct Join {
    /// Gradient of the block's output, or the first part of it.
    pub a: Address,
    /// The second part, or [`NULL`].
    pub b: Address,
    /// The block's output.
    pub y: Address,
    /// The last convolution's output and its norm's coefficients.
    pub main: (Address, Address),
    /// The projection's, or [`NULL`] twice.
    pub projection: (Address, Address),
}

/// Chooses the kernel for the stored element.
fn pick(precision: Precision, f32: &'static str, bf16: &'static str) -> &'static str {
    match precision {
        Precision::F32 | Precision::Tf32 => f32,
        Precision::Bf16 => bf16,
    }
}

fn blocks(threads: usize) -> [u32; 2] {
    [threads.div_ceil(THREADS as usize) as u32, 1]
}

fn pointers<const N: usize>(addresses: [Address; N]) -> [Arg; N] {
    addresses.map(Arg::Pointer)
}

/// Launches with the arguments of all lists, one after the other.
fn launch(engine: &impl Engine, kernel: &'static str, grid: [u32; 2], args: &[&[Arg]]) -> Result<()> {
    engine.launch(kernel, grid, &args.concat())
}

/// Bytes `[images, height, width, 3]` to the network's input `[images, height, width, 4]`. `table` is `[3, 256]`;
/// `flips`, a byte for each image, may be [`NULL`].
pub fn normalise_pixels(
    engine: &impl Engine,
    shape: &Images,
    pixels: Address,
    table: Address,
    flips: Address,
    to: Address,
) -> Result<()> {
    let kernel = pick(shape.precision, "normalise_pixels_f32", "normalise_pixels_bf16");
    let grid = blocks(shape.images * shape.positions());
    let sizes = [shape.images, shape.height, shape.width].map(int);
    launch(engine, kernel, grid, &[&pointers([pixels, table, flips, to]), &sizes])
}

/// Units' sums of `z`, `[units, SUMS, channels]`, for [`norm_of_batch`].
pub fn norm_statistics(engine: &impl Engine, shape: &Matrix, z: Address, sums: Address) -> Result<()> {
    let kernel = pick(shape.precision, "norm_statistics_f32", "norm_statistics_bf16");
    let per_unit = [Arg::Long(shape.units().rows as i64)];
    launch(engine, kernel, shape.reduction_grid(), &[&pointers([z, sums]), &shape.rows_and_channels(), &per_unit])
}

/// Coefficients from the units' sums; the running statistics move on by `momentum`.
pub fn norm_of_batch(
    engine: &impl Engine,
    shape: &Matrix,
    sums: Address,
    values: &NormValues,
    coefficients: Address,
    [epsilon, momentum]: [f64; 2],
) -> Result<()> {
    let Units { count, rows } = shape.units();
    let NormValues { weight, bias, mean, variance } = *values;
    let addresses = pointers([sums, weight, bias, coefficients, mean, variance]);
    let units = [int(count), Arg::Long(rows as i64), Arg::Double(epsilon), Arg::Double(momentum)];
    let grid = [shape.channels.div_ceil(CHANNELS_PER_BLOCK) as u32, 1];
    launch(engine, "norm_of_batch", grid, &[&addresses, &shape.rows_and_channels(), &units])
}

/// Coefficients from the running statistics.
pub fn norm_of_running(
    engine: &impl Engine,
    channels: usize,
    values: &NormValues,
    coefficients: Address,
    epsilon: f64,
) -> Result<()> {
    let NormValues { weight, bias, mean, variance } = *values;
    let addresses = pointers([weight, bias, mean, variance, coefficients]);
    launch(engine, "norm_of_running", blocks(channels), &[&addresses, &[int(channels), Arg::Double(epsilon)]])
}

/// Weights `[outputs, len]` with their norm folded into them, and the bias that it leaves, from f32 masters and the
/// coefficients of the norm; those of a projection, whose shift the bias takes along, may be [`NULL`].
pub fn fold_norm(
    engine: &impl Engine,
    precision: Precision,
    [weights, coefficients, projection]: [Address; 3],
    [folded, bias]: [Address; 2],
    [outputs, len]: [usize; 2],
) -> Result<()> {
    let kernel = pick(precision, "fold_norm_f32", "fold_norm_bf16");
    let addresses = pointers([weights, coefficients, projection, folded, bias]);
    launch(engine, kernel, blocks(outputs * len * precision.bytes() / 16), &[&addresses, &[int(outputs), int(len)]])
}

/// `y = relu(norm(z) + shortcut)`.
pub fn norm_apply(
    engine: &impl Engine,
    shape: &Matrix,
    z: Address,
    coefficients: Address,
    shortcut: Shortcut,
    y: Address,
) -> Result<()> {
    let ([f32, bf16], x, of_x) = match shortcut {
        Shortcut::None => (["norm_apply_f32", "norm_apply_bf16"], NULL, NULL),
        Shortcut::Identity(x) => (["norm_apply_identity_f32", "norm_apply_identity_bf16"], x, NULL),
        Shortcut::Projection(x, of_x) => (["norm_apply_projection_f32", "norm_apply_projection_bf16"], x, of_x),
    };
    let kernel = pick(shape.precision, f32, bf16);
    let addresses = pointers([z, coefficients, x, of_x, y]);
    launch(engine, kernel, shape.elementwise_grid(), &[&addresses, &shape.rows_and_channels()])
}

/// Units' sums for the gradient of a norm that a ReLU follows; `g` is the gradient behind the ReLU.
pub fn norm_backward_sums(
    engine: &impl Engine,
    shape: &Matrix,
    g: Address,
    z: Address,
    coefficients: Address,
    sums: Address,
) -> Result<()> {
    let kernel = pick(shape.precision, "norm_backward_sums_f32", "norm_backward_sums_bf16");
    let per_unit = [Arg::Long(shape.units().rows as i64)];
    let addresses = pointers([g, z, coefficients, sums]);
    launch(engine, kernel, shape.reduction_grid(), &[&addresses, &shape.rows_and_channels(), &per_unit])
}

/// `g = (a + b)` masked by the block's output, and the units' sums of the norms that end in it.
pub fn join_backward(engine: &impl Engine, shape: &Matrix, join: &Join, g: Address, sums: Address) -> Result<()> {
    let Join { a, b, y, main, projection } = *join;
    let kernel = if projection.0 == NULL {
        pick(shape.precision, "join_backward_f32", "join_backward_bf16")
    } else {
        pick(shape.precision, "join_backward_projection_f32", "join_backward_projection_bf16")
    };
    let addresses = pointers([a, b, y, main.0, main.1, projection.0, projection.1, g, sums]);
    let per_unit = [Arg::Long(shape.units().rows as i64)];
    launch(engine, kernel, shape.reduction_grid(), &[&addresses, &shape.rows_and_channels(), &per_unit])
}

/// Coefficients of a norm's gradient, and the gradients of its weight and bias, from the units' sums; `kind` is 1 for the
/// main path and 2 for the projection.
pub fn norm_differentiate(
    engine: &impl Engine,
    shape: &Matrix,
    sums: Address,
    kind: usize,
    coefficients: Address,
    [weight_gradient, bias_gradient]: [Address; 2],
) -> Result<()> {
    let addresses = pointers([sums, coefficients, weight_gradient, bias_gradient]);
    let units = [shape.units().count, kind].map(int);
    let grid = [shape.channels.div_ceil(CHANNELS_PER_BLOCK) as u32, 1];
    launch(engine, "norm_differentiate", grid, &[&addresses, &shape.rows_and_channels(), &units])
}

/// Coefficients of a norm's gradient where its statistics are the running ones.
pub fn norm_differentiate_running(engine: &impl Engine, channels: usize, coefficients: Address) -> Result<()> {
    let args = [Arg::Pointer(coefficients), int(channels)];
    launch(engine, "norm_differentiate_running", blocks(channels), &[&args])
}

/// The gradient of `z`; `masked` where `g` has yet to go through the ReLU. `dz` may be `g`.
pub fn norm_backward_apply(
    engine: &impl Engine,
    shape: &Matrix,
    g: Address,
    z: Address,
    coefficients: Address,
    masked: bool,
    dz: Address,
) -> Result<()> {
    let kernel = if masked {
        pick(shape.precision, "norm_backward_apply_masked_f32", "norm_backward_apply_masked_bf16")
    } else {
        pick(shape.precision, "norm_backward_apply_f32", "norm_backward_apply_bf16")
    };
    let addresses = pointers([g, z, coefficients, dz]);
    launch(engine, kernel, shape.elementwise_grid(), &[&addresses, &shape.rows_and_channels()])
}

/// Maximum over 3x3 windows of `relu(norm(z))`, and which element won.
pub fn max_pool(
    engine: &impl Engine,
    shape: &Images,
    z: Address,
    coefficients: Address,
    pooled: Address,
    winners: Address,
) -> Result<()> {
    let kernel = pick(shape.precision, "max_pool_f32", "max_pool_bf16");
    let to = shape.pooled();
    let grid = blocks(to.images * to.positions() * to.packs());
    launch(engine, kernel, grid, &[&pointers([z, coefficients, pooled, winners]), &shape.args()])
}

/// Gradient of the pooling's input, from `a + b` of its output.
pub fn max_pool_backward(
    engine: &impl Engine,
    shape: &Images,
    [a, b]: [Address; 2],
    winners: Address,
    g: Address,
) -> Result<()> {
    let kernel = pick(shape.precision, "max_pool_backward_f32", "max_pool_backward_bf16");
    let grid = blocks(shape.images * shape.positions() * shape.packs());
    launch(engine, kernel, grid, &[&pointers([a, b, winners, g]), &shape.args()])
}

/// `features[image, channel]`, f32: the mean over all positions.
pub fn average_pool(engine: &impl Engine, shape: &Images, y: Address, features: Address) -> Result<()> {
    let kernel = pick(shape.precision, "average_pool_f32", "average_pool_bf16");
    let grid = blocks(shape.images * shape.packs());
    launch(engine, kernel, grid, &[&pointers([y, features]), &shape.positions_args()])
}

/// Gradient of the average's input.
pub fn average_pool_backward(
    engine: &impl Engine,
    shape: &Images,
    features_gradient: Address,
    g: Address,
) -> Result<()> {
    let kernel = pick(shape.precision, "average_pool_backward_f32", "average_pool_backward_bf16");
    let grid = blocks(shape.images * shape.positions() * shape.packs());
    launch(engine, kernel, grid, &[&pointers([features_gradient, g]), &shape.positions_args()])
}

/// `logits = features x weightᵀ + bias`.
pub fn linear(
    engine: &impl Engine,
    shape: &HeadShape,
    features: Address,
    [weight, bias]: [Address; 2],
    logits: Address,
) -> Result<()> {
    let grid = [shape.images as u32, shape.classes as u32];
    launch(engine, "linear", grid, &[&pointers([features, weight, bias, logits]), &[int(shape.inputs)]])
}

/// Mean cross-entropy into `loss`, and its gradient.
pub fn cross_entropy(
    engine: &impl Engine,
    shape: &HeadShape,
    logits: Address,
    labels: Address,
    gradient: Address,
    loss: Address,
) -> Result<()> {
    let sizes = [shape.images, shape.classes].map(int);
    launch(engine, "cross_entropy", [1, 1], &[&pointers([logits, labels, gradient, loss]), &sizes])
}

/// The gradient of one logit of each image, that of the class in `classes`.
pub fn one_hot(engine: &impl Engine, shape: &HeadShape, classes: Address, gradient: Address) -> Result<()> {
    let sizes = [shape.images, shape.classes].map(int);
    let grid = blocks(shape.images * shape.classes);
    launch(engine, "one_hot", grid, &[&pointers([classes, gradient]), &sizes])
}

/// Gradients of the head's weight and bias.
pub fn linear_backward_weights(
    engine: &impl Engine,
    shape: &HeadShape,
    features: Address,
    logits_gradient: Address,
    [weight_gradient, bias_gradient]: [Address; 2],
) -> Result<()> {
    let addresses = pointers([features, logits_gradient, weight_gradient, bias_gradient]);
    let sizes = [shape.images, shape.classes, shape.inputs].map(int);
    let grid = blocks(shape.classes * (shape.inputs + 1));
    launch(engine, "linear_backward_weights", grid, &[&addresses, &sizes])
}

/// Gradient of the features.
pub fn linear_backward_features(
    engine: &impl Engine,
    shape: &HeadShape,
    logits_gradient: Address,
    weight: Address,
    features_gradient: Address,
) -> Result<()> {
    let addresses = pointers([logits_gradient, weight, features_gradient]);
    let sizes = [shape.images, shape.classes, shape.inputs].map(int);
    launch(engine, "linear_backward_features", blocks(shape.images * shape.inputs), &[&addresses, &sizes])
}

/// The flat buffers that Adam walks over; see `adam.cu`.
#[derive(Clone, Copy, Debug)]
pub struct AdamBuffers {
    /// f32 parameters.
    pub masters: Address,
    /// The convolutions' working copies, or [`NULL`].
    pub copies: Address,
    /// First and second moments.
    pub moments: [Address; 2],
    /// The convolutions' gradients, in the stored element.
    pub convolution_gradients: Address,
    /// All other gradients, f32.
    pub gradients: Address,
    /// Parameters in all, and how many of them are the convolutions'.
    pub lens: [usize; 2],
}

/// One Adam step over all parameters.
pub fn adam(engine: &impl Engine, precision: Precision, buffers: &AdamBuffers, step: AdamStep) -> Result<()> {
    let AdamBuffers { masters, copies, moments: [means, squares], convolution_gradients, gradients, lens } = *buffers;
    let addresses = pointers([masters, copies, means, squares, convolution_gradients, gradients]);
    let lens_args = lens.map(|len| Arg::Long(len as i64));
    let kernel = pick(precision, "adam_f32", "adam_bf16");
    launch(engine, kernel, blocks(lens[0] / CHANNEL_MULTIPLE), &[&addresses, &lens_args, &[Arg::Adam(step)]])
}

/// Grad-CAM's weights: the gradient `a + b`, averaged over positions, `[images, channels]`.
pub fn cam_weights(engine: &impl Engine, shape: &Images, [a, b]: [Address; 2], weights: Address) -> Result<()> {
    let kernel = pick(shape.precision, "cam_weights_f32", "cam_weights_bf16");
    let grid = blocks(shape.images * shape.packs());
    launch(engine, kernel, grid, &[&pointers([a, b, weights]), &shape.positions_args()])
}

/// Grad-CAM's map, `[images, positions]`.
pub fn cam_map(
    engine: &impl Engine,
    shape: &Images,
    activations: Address,
    weights: Address,
    map: Address,
) -> Result<()> {
    let kernel = pick(shape.precision, "cam_map_f32", "cam_map_bf16");
    let grid = [(shape.images * shape.positions()) as u32, 1];
    let sizes = [shape.positions(), shape.channels].map(int);
    launch(engine, kernel, grid, &[&pointers([activations, weights, map]), &sizes])
}
