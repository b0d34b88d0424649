//! Launch functions, one for each kernel in `cuda/*.cu`. Each passes the kernel's arguments in the order of its
//! signature.
//!
//! Shapes are in brackets. Activations and their gradients have the element type of the shape; other tensors are f32.

use super::engine::{Address, Arg, Engine, NULL, THREADS};
use super::error::Result;
use super::shapes::{CHANNEL_MULTIPLE, CHANNELS_PER_BLOCK, HeadShape, ImageShape, MatrixShape, RowChunks, int};
use crate::adam::AdamStep;
use crate::precision::Precision;

/// The parameters and running statistics of a batch norm on the device, each `[channels]` in f32.
#[derive(Clone, Copy, Debug)]
pub struct NormTensors {
    /// Scale.
    pub weight: Address,
    /// Shift.
    pub bias: Address,
    /// Running mean.
    pub mean: Address,
    /// Running variance.
    pub variance: Address,
}

/// The tensor that is added before the ReLU at the end of a residual block.
#[derive(Clone, Copy, Debug)]
pub enum Shortcut {
    /// No tensor, because the layer is not the block's last.
    None,
    /// The block's input.
    Identity(Address),
    /// The batch norm of the projected input: the projection's output and the norm's coefficients.
    Projection(Address, Address),
}

/// The inputs of [`residual_join_backward`].
#[derive(Clone, Copy, Debug)]
pub struct ResidualJoin {
    /// The gradient of the block's output, or the first of its two summands.
    pub a: Address,
    /// The second summand, or [`NULL`].
    pub b: Address,
    /// The block's output.
    pub y: Address,
    /// The output of the block's last convolution, and the coefficients of its norm.
    pub main: (Address, Address),
    /// The same for the projection, or `(NULL, NULL)` if there is none.
    pub projection: (Address, Address),
}

/// Selects the kernel for the element type.
fn select(precision: Precision, f32: &'static str, bf16: &'static str) -> &'static str {
    match precision {
        Precision::F32 | Precision::Tf32 => f32,
        Precision::Bf16 => bf16,
    }
}

/// A grid with at least `threads` threads.
fn grid_of(threads: usize) -> [u32; 2] {
    [threads.div_ceil(THREADS as usize) as u32, 1]
}

fn pointers<const N: usize>(addresses: [Address; N]) -> [Arg; N] {
    addresses.map(Arg::Pointer)
}

/// Launches a kernel with the concatenation of the argument lists `args`.
fn launch(engine: &impl Engine, kernel: &'static str, grid: [u32; 2], args: &[&[Arg]]) -> Result<()> {
    engine.launch(kernel, grid, &args.concat())
}

/// Converts bytes `[images, height, width, 3]` to the network's input `[images, height, width, 4]`. `table` is f32
/// `[3, 256]` with the value of each byte. Image `i` is mirrored if `flips[i]`, a byte, is not zero; `flips` may be
/// [`NULL`].
pub fn normalise_pixels(
    engine: &impl Engine,
    shape: &ImageShape,
    pixels: Address,
    table: Address,
    flips: Address,
    to: Address,
) -> Result<()> {
    let kernel = select(shape.precision, "normalise_pixels_f32", "normalise_pixels_bf16");
    let grid = grid_of(shape.images * shape.positions());
    let sizes = [shape.images, shape.height, shape.width].map(int);
    launch(engine, kernel, grid, &[&pointers([pixels, table, flips, to]), &sizes])
}

/// Computes the partial sums of `z` for [`norm_batch_coefficients`], f32 `[row chunks, PARTIAL_SUMS, channels]`.
pub fn norm_statistics(engine: &impl Engine, shape: &MatrixShape, z: Address, sums: Address) -> Result<()> {
    let kernel = select(shape.precision, "norm_statistics_f32", "norm_statistics_bf16");
    let rows_per_chunk = [Arg::Long(shape.row_chunks().rows as i64)];
    launch(engine, kernel, shape.reduction_grid(), &[&pointers([z, sums]), &shape.args(), &rows_per_chunk])
}

