//! Batch norm with what is fused into it.

use crate::Precision;
use crate::cuda::engine::{Engine, NULL};
use crate::cuda::launch::{self, Join, NormValues, Shortcut};
use crate::cuda::shapes::{COEFFICIENTS, Matrix, SUMS};
use crate::cuda::test_support::{ELEMENTS, Tensor, assert_close, on_each_device, random, tolerance};

const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// Odd numbers of rows, few and many channels: one unit and several, one block across and several.
fn shapes(precision: Precision) -> Vec<Matrix> {
    [(7, 8), (37, 8), (1013, 24), (301, 64), (9001, 16), (9, 2056), (67, 1024)]
        .map(|(rows, channels)| Matrix { rows, channels, precision })
        .to_vec()
}

/// A batch norm's inputs and exact results.
struct Case {
    shape: Matrix,
    z: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    running: [Vec<f32>; 2],
}

impl Case {
    fn new(shape: Matrix, key: u64) -> Self {
        let channels = shape.channels;
        // Means far from zero, so that careless sums of squares would show.
        let f32 = Precision::F32;
        Self {
            shape,
            z: random(key, shape.rows * channels, 5.0, shape.precision),
            weight: random(key + 1, channels, 1.0, f32),
            bias: random(key + 2, channels, 0.0, f32),
            running: [random(key + 3, channels, 0.0, f32), random(key + 4, channels, 9.0, f32)],
        }
    }

    /// Mean and biased variance of a channel.
    fn moments(&self, c: usize) -> (f64, f64) {
        let n = self.shape.rows as f64;
        let column = || self.z.iter().skip(c).step_by(self.shape.channels).map(|&value| f64::from(value));
        let mean = column().sum::<f64>() / n;
        (mean, column().map(|value| (value - mean).powi(2)).sum::<f64>() / n)
    }

    fn scale_and_shift(&self, c: usize) -> (f64, f64) {
        let (mean, variance) = self.moments(c);
        let scale = f64::from(self.weight[c]) / (variance + EPSILON).sqrt();
        (scale, f64::from(self.bias[c]) - mean * scale)
    }

    /// The exact output of the normalisation at each element, without ReLU.
    fn normed(&self) -> Vec<f64> {
        let coefficients: Vec<_> = (0..self.shape.channels).map(|c| self.scale_and_shift(c)).collect();
        let value = |(i, &z): (usize, &f32)| {
            let (scale, shift) = coefficients[i % self.shape.channels];
            scale * f64::from(z) + shift
        };
        self.z.iter().enumerate().map(value).collect()
    }

    /// Exact gradients of z, the weight and the bias, from that of the normalisation's output.
    fn gradients(&self, g: &[f64]) -> [Vec<f64>; 3] {
        let (n, channels) = (self.shape.rows as f64, self.shape.channels);
        let mut dz = vec![0.0; g.len()];
        let (mut of_weight, mut of_bias) = (vec![0.0; channels], vec![0.0; channels]);
        for c in 0..channels {
            let (mean, variance) = self.moments(c);
            let inverse = 1.0 / (variance + EPSILON).sqrt();
            let places = || (c..g.len()).step_by(channels);
            let normalised = |i: usize| (f64::from(self.z[i]) - mean) * inverse;
            of_bias[c] = places().map(|i| g[i]).sum();
            of_weight[c] = places().map(|i| g[i] * normalised(i)).sum();
            for i in places() {
                let centred = g[i] - of_bias[c] / n - normalised(i) * of_weight[c] / n;
                dz[i] = f64::from(self.weight[c]) * inverse * centred;
            }
        }
        [dz, of_weight, of_bias]
    }
}

