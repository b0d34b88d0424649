//! Batch norm, with the shortcuts and ReLUs that are fused into its kernels.

use crate::Precision;
use crate::cuda::engine::{Engine, NULL};
use crate::cuda::launch::{self, NormTensors, ResidualJoin, Shortcut};
use crate::cuda::shapes::{MatrixShape, NORM_COEFFICIENTS, PARTIAL_SUMS};
use crate::cuda::test_support::{ELEMENT_TYPES, Tensor, assert_close, on_each_device, random, tolerance};

const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// Odd numbers of rows, few and many channels: one and several row chunks, one and several blocks across.
fn shapes(precision: Precision) -> Vec<MatrixShape> {
    [(7, 8), (37, 8), (1013, 24), (301, 64), (9001, 16), (9, 2056), (67, 1024)]
        .map(|(rows, channels)| MatrixShape { rows, channels, precision })
        .to_vec()
}

/// The inputs of a batch norm, with reference results in f64.
struct Case {
    shape: MatrixShape,
    z: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    running: [Vec<f32>; 2],
}

impl Case {
    fn new(shape: MatrixShape, key: u64) -> Self {
        let channels = shape.channels;
        // The means are far from zero, so that the test detects a loss of precision in sums of squares without a pivot.
        let f32 = Precision::F32;
        Self {
            shape,
            z: random(key, shape.rows * channels, 5.0, shape.precision),
            weight: random(key + 1, channels, 1.0, f32),
            bias: random(key + 2, channels, 0.0, f32),
            running: [random(key + 3, channels, 0.0, f32), random(key + 4, channels, 9.0, f32)],
        }
    }

    /// The mean and the biased variance of channel `c`.
    fn moments(&self, c: usize) -> (f64, f64) {
        let n = self.shape.rows as f64;
        let column = || self.z.iter().skip(c).step_by(self.shape.channels).map(|&value| f64::from(value));
        let mean = column().sum::<f64>() / n;
        (mean, column().map(|value| (value - mean).powi(2)).sum::<f64>() / n)
    }

    /// The scale and shift of channel `c` for the statistics of the batch.
    fn scale_and_shift(&self, c: usize) -> (f64, f64) {
        let (mean, variance) = self.moments(c);
        let scale = f64::from(self.weight[c]) / (variance + EPSILON).sqrt();
        (scale, f64::from(self.bias[c]) - mean * scale)
    }

    /// The output of the norm before the ReLU.
    fn output(&self) -> Vec<f64> {
        let coefficients: Vec<_> = (0..self.shape.channels).map(|c| self.scale_and_shift(c)).collect();
        let value = |(i, &z): (usize, &f32)| {
            let (scale, shift) = coefficients[i % self.shape.channels];
            scale * f64::from(z) + shift
        };
        self.z.iter().enumerate().map(value).collect()
    }

    /// Returns the gradients of z, weight and bias, from the gradient of the norm's output.
    fn gradients(&self, g: &[f64]) -> [Vec<f64>; 3] {
        let (n, channels) = (self.shape.rows as f64, self.shape.channels);
        let mut dz = vec![0.0; g.len()];
        let (mut d_weight, mut d_bias) = (vec![0.0; channels], vec![0.0; channels]);
        for c in 0..channels {
            let (mean, variance) = self.moments(c);
            let inverse = 1.0 / (variance + EPSILON).sqrt();
            let column = || (c..g.len()).step_by(channels);
            let normalised = |i: usize| (f64::from(self.z[i]) - mean) * inverse;
            d_bias[c] = column().map(|i| g[i]).sum();
            d_weight[c] = column().map(|i| g[i] * normalised(i)).sum();
            for i in column() {
                let centred = g[i] - d_bias[c] / n - normalised(i) * d_weight[c] / n;
                dz[i] = f64::from(self.weight[c]) * inverse * centred;
            }
        }
        [dz, d_weight, d_bias]
    }
}