/// Computes a norm's coefficients, f32 `[NORM_COEFFICIENTS, channels]`, from partial sums. Updates the running
/// statistics with weight `momentum`.
pub fn norm_batch_coefficients(
    engine: &impl Engine,
    shape: &MatrixShape,
    sums: Address,
    values: &NormTensors,
    coefficients: Address,
    [epsilon, momentum]: [f64; 2],
) -> Result<()> {
    let RowChunks { count, rows } = shape.row_chunks();
    let NormTensors { weight, bias, mean, variance } = *values;
    let addresses = pointers([sums, weight, bias, coefficients, mean, variance]);
    let chunks_and_constants = [int(count), Arg::Long(rows as i64), Arg::Double(epsilon), Arg::Double(momentum)];
    let grid = [shape.channels.div_ceil(CHANNELS_PER_BLOCK) as u32, 1];
    launch(engine, "norm_batch_coefficients", grid, &[&addresses, &shape.args(), &chunks_and_constants])
}

/// Computes a norm's coefficients from its running statistics.
pub fn norm_running_coefficients(
    engine: &impl Engine,
    channels: usize,
    values: &NormTensors,
    coefficients: Address,
    epsilon: f64,
) -> Result<()> {
    let NormTensors { weight, bias, mean, variance } = *values;
    let addresses = pointers([weight, bias, mean, variance, coefficients]);
    let args = [int(channels), Arg::Double(epsilon)];
    launch(engine, "norm_running_coefficients", grid_of(channels), &[&addresses, &args])
}

/// Folds a norm into the f32 weights `[outputs, len]` of the convolution before it. Writes the folded weights and the
/// bias `[outputs]`. `projection` holds the coefficients of a projection's norm, whose shift is added to the bias, or
/// is [`NULL`].
pub fn fold_norm(
    engine: &impl Engine,
    precision: Precision,
    [weights, coefficients, projection]: [Address; 3],
    [folded, bias]: [Address; 2],
    [outputs, len]: [usize; 2],
) -> Result<()> {
    let kernel = select(precision, "fold_norm_f32", "fold_norm_bf16");
    let addresses = pointers([weights, coefficients, projection, folded, bias]);
    launch(engine, kernel, grid_of(outputs * len * precision.bytes() / 16), &[&addresses, &[int(outputs), int(len)]])
}

/// Computes `y = relu(norm(z) + shortcut)`.
pub fn norm_apply(
    engine: &impl Engine,
    shape: &MatrixShape,
    z: Address,
    coefficients: Address,
    shortcut: Shortcut,
    y: Address,
) -> Result<()> {
    let ([f32, bf16], x, x_coefficients) = match shortcut {
        Shortcut::None => (["norm_apply_f32", "norm_apply_bf16"], NULL, NULL),
        Shortcut::Identity(x) => (["norm_apply_identity_f32", "norm_apply_identity_bf16"], x, NULL),
        Shortcut::Projection(x, x_coefficients) => {
            (["norm_apply_projection_f32", "norm_apply_projection_bf16"], x, x_coefficients)
        }
    };
    let kernel = select(shape.precision, f32, bf16);
    let addresses = pointers([z, coefficients, x, x_coefficients, y]);
    launch(engine, kernel, shape.elementwise_grid(), &[&addresses, &shape.args()])
}

/// Computes the partial sums for the gradient of a norm with a ReLU after it. `g` is the gradient of the ReLU's output.
pub fn norm_backward_sums(
    engine: &impl Engine,
    shape: &MatrixShape,
    g: Address,
    z: Address,
    coefficients: Address,
    sums: Address,
) -> Result<()> {
    let kernel = select(shape.precision, "norm_backward_sums_f32", "norm_backward_sums_bf16");
    let rows_per_chunk = [Arg::Long(shape.row_chunks().rows as i64)];
    let addresses = pointers([g, z, coefficients, sums]);
    launch(engine, kernel, shape.reduction_grid(), &[&addresses, &shape.args(), &rows_per_chunk])
}

/// Computes `g`, the gradient of the input of the ReLU at the end of a block, from `a + b`, the gradient of its output.
/// Also computes the partial sums for the gradients of the norms before the ReLU.
pub fn residual_join_backward(
    engine: &impl Engine,
    shape: &MatrixShape,
    join: &ResidualJoin,
    g: Address,
    sums: Address,
) -> Result<()> {
    let ResidualJoin { a, b, y, main, projection } = *join;
    let kernel = if projection.0 == NULL {
        select(shape.precision, "residual_join_backward_f32", "residual_join_backward_bf16")
    } else {
        select(shape.precision, "residual_join_backward_projection_f32", "residual_join_backward_projection_bf16")
    };
    let addresses = pointers([a, b, y, main.0, main.1, projection.0, projection.1, g, sums]);
    let rows_per_chunk = [Arg::Long(shape.row_chunks().rows as i64)];
    launch(engine, kernel, shape.reduction_grid(), &[&addresses, &shape.args(), &rows_per_chunk])
}

