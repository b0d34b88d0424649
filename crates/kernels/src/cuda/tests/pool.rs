//! Pooling, the pixels that go in, and Grad-CAM's weighting.

use crate::Precision;
use crate::cuda::engine::{Engine, NULL};
use crate::cuda::launch;
use crate::cuda::shapes::{COEFFICIENTS, Images};
use crate::cuda::test_support::{ELEMENTS, Tensor, assert_close, bytes, on_each_device, random, rounded, tolerance};

/// Odd and even sides, a single column, more packs than a block has threads.
fn shapes(precision: Precision) -> Vec<Images> {
    [(2, 7, 8, 8), (1, 8, 5, 24), (3, 1, 9, 16), (2, 13, 13, 64), (1, 2, 3, 2056)]
        .map(|(images, height, width, channels)| Images { images, height, width, channels, precision })
        .to_vec()
}

/// Coefficients `[COEFFICIENTS, channels]` whose scale and shift are given.
fn coefficients(scale: &[f32], shift: &[f32]) -> Vec<f32> {
    let channels = scale.len();
    let mut all = vec![f32::NAN; COEFFICIENTS * channels];
    all[2 * channels..3 * channels].copy_from_slice(scale);
    all[3 * channels..4 * channels].copy_from_slice(shift);
    all
}

/// For each output of the pooling the place of the input that wins it, if one is above zero, and its value.
fn winners(shape: &Images, values: &[f32]) -> Vec<Option<(usize, f32)>> {
    let Images { images, height, width, channels, .. } = *shape;
    let to = shape.pooled();
    let mut all = Vec::new();
    for image in 0..images {
        for out in 0..to.positions() {
            for c in 0..channels {
                let mut best: Option<(usize, f32)> = None;
                for tap in 0..9 {
                    let y = (out / to.width * 2 + tap / 3).wrapping_sub(1);
                    let x = (out % to.width * 2 + tap % 3).wrapping_sub(1);
                    if y < height && x < width {
                        let at = ((image * height + y) * width + x) * channels + c;
                        if values[at] > best.map_or(0.0, |(_, value)| value) {
                            best = Some((at, values[at]));
                        }
                    }
                }
                all.push(best);
            }
        }
    }
    all
}

fn max_pooling<E: Engine>(engine: &E) {
    for shape in ELEMENTS.into_iter().flat_map(shapes) {
        let (what, precision) = (format!("{shape:?}"), shape.precision);
        let (len, to_len) = (shape.matrix().rows * shape.channels, shape.pooled().matrix().rows * shape.channels);
        // Few different values, so that there are ties, some of them below zero.
        let z: Vec<f32> = random(1, len, 0.0, precision).into_iter().map(|value| (2.0 * value).round() / 2.0).collect();
        let scale: Vec<f32> = (0..shape.channels).map(|c| if c % 3 == 0 { -1.0 } else { 2.0 }).collect();
        let shift: Vec<f32> = (0..shape.channels).map(|c| (c % 5) as f32 * 0.25 - 0.5).collect();
        let normed: Vec<f32> =
            z.iter().enumerate().map(|(i, z)| scale[i % shape.channels] * z + shift[i % shape.channels]).collect();
        let expected = winners(&shape, &normed);

        let z_there = Tensor::new(engine, precision, &z);
        let coefficients = Tensor::floats(engine, &coefficients(&scale, &shift));
        let (pooled, places) = (Tensor::poisoned(engine, precision, to_len), bytes(engine, &vec![77; to_len]));
        let which = engine.address(&places);
        launch::max_pool(engine, &shape, z_there.at(), coefficients.at(), pooled.at(), which).unwrap();
        let values: Vec<f64> = expected.iter().map(|best| f64::from(best.map_or(0.0, |(_, value)| value))).collect();
        assert_close(&what, &pooled.values(), &values, 0.0);

        let [a, b] = [2, 3].map(|key| random(key, to_len, 0.0, precision));
        let [a_there, b_there] = [&a, &b].map(|values| Tensor::new(engine, precision, values));
        for two_parts in [false, true] {
            let g = Tensor::poisoned(engine, precision, len);
            let parts = [a_there.at(), if two_parts { b_there.at() } else { NULL }];
            launch::max_pool_backward(engine, &shape, parts, which, g.at()).unwrap();
            let mut gradient = vec![0.0; len];
            for (i, best) in expected.iter().enumerate() {
                if let Some((at, _)) = best {
                    gradient[*at] += f64::from(a[i]) + if two_parts { f64::from(b[i]) } else { 0.0 };
                }
            }
            assert_close(&format!("{what}: gradient"), &g.values(), &gradient, tolerance(precision));
        }
    }
}