/// A case on a device, with the coefficients of the batch made there.
struct OnDevice<'a, E: Engine> {
    engine: &'a E,
    shape: Matrix,
    z: Tensor<'a, E>,
    coefficients: Tensor<'a, E>,
    sums: Tensor<'a, E>,
    running: [Tensor<'a, E>; 2],
    _parameters: [Tensor<'a, E>; 2],
}

impl<'a, E: Engine> OnDevice<'a, E> {
    fn new(engine: &'a E, case: &Case) -> Self {
        let shape = case.shape;
        let z = Tensor::new(engine, shape.precision, &case.z);
        let sums = Tensor::poisoned(engine, Precision::F32, shape.units().count * SUMS * shape.channels);
        let coefficients = Tensor::poisoned(engine, Precision::F32, COEFFICIENTS * shape.channels);
        let parameters = [&case.weight, &case.bias].map(|values| Tensor::floats(engine, values));
        let running = case.running.each_ref().map(|values| Tensor::floats(engine, values));
        let values = NormValues {
            weight: parameters[0].at(),
            bias: parameters[1].at(),
            mean: running[0].at(),
            variance: running[1].at(),
        };
        launch::norm_statistics(engine, &shape, z.at(), sums.at()).unwrap();
        let constants = [EPSILON, MOMENTUM];
        launch::norm_of_batch(engine, &shape, sums.at(), &values, coefficients.at(), constants).unwrap();
        Self { engine, shape, z, coefficients, sums, running, _parameters: parameters }
    }

    /// Gradients of z, weight and bias from a gradient that is masked already, or is by the kernel.
    fn differentiate(&self, g: &Tensor<'a, E>, kind: usize, masked: bool) -> [Vec<f32>; 3] {
        let Self { engine, shape, z, coefficients, sums, .. } = self;
        let to = [0; 2].map(|_| Tensor::poisoned(*engine, Precision::F32, shape.channels));
        let dz = Tensor::poisoned(*engine, shape.precision, shape.rows * shape.channels);
        let addresses = to.each_ref().map(Tensor::at);
        launch::norm_differentiate(*engine, shape, sums.at(), kind, coefficients.at(), addresses).unwrap();
        launch::norm_backward_apply(*engine, shape, g.at(), z.at(), coefficients.at(), masked, dz.at()).unwrap();
        [dz.values(), to[0].values(), to[1].values()]
    }
}

fn relu(value: f64) -> f64 {
    value.max(0.0)
}

fn statistics_and_output<E: Engine>(engine: &E) {
    for shape in ELEMENTS.into_iter().flat_map(shapes) {
        let (case, what) = (Case::new(shape, 10), format!("{shape:?}"));
        let device = OnDevice::new(engine, &case);
        let moments: Vec<_> = (0..shape.channels).map(|c| case.moments(c)).collect();
        let n = shape.rows as f64;
        let moved = |old: &[f32], new: &dyn Fn((f64, f64)) -> f64| -> Vec<f64> {
            old.iter().zip(&moments).map(|(&old, &m)| 0.9 * f64::from(old) + MOMENTUM * new(m)).collect()
        };
        let mean = moved(&case.running[0], &|(mean, _)| mean);
        let variance = moved(&case.running[1], &|(_, variance)| variance * n / (n - 1.0));
        assert_close(&format!("{what} running mean"), &device.running[0].values(), &mean, 1e-6);
        assert_close(&format!("{what} running variance"), &device.running[1].values(), &variance, 1e-5);

        let len = shape.rows * shape.channels;
        let x = Case::new(shape, 20);
        let projected = OnDevice::new(engine, &x);
        let normed = case.normed();
        let with = |shortcut: &[f64]| -> Vec<f64> { normed.iter().zip(shortcut).map(|(a, b)| relu(a + b)).collect() };
        let plain: Vec<f64> = x.z.iter().map(|&value| f64::from(value)).collect();
        for (shortcut, expected) in [
            (Shortcut::None, with(&vec![0.0; len])),
            (Shortcut::Identity(projected.z.at()), with(&plain)),
            (Shortcut::Projection(projected.z.at(), projected.coefficients.at()), with(&x.normed())),
        ] {
            let y = Tensor::poisoned(engine, shape.precision, len);
            let coefficients = device.coefficients.at();
            launch::norm_apply(engine, &shape, device.z.at(), coefficients, shortcut, y.at()).unwrap();
            assert_close(&format!("{what} {shortcut:?}"), &y.values(), &expected, tolerance(shape.precision));
        }
    }
}

fn running_statistics<E: Engine>(engine: &E) {
    let shape = Matrix { rows: 3, channels: 264, precision: Precision::F32 };
    let case = Case::new(shape, 30);
    let device = [&case.weight, &case.bias, &case.running[0], &case.running[1]].map(|v| Tensor::floats(engine, v));
    let [weight, bias, mean, variance] = device.each_ref().map(Tensor::at);
    let coefficients = Tensor::poisoned(engine, Precision::F32, COEFFICIENTS * shape.channels);
    let values = NormValues { weight, bias, mean, variance };
    launch::norm_of_running(engine, shape.channels, &values, coefficients.at(), EPSILON).unwrap();
    let (z, y) = (Tensor::floats(engine, &case.z), Tensor::poisoned(engine, Precision::F32, case.z.len()));
    launch::norm_apply(engine, &shape, z.at(), coefficients.at(), Shortcut::None, y.at()).unwrap();
    let scale = |c: usize| f64::from(case.weight[c]) / (f64::from(case.running[1][c]) + EPSILON).sqrt();
    let at = |(i, &z): (usize, &f32)| {
        let c = i % shape.channels;
        (scale(c), f64::from(z) - f64::from(case.running[0][c]), f64::from(case.bias[c]))
    };
    let expected: Vec<f64> = case.z.iter().enumerate().map(at).map(|(scale, d, bias)| relu(scale * d + bias)).collect();
    assert_close("running", &y.values(), &expected, 1e-6);

    // The gradient through constants is the scale alone.
    let g = random(33, case.z.len(), 0.0, Precision::F32);
    let (g_there, dz) = (Tensor::floats(engine, &g), Tensor::poisoned(engine, Precision::F32, g.len()));
    launch::norm_differentiate_running(engine, shape.channels, coefficients.at()).unwrap();
    let address = coefficients.at();
    launch::norm_backward_apply(engine, &shape, g_there.at(), z.at(), address, false, dz.at()).unwrap();
    let expected: Vec<f64> = g.iter().enumerate().map(|(i, &g)| scale(i % shape.channels) * f64::from(g)).collect();
    assert_close("running gradient", &dz.values(), &expected, 1e-6);
}

fn gradient_behind_a_relu<E: Engine>(engine: &E) {
    for shape in ELEMENTS.into_iter().flat_map(shapes) {
        let (case, what) = (Case::new(shape, 40), format!("{shape:?}"));
        let device = OnDevice::new(engine, &case);
        let g = random(41, case.z.len(), 0.0, shape.precision);
        let g_there = Tensor::new(engine, shape.precision, &g);
        let masked: Vec<f64> =
            g.iter().zip(case.normed()).map(|(&g, y)| if y > 0.0 { f64::from(g) } else { 0.0 }).collect();
        let coefficients = device.coefficients.at();
        launch::norm_backward_sums(engine, &shape, g_there.at(), device.z.at(), coefficients, device.sums.at())
            .unwrap();
        let found = device.differentiate(&g_there, 1, true);
        for (name, (found, expected)) in ["z", "weight", "bias"].iter().zip(found.iter().zip(case.gradients(&masked))) {
            let tolerance = if *name == "z" { tolerance(shape.precision) } else { 1e-5 };
            assert_close(&format!("{what} gradient of {name}"), found, &expected, tolerance);
        }
    }
}

fn gradient_where_blocks_meet<E: Engine>(engine: &E) {
    for shape in ELEMENTS.into_iter().flat_map(shapes) {
        let (main, side) = (Case::new(shape, 50), Case::new(shape, 60));
        let (main_there, side_there) = (OnDevice::new(engine, &main), OnDevice::new(engine, &side));
        let len = main.z.len();
        let y: Vec<f32> = random(70, len, 0.0, shape.precision).into_iter().map(|value| value.max(0.0)).collect();
        let [a, b] = [71, 72].map(|key| random(key, len, 0.0, shape.precision));
        let [y_there, b_there] = [&y, &b].map(|values| Tensor::new(engine, shape.precision, values));
        for (two_parts, projection) in [(false, false), (true, false), (false, true), (true, true)] {
            let what = format!("{shape:?}, two parts {two_parts}, projection {projection}");
            let sum = |i: usize| if two_parts { a[i] + b[i] } else { a[i] };
            let masked: Vec<f64> = (0..len)
                .map(|i| {
                    if y[i] > 0.0 {
                        f64::from(crate::cuda::test_support::rounded(sum(i), shape.precision))
                    } else {
                        0.0
                    }
                })
                .collect();
            // The result goes where the first part stood.
            let g = Tensor::new(engine, shape.precision, &a);
            let side_addresses = (side_there.z.at(), side_there.coefficients.at());
            let join = Join {
                a: g.at(),
                b: if two_parts { b_there.at() } else { NULL },
                y: y_there.at(),
                main: (main_there.z.at(), main_there.coefficients.at()),
                projection: if projection { side_addresses } else { (NULL, NULL) },
            };
            launch::join_backward(engine, &shape, &join, g.at(), main_there.sums.at()).unwrap();
            assert_close(&format!("{what}: masked"), &g.values(), &masked, 0.0);
            let check = |found: [Vec<f32>; 3], case: &Case| {
                for (i, (found, expected)) in found.iter().zip(case.gradients(&masked)).enumerate() {
                    let tolerance = if i == 0 { tolerance(shape.precision) } else { 1e-5 };
                    assert_close(&format!("{what}: gradient {i}"), found, &expected, tolerance);
                }
            };
            check(main_there.differentiate(&g, 1, false), &main);
            if projection {
                let side_there = OnDevice {
                    sums: Tensor::floats(engine, &main_there.sums.values()),
                    ..OnDevice::new(engine, &side)
                };
                check(side_there.differentiate(&g, 2, false), &side);
            }
        }
    }
}

fn folding<E: Engine>(engine: &E) {
    for precision in ELEMENTS {
        for [outputs, len] in [[8, 8], [24, 9 * 16], [64, 256]] {
            let weights = random(20, outputs * len, 0.0, Precision::F32);
            let coefficients = [21, 22].map(|key| random(key, COEFFICIENTS * outputs, 0.5, Precision::F32));
            let [weights_there, main, projection] =
                [&weights, &coefficients[0], &coefficients[1]].map(|values| Tensor::floats(engine, values));
            for other in [false, true] {
                let folded = Tensor::poisoned(engine, precision, weights.len());
                let bias = Tensor::poisoned(engine, precision, outputs);
                let from = [weights_there.at(), main.at(), if other { projection.at() } else { NULL }];
                launch::fold_norm(engine, precision, from, [folded.at(), bias.at()], [outputs, len]).unwrap();
                // The order of `Coefficient` in norm.cuh: mean, inverse, scale, shift.
                let [scale, shift] = [2, 3].map(|kind| move |c: usize| kind * outputs + c);
                let expected = weights.iter().enumerate();
                let expected: Vec<f64> = expected
                    .map(|(i, &weight)| f64::from(weight) * f64::from(coefficients[0][scale(i / len)]))
                    .collect();
                let what = format!("{precision:?} {outputs} {len} {other}");
                assert_close(&what, &folded.values(), &expected, tolerance(precision));
                let shifts = |c: usize| {
                    let others = if other { f64::from(coefficients[1][shift(c)]) } else { 0.0 };
                    f64::from(coefficients[0][shift(c)]) + others
                };
                let expected: Vec<f64> = (0..outputs).map(shifts).collect();
                assert_close(&what, &bias.values(), &expected, tolerance(precision));
            }
        }
    }
}

on_each_device!(statistics_and_output, running_statistics, gradient_behind_a_relu, gradient_where_blocks_meet, folding);