/// Computes the coefficients of a norm's gradient, and the gradients of its weight and bias, from partial sums. `kind`
/// is 1 for the main path and 2 for the projection.
pub fn norm_backward_coefficients(
    engine: &impl Engine,
    shape: &MatrixShape,
    sums: Address,
    kind: usize,
    coefficients: Address,
    [weight_gradient, bias_gradient]: [Address; 2],
) -> Result<()> {
    let addresses = pointers([sums, coefficients, weight_gradient, bias_gradient]);
    let sizes = [shape.row_chunks().count, kind].map(int);
    let grid = [shape.channels.div_ceil(CHANNELS_PER_BLOCK) as u32, 1];
    launch(engine, "norm_backward_coefficients", grid, &[&addresses, &shape.args(), &sizes])
}

/// Computes the coefficients of the gradient of a norm that uses its running statistics.
pub fn norm_backward_running_coefficients(engine: &impl Engine, channels: usize, coefficients: Address) -> Result<()> {
    let args = [Arg::Pointer(coefficients), int(channels)];
    launch(engine, "norm_backward_running_coefficients", grid_of(channels), &[&args])
}

/// Computes `dz`, the gradient of `z`. `g` is the gradient of the ReLU's output if `masked`, and of its input
/// otherwise. `dz` may be `g`.
pub fn norm_backward_apply(
    engine: &impl Engine,
    shape: &MatrixShape,
    g: Address,
    z: Address,
    coefficients: Address,
    masked: bool,
    dz: Address,
) -> Result<()> {
    let kernel = if masked {
        select(shape.precision, "norm_backward_apply_masked_f32", "norm_backward_apply_masked_bf16")
    } else {
        select(shape.precision, "norm_backward_apply_f32", "norm_backward_apply_bf16")
    };
    let addresses = pointers([g, z, coefficients, dz]);
    launch(engine, kernel, shape.elementwise_grid(), &[&addresses, &shape.args()])
}

/// Computes the max pooling of `relu(norm(z))` over 3x3 windows. `argmax` receives a byte per output: the index of the
/// maximum in its window, or 255 if no value is above zero.
pub fn max_pool(
    engine: &impl Engine,
    shape: &ImageShape,
    z: Address,
    coefficients: Address,
    pooled: Address,
    argmax: Address,
) -> Result<()> {
    let kernel = select(shape.precision, "max_pool_f32", "max_pool_bf16");
    let to = shape.pooled();
    let grid = grid_of(to.images * to.positions() * to.packs());
    launch(engine, kernel, grid, &[&pointers([z, coefficients, pooled, argmax]), &shape.args()])
}

/// Computes the gradient of the max pooling's input from `a + b`, the gradient of its output. `b` may be [`NULL`].
pub fn max_pool_backward(
    engine: &impl Engine,
    shape: &ImageShape,
    [a, b]: [Address; 2],
    argmax: Address,
    g: Address,
) -> Result<()> {
    let kernel = select(shape.precision, "max_pool_backward_f32", "max_pool_backward_bf16");
    let grid = grid_of(shape.images * shape.positions() * shape.packs());
    launch(engine, kernel, grid, &[&pointers([a, b, argmax, g]), &shape.args()])
}

/// Computes the mean over all positions, f32 `[images, channels]`.
pub fn average_pool(engine: &impl Engine, shape: &ImageShape, y: Address, features: Address) -> Result<()> {
    let kernel = select(shape.precision, "average_pool_f32", "average_pool_bf16");
    let grid = grid_of(shape.images * shape.packs());
    launch(engine, kernel, grid, &[&pointers([y, features]), &shape.positions_args()])
}

/// Computes the gradient of the average pooling's input.
pub fn average_pool_backward(
    engine: &impl Engine,
    shape: &ImageShape,
    features_gradient: Address,
    g: Address,
) -> Result<()> {
    let kernel = select(shape.precision, "average_pool_backward_f32", "average_pool_backward_bf16");
    let grid = grid_of(shape.images * shape.positions() * shape.packs());
    launch(engine, kernel, grid, &[&pointers([features_gradient, g]), &shape.positions_args()])
}