/// A case in device memory, with the coefficients that the device computed.
struct DeviceCase<'a, E: Engine> {
    engine: &'a E,
    shape: MatrixShape,
    z: Tensor<'a, E>,
    coefficients: Tensor<'a, E>,
    sums: Tensor<'a, E>,
    running: [Tensor<'a, E>; 2],
    _parameters: [Tensor<'a, E>; 2],
}

impl<'a, E: Engine> DeviceCase<'a, E> {
    fn new(engine: &'a E, case: &Case) -> Self {
        let shape = case.shape;
        let z = Tensor::new(engine, shape.precision, &case.z);
        let sums = Tensor::poisoned(engine, Precision::F32, shape.row_chunks().count * PARTIAL_SUMS * shape.channels);
        let coefficients = Tensor::poisoned(engine, Precision::F32, NORM_COEFFICIENTS * shape.channels);
        let parameters = [&case.weight, &case.bias].map(|values| Tensor::new_f32(engine, values));
        let running = case.running.each_ref().map(|values| Tensor::new_f32(engine, values));
        let values = NormTensors {
            weight: parameters[0].address(),
            bias: parameters[1].address(),
            mean: running[0].address(),
            variance: running[1].address(),
        };
        launch::norm_statistics(engine, &shape, z.address(), sums.address()).unwrap();
        let constants = [EPSILON, MOMENTUM];
        launch::norm_batch_coefficients(engine, &shape, sums.address(), &values, coefficients.address(), constants)
            .unwrap();
        Self { engine, shape, z, coefficients, sums, running, _parameters: parameters }
    }

    /// Computes the gradients of z, weight and bias on the device. If `masked`, the kernel applies the ReLU's mask to
    /// `g`.
    fn gradients(&self, g: &Tensor<'a, E>, kind: usize, masked: bool) -> [Vec<f32>; 3] {
        let Self { engine, shape, z, coefficients, sums, .. } = self;
        let parameter_gradients = [0; 2].map(|_| Tensor::poisoned(*engine, Precision::F32, shape.channels));
        let dz = Tensor::poisoned(*engine, shape.precision, shape.rows * shape.channels);
        let addresses = parameter_gradients.each_ref().map(Tensor::address);
        launch::norm_backward_coefficients(*engine, shape, sums.address(), kind, coefficients.address(), addresses)
            .unwrap();
        launch::norm_backward_apply(
            *engine,
            shape,
            g.address(),
            z.address(),
            coefficients.address(),
            masked,
            dz.address(),
        )
        .unwrap();
        let [d_weight, d_bias] = parameter_gradients.map(|gradient| gradient.values());
        [dz.values(), d_weight, d_bias]
    }
}

fn relu(value: f64) -> f64 {
    value.max(0.0)
}

fn batch_statistics_and_output<E: Engine>(engine: &E) {
    for shape in ELEMENT_TYPES.into_iter().flat_map(shapes) {
        let (case, context) = (Case::new(shape, 10), format!("{shape:?}"));
        let device = DeviceCase::new(engine, &case);
        let moments: Vec<_> = (0..shape.channels).map(|c| case.moments(c)).collect();
        let n = shape.rows as f64;
        let updated = |old: &[f32], new: &dyn Fn((f64, f64)) -> f64| -> Vec<f64> {
            old.iter().zip(&moments).map(|(&old, &m)| 0.9 * f64::from(old) + MOMENTUM * new(m)).collect()
        };
        let mean = updated(&case.running[0], &|(mean, _)| mean);
        let variance = updated(&case.running[1], &|(_, variance)| variance * n / (n - 1.0));
        assert_close(&format!("{context} running mean"), &device.running[0].values(), &mean, 1e-6);
        assert_close(&format!("{context} running variance"), &device.running[1].values(), &variance, 1e-5);

        let len = shape.rows * shape.channels;
        let x = Case::new(shape, 20);
        let projected = DeviceCase::new(engine, &x);
        let output = case.output();
        let with = |shortcut: &[f64]| -> Vec<f64> { output.iter().zip(shortcut).map(|(a, b)| relu(a + b)).collect() };
        let plain: Vec<f64> = x.z.iter().map(|&value| f64::from(value)).collect();
        for (shortcut, expected) in [
            (Shortcut::None, with(&vec![0.0; len])),
            (Shortcut::Identity(projected.z.address()), with(&plain)),
            (Shortcut::Projection(projected.z.address(), projected.coefficients.address()), with(&x.output())),
        ] {
            let y = Tensor::poisoned(engine, shape.precision, len);
            let coefficients = device.coefficients.address();
            launch::norm_apply(engine, &shape, device.z.address(), coefficients, shortcut, y.address()).unwrap();
            assert_close(&format!("{context} {shortcut:?}"), &y.values(), &expected, tolerance(shape.precision));
        }
    }
}

fn output_and_gradient_with_running_statistics<E: Engine>(engine: &E) {
    let shape = MatrixShape { rows: 3, channels: 264, precision: Precision::F32 };
    let case = Case::new(shape, 30);
    let device = [&case.weight, &case.bias, &case.running[0], &case.running[1]].map(|v| Tensor::new_f32(engine, v));
    let [weight, bias, mean, variance] = device.each_ref().map(Tensor::address);
    let coefficients = Tensor::poisoned(engine, Precision::F32, NORM_COEFFICIENTS * shape.channels);
    let values = NormTensors { weight, bias, mean, variance };
    launch::norm_running_coefficients(engine, shape.channels, &values, coefficients.address(), EPSILON).unwrap();
    let (z, y) = (Tensor::new_f32(engine, &case.z), Tensor::poisoned(engine, Precision::F32, case.z.len()));
    launch::norm_apply(engine, &shape, z.address(), coefficients.address(), Shortcut::None, y.address()).unwrap();
    let scale = |c: usize| f64::from(case.weight[c]) / (f64::from(case.running[1][c]) + EPSILON).sqrt();
    let at = |(i, &z): (usize, &f32)| {
        let c = i % shape.channels;
        (scale(c), f64::from(z) - f64::from(case.running[0][c]), f64::from(case.bias[c]))
    };
    let expected: Vec<f64> = case.z.iter().enumerate().map(at).map(|(scale, d, bias)| relu(scale * d + bias)).collect();
    assert_close("running", &y.values(), &expected, 1e-6);

    // The running statistics do not depend on z, so the gradient of z is the scale times g.
    let g = random(33, case.z.len(), 0.0, Precision::F32);
    let (g_device, dz) = (Tensor::new_f32(engine, &g), Tensor::poisoned(engine, Precision::F32, g.len()));
    launch::norm_backward_running_coefficients(engine, shape.channels, coefficients.address()).unwrap();
    let address = coefficients.address();
    launch::norm_backward_apply(engine, &shape, g_device.address(), z.address(), address, false, dz.address()).unwrap();
    let expected: Vec<f64> = g.iter().enumerate().map(|(i, &g)| scale(i % shape.channels) * f64::from(g)).collect();
    assert_close("running gradient", &dz.values(), &expected, 1e-6);
}

fn gradient_through_relu<E: Engine>(engine: &E) {
    for shape in ELEMENT_TYPES.into_iter().flat_map(shapes) {
        let (case, context) = (Case::new(shape, 40), format!("{shape:?}"));
        let device = DeviceCase::new(engine, &case);
        let g = random(41, case.z.len(), 0.0, shape.precision);
        let g_device = Tensor::new(engine, shape.precision, &g);
        let masked: Vec<f64> =
            g.iter().zip(case.output()).map(|(&g, y)| if y > 0.0 { f64::from(g) } else { 0.0 }).collect();
        let coefficients = device.coefficients.address();
        launch::norm_backward_sums(
            engine,
            &shape,
            g_device.address(),
            device.z.address(),
            coefficients,
            device.sums.address(),
        )
        .unwrap();
        let actual = device.gradients(&g_device, 1, true);
        for (name, (actual, expected)) in ["z", "weight", "bias"].iter().zip(actual.iter().zip(case.gradients(&masked)))
        {
            let tolerance = if *name == "z" { tolerance(shape.precision) } else { 1e-5 };
            assert_close(&format!("{context} gradient of {name}"), actual, &expected, tolerance);
        }
    }
}

fn gradient_at_residual_join<E: Engine>(engine: &E) {
    for shape in ELEMENT_TYPES.into_iter().flat_map(shapes) {
        let (main, side) = (Case::new(shape, 50), Case::new(shape, 60));
        let (main_device, side_device) = (DeviceCase::new(engine, &main), DeviceCase::new(engine, &side));
        let len = main.z.len();
        let y: Vec<f32> = random(70, len, 0.0, shape.precision).into_iter().map(|value| value.max(0.0)).collect();
        let [a, b] = [71, 72].map(|key| random(key, len, 0.0, shape.precision));
        let [y_device, b_device] = [&y, &b].map(|values| Tensor::new(engine, shape.precision, values));
        for (two_summands, projection) in [(false, false), (true, false), (false, true), (true, true)] {
            let context = format!("{shape:?}, two summands {two_summands}, projection {projection}");
            let sum = |i: usize| if two_summands { a[i] + b[i] } else { a[i] };
            let masked: Vec<f64> = (0..len)
                .map(|i| {
                    if y[i] > 0.0 {
                        f64::from(crate::cuda::test_support::rounded(sum(i), shape.precision))
                    } else {
                        0.0
                    }
                })
                .collect();
            // The result overwrites the first summand.
            let g = Tensor::new(engine, shape.precision, &a);
            let side_addresses = (side_device.z.address(), side_device.coefficients.address());
            let join = ResidualJoin {
                a: g.address(),
                b: if two_summands { b_device.address() } else { NULL },
                y: y_device.address(),
                main: (main_device.z.address(), main_device.coefficients.address()),
                projection: if projection { side_addresses } else { (NULL, NULL) },
            };
            launch::residual_join_backward(engine, &shape, &join, g.address(), main_device.sums.address()).unwrap();
            assert_close(&format!("{context}: masked"), &g.values(), &masked, 0.0);
            let check = |actual: [Vec<f32>; 3], case: &Case| {
                for (i, (actual, expected)) in actual.iter().zip(case.gradients(&masked)).enumerate() {
                    let tolerance = if i == 0 { tolerance(shape.precision) } else { 1e-5 };
                    assert_close(&format!("{context}: gradient {i}"), actual, &expected, tolerance);
                }
            };
            check(main_device.gradients(&g, 1, false), &main);
            if projection {
                let side_device = DeviceCase {
                    sums: Tensor::new_f32(engine, &main_device.sums.values()),
                    ..DeviceCase::new(engine, &side)
                };
                check(side_device.gradients(&g, 2, false), &side);
            }
        }
    }
}

fn folding_into_convolution<E: Engine>(engine: &E) {
    for precision in ELEMENT_TYPES {
        for [outputs, len] in [[8, 8], [24, 9 * 16], [64, 256]] {
            let weights = random(20, outputs * len, 0.0, Precision::F32);
            let coefficients = [21, 22].map(|key| random(key, NORM_COEFFICIENTS * outputs, 0.5, Precision::F32));
            let [weights_device, main, projection] =
                [&weights, &coefficients[0], &coefficients[1]].map(|values| Tensor::new_f32(engine, values));
            for with_projection in [false, true] {
                let folded = Tensor::poisoned(engine, precision, weights.len());
                let bias = Tensor::poisoned(engine, precision, outputs);
                let from = [
                    weights_device.address(),
                    main.address(),
                    if with_projection { projection.address() } else { NULL },
                ];
                launch::fold_norm(engine, precision, from, [folded.address(), bias.address()], [outputs, len]).unwrap();
                // The order of `Coefficient` in norm.cuh: mean, inverse, scale, shift.
                let [scale, shift] = [2, 3].map(|kind| move |c: usize| kind * outputs + c);
                let expected = weights.iter().enumerate();
                let expected: Vec<f64> = expected
                    .map(|(i, &weight)| f64::from(weight) * f64::from(coefficients[0][scale(i / len)]))
                    .collect();
                let context = format!("{precision:?} {outputs} {len} {with_projection}");
                assert_close(&context, &folded.values(), &expected, tolerance(precision));
                let shifts = |c: usize| {
                    let projection_shift = if with_projection { f64::from(coefficients[1][shift(c)]) } else { 0.0 };
                    f64::from(coefficients[0][shift(c)]) + projection_shift
                };
                let expected: Vec<f64> = (0..outputs).map(shifts).collect();
                assert_close(&context, &bias.values(), &expected, tolerance(precision));
            }
        }
    }
}

on_each_device!(
    batch_statistics_and_output,
    output_and_gradient_with_running_statistics,
    gradient_through_relu,
    gradient_at_residual_join,
    folding_into_convolution,
);