fn average_pooling<E: Engine>(engine: &E) {
    for shape in ELEMENTS.into_iter().flat_map(shapes) {
        let (what, precision, channels) = (format!("{shape:?}"), shape.precision, shape.channels);
        let (positions, len) = (shape.positions(), shape.matrix().rows * channels);
        let y = random(4, len, 1.0, precision);
        let y_there = Tensor::new(engine, precision, &y);
        let features = Tensor::poisoned(engine, Precision::F32, shape.images * channels);
        launch::average_pool(engine, &shape, y_there.at(), features.at()).unwrap();
        let mut expected = vec![0.0; shape.images * channels];
        for (i, &value) in y.iter().enumerate() {
            expected[i / (positions * channels) * channels + i % channels] += f64::from(value) / positions as f64;
        }
        assert_close(&what, &features.values(), &expected, 1e-6);

        let g = random(5, shape.images * channels, 0.0, Precision::F32);
        let (g_there, spread) = (Tensor::floats(engine, &g), Tensor::poisoned(engine, precision, len));
        launch::average_pool_backward(engine, &shape, g_there.at(), spread.at()).unwrap();
        let share = |i: usize| f64::from(g[i / (positions * channels) * channels + i % channels]) / positions as f64;
        let expected: Vec<f64> = (0..len).map(share).collect();
        assert_close(&format!("{what}: gradient"), &spread.values(), &expected, tolerance(precision));
    }
}

fn pixels<E: Engine>(engine: &E) {
    let shape = |precision| Images { images: 3, height: 5, width: 7, channels: 4, precision };
    for precision in ELEMENTS {
        let shape = shape(precision);
        let source: Vec<u8> = (0..3 * 5 * 7 * 3).map(|i| (i * 89 % 256) as u8).collect();
        let table = random(6, 3 * 256, 0.0, Precision::F32);
        let (source_there, flips) = (bytes(engine, &source), bytes(engine, &[0, 1, 0]));
        let table_there = Tensor::floats(engine, &table);
        for mirrored in [false, true] {
            let to = Tensor::poisoned(engine, precision, shape.matrix().rows * 4);
            let flips = if mirrored { engine.address(&flips) } else { NULL };
            let from = engine.address(&source_there);
            launch::normalise_pixels(engine, &shape, from, table_there.at(), flips, to.at()).unwrap();
            let expected = |i: usize| {
                let (pixel, c) = (i / 4, i % 4);
                let (row, x) = (pixel / 7, pixel % 7);
                let x = if mirrored && row / 5 == 1 { 6 - x } else { x };
                let value = |c: usize| table[c * 256 + usize::from(source[(row * 7 + x) * 3 + c])];
                if c == 3 { 0.0 } else { f64::from(rounded(value(c), precision)) }
            };
            let expected: Vec<f64> = (0..shape.matrix().rows * 4).map(expected).collect();
            assert_close(&format!("{precision:?}, mirrored {mirrored}"), &to.values(), &expected, 0.0);
        }
    }
}

fn grad_cam<E: Engine>(engine: &E) {
    for shape in ELEMENTS.into_iter().flat_map(shapes) {
        let (what, precision, channels) = (format!("{shape:?}"), shape.precision, shape.channels);
        let (positions, len) = (shape.positions(), shape.matrix().rows * channels);
        let y = random(8, len, 0.0, precision);
        let [a, b] = [9, 10].map(|key| random(key, len, 0.0, precision));
        let [y_there, a_there, b_there] = [&y, &a, &b].map(|values| Tensor::new(engine, precision, values));
        for two_parts in [false, true] {
            let weights = Tensor::poisoned(engine, Precision::F32, shape.images * channels);
            let map = Tensor::poisoned(engine, Precision::F32, shape.matrix().rows);
            let parts = [a_there.at(), if two_parts { b_there.at() } else { NULL }];
            launch::cam_weights(engine, &shape, parts, weights.at()).unwrap();
            launch::cam_map(engine, &shape, y_there.at(), weights.at(), map.at()).unwrap();
            let mut mean = vec![0.0; shape.images * channels];
            for i in 0..len {
                let gradient = f64::from(a[i]) + if two_parts { f64::from(b[i]) } else { 0.0 };
                mean[i / (positions * channels) * channels + i % channels] += gradient / positions as f64;
            }
            assert_close(&format!("{what}: weights"), &weights.values(), &mean, 1e-5);
            let at = |pixel: usize| -> f64 {
                let mean = &mean[pixel / positions * channels..][..channels];
                let y = &y[pixel * channels..][..channels];
                mean.iter().zip(y).map(|(mean, &y)| mean * f64::from(y)).sum::<f64>().max(0.0)
            };
            let expected: Vec<f64> = (0..shape.matrix().rows).map(at).collect();
            assert_close(&format!("{what}: map"), &map.values(), &expected, 1e-5);
        }
    }
}

on_each_device!(max_pooling, average_pooling, pixels, grad_cam);