/// Computes `logits = features x weightᵀ + bias`, all f32.
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

/// Computes the mean softmax cross-entropy in nats, and its gradient `[images, classes]`. `labels` is a byte per image.
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

/// Writes the gradient of one logit per image: 1 for the class in `classes`, a byte per image, and 0 for the others.
pub fn one_hot(engine: &impl Engine, shape: &HeadShape, classes: Address, gradient: Address) -> Result<()> {
    let sizes = [shape.images, shape.classes].map(int);
    let grid = grid_of(shape.images * shape.classes);
    launch(engine, "one_hot", grid, &[&pointers([classes, gradient]), &sizes])
}

/// Computes the gradients of the classifier's weight and bias.
pub fn linear_backward_weights(
    engine: &impl Engine,
    shape: &HeadShape,
    features: Address,
    logits_gradient: Address,
    [weight_gradient, bias_gradient]: [Address; 2],
) -> Result<()> {
    let addresses = pointers([features, logits_gradient, weight_gradient, bias_gradient]);
    let sizes = [shape.images, shape.classes, shape.inputs].map(int);
    let grid = grid_of(shape.classes * (shape.inputs + 1));
    launch(engine, "linear_backward_weights", grid, &[&addresses, &sizes])
}

/// Computes the gradient of the features.
pub fn linear_backward_features(
    engine: &impl Engine,
    shape: &HeadShape,
    logits_gradient: Address,
    weight: Address,
    features_gradient: Address,
) -> Result<()> {
    let addresses = pointers([logits_gradient, weight, features_gradient]);
    let sizes = [shape.images, shape.classes, shape.inputs].map(int);
    launch(engine, "linear_backward_features", grid_of(shape.images * shape.inputs), &[&addresses, &sizes])
}

/// The flat buffers that Adam updates; see `adam.cu`.
#[derive(Clone, Copy, Debug)]
pub struct AdamBuffers {
    /// Parameters in f32.
    pub masters: Address,
    /// The convolutions' weights in bf16, or [`NULL`] if convolutions read the masters.
    pub copies: Address,
    /// First and second moments.
    pub moments: [Address; 2],
    /// Gradients of the convolutions' weights, in the element type of activations.
    pub convolution_gradients: Address,
    /// All other gradients, in f32.
    pub gradients: Address,
    /// The number of parameters, and the number of convolution weights among them. Convolution weights come first.
    pub lens: [usize; 2],
}

/// Updates all parameters with one step of Adam.
pub fn adam(engine: &impl Engine, precision: Precision, buffers: &AdamBuffers, step: AdamStep) -> Result<()> {
    let AdamBuffers { masters, copies, moments: [means, squares], convolution_gradients, gradients, lens } = *buffers;
    let addresses = pointers([masters, copies, means, squares, convolution_gradients, gradients]);
    let lens_args = lens.map(|len| Arg::Long(len as i64));
    let kernel = select(precision, "adam_f32", "adam_bf16");
    launch(engine, kernel, grid_of(lens[0] / CHANNEL_MULTIPLE), &[&addresses, &lens_args, &[Arg::Adam(step)]])
}

/// Computes Grad-CAM's weights, f32 `[images, channels]`: the mean of the gradient `a + b` over positions. `b` may be
/// [`NULL`].
pub fn cam_weights(engine: &impl Engine, shape: &ImageShape, [a, b]: [Address; 2], weights: Address) -> Result<()> {
    let kernel = select(shape.precision, "cam_weights_f32", "cam_weights_bf16");
    let grid = grid_of(shape.images * shape.packs());
    launch(engine, kernel, grid, &[&pointers([a, b, weights]), &shape.positions_args()])
}

/// Computes Grad-CAM's heat map, f32 `[images, positions]`.
pub fn cam_map(
    engine: &impl Engine,
    shape: &ImageShape,
    activations: Address,
    weights: Address,
    map: Address,
) -> Result<()> {
    let kernel = select(shape.precision, "cam_map_f32", "cam_map_bf16");
    let grid = [(shape.images * shape.positions()) as u32, 1];
    let sizes = [shape.positions(), shape.channels].map(int);
    launch(engine, kernel, grid, &[&pointers([activations, weights, map]), &sizes])
}
