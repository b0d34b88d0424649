//! Pooling, pixel normalisation and Grad-CAM.

use crate::Precision;
use crate::cuda::engine::{Engine, NULL};
use crate::cuda::launch;
use crate::cuda::shapes::{ImageShape, NORM_COEFFICIENTS};
use crate::cuda::test_support::{
    ELEMENT_TYPES, Tensor, assert_close, on_each_device, random, rounded, tolerance, upload_bytes,
};

/// Odd and even sides, a single column, and more packs than a block has threads.
fn shapes(precision: Precision) -> Vec<ImageShape> {
    [(2, 7, 8, 8), (1, 8, 5, 24), (3, 1, 9, 16), (2, 13, 13, 64), (1, 2, 3, 2056)]
        .map(|(images, height, width, channels)| ImageShape { images, height, width, channels, precision })
        .to_vec()
}

/// Returns coefficients `[NORM_COEFFICIENTS, channels]` with this scale and shift. The others are NaN, since pooling
/// does not read them.
fn coefficients(scale: &[f32], shift: &[f32]) -> Vec<f32> {
    let channels = scale.len();
    let mut all = vec![f32::NAN; NORM_COEFFICIENTS * channels];
    all[2 * channels..3 * channels].copy_from_slice(scale);
    all[3 * channels..4 * channels].copy_from_slice(shift);
    all
}

/// Returns the index and value of the maximum of each pooling window, or `None` if no value is above zero.
fn argmax(shape: &ImageShape, values: &[f32]) -> Vec<Option<(usize, f32)>> {
    let ImageShape { images, height, width, channels, .. } = *shape;
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
    for shape in ELEMENT_TYPES.into_iter().flat_map(shapes) {
        let (context, precision) = (format!("{shape:?}"), shape.precision);
        let (len, to_len) = (shape.matrix().rows * shape.channels, shape.pooled().matrix().rows * shape.channels);
        // Only few different values, so that there are ties, above and below zero.
        let z: Vec<f32> = random(1, len, 0.0, precision).into_iter().map(|value| (2.0 * value).round() / 2.0).collect();
        let scale: Vec<f32> = (0..shape.channels).map(|c| if c % 3 == 0 { -1.0 } else { 2.0 }).collect();
        let shift: Vec<f32> = (0..shape.channels).map(|c| (c % 5) as f32 * 0.25 - 0.5).collect();
        let normed: Vec<f32> =
            z.iter().enumerate().map(|(i, z)| scale[i % shape.channels] * z + shift[i % shape.channels]).collect();
        let expected = argmax(&shape, &normed);

        let z_device = Tensor::new(engine, precision, &z);
        let coefficients = Tensor::new_f32(engine, &coefficients(&scale, &shift));
        let (pooled, taps) = (Tensor::poisoned(engine, precision, to_len), upload_bytes(engine, &vec![77; to_len]));
        let taps_address = engine.address(&taps);
        launch::max_pool(engine, &shape, z_device.address(), coefficients.address(), pooled.address(), taps_address)
            .unwrap();
        let values: Vec<f64> = expected.iter().map(|best| f64::from(best.map_or(0.0, |(_, value)| value))).collect();
        assert_close(&context, &pooled.values(), &values, 0.0);

        let [a, b] = [2, 3].map(|key| random(key, to_len, 0.0, precision));
        let [a_device, b_device] = [&a, &b].map(|values| Tensor::new(engine, precision, values));
        for two_summands in [false, true] {
            let g = Tensor::poisoned(engine, precision, len);
            let parts = [a_device.address(), if two_summands { b_device.address() } else { NULL }];
            launch::max_pool_backward(engine, &shape, parts, taps_address, g.address()).unwrap();
            let mut gradient = vec![0.0; len];
            for (i, best) in expected.iter().enumerate() {
                if let Some((max, _)) = best {
                    gradient[*max] += f64::from(a[i]) + if two_summands { f64::from(b[i]) } else { 0.0 };
                }
            }
            assert_close(&format!("{context}: gradient"), &g.values(), &gradient, tolerance(precision));
        }
    }
}

fn average_pooling<E: Engine>(engine: &E) {
    for shape in ELEMENT_TYPES.into_iter().flat_map(shapes) {
        let (context, precision, channels) = (format!("{shape:?}"), shape.precision, shape.channels);
        let (positions, len) = (shape.positions(), shape.matrix().rows * channels);
        let y = random(4, len, 1.0, precision);
        let y_device = Tensor::new(engine, precision, &y);
        let features = Tensor::poisoned(engine, Precision::F32, shape.images * channels);
        launch::average_pool(engine, &shape, y_device.address(), features.address()).unwrap();
        let mut expected = vec![0.0; shape.images * channels];
        for (i, &value) in y.iter().enumerate() {
            expected[i / (positions * channels) * channels + i % channels] += f64::from(value) / positions as f64;
        }
        assert_close(&context, &features.values(), &expected, 1e-6);

        let g = random(5, shape.images * channels, 0.0, Precision::F32);
        let (g_device, dy) = (Tensor::new_f32(engine, &g), Tensor::poisoned(engine, precision, len));
        launch::average_pool_backward(engine, &shape, g_device.address(), dy.address()).unwrap();
        let share = |i: usize| f64::from(g[i / (positions * channels) * channels + i % channels]) / positions as f64;
        let expected: Vec<f64> = (0..len).map(share).collect();
        assert_close(&format!("{context}: gradient"), &dy.values(), &expected, tolerance(precision));
    }
}

fn pixel_normalisation<E: Engine>(engine: &E) {
    let shape = |precision| ImageShape { images: 3, height: 5, width: 7, channels: 4, precision };
    for precision in ELEMENT_TYPES {
        let shape = shape(precision);
        let source: Vec<u8> = (0..3 * 5 * 7 * 3).map(|i| (i * 89 % 256) as u8).collect();
        let table = random(6, 3 * 256, 0.0, Precision::F32);
        let (source_device, flips) = (upload_bytes(engine, &source), upload_bytes(engine, &[0, 1, 0]));
        let table_device = Tensor::new_f32(engine, &table);
        for flip in [false, true] {
            let to = Tensor::poisoned(engine, precision, shape.matrix().rows * 4);
            let flips = if flip { engine.address(&flips) } else { NULL };
            let from = engine.address(&source_device);
            launch::normalise_pixels(engine, &shape, from, table_device.address(), flips, to.address()).unwrap();
            let expected = |i: usize| {
                let (pixel, c) = (i / 4, i % 4);
                let (row, x) = (pixel / 7, pixel % 7);
                let x = if flip && row / 5 == 1 { 6 - x } else { x };
                let value = |c: usize| table[c * 256 + usize::from(source[(row * 7 + x) * 3 + c])];
                if c == 3 { 0.0 } else { f64::from(rounded(value(c), precision)) }
            };
            let expected: Vec<f64> = (0..shape.matrix().rows * 4).map(expected).collect();
            assert_close(&format!("{precision:?}, flip {flip}"), &to.values(), &expected, 0.0);
        }
    }
}

fn grad_cam<E: Engine>(engine: &E) {
    for shape in ELEMENT_TYPES.into_iter().flat_map(shapes) {
        let (context, precision, channels) = (format!("{shape:?}"), shape.precision, shape.channels);
        let (positions, len) = (shape.positions(), shape.matrix().rows * channels);
        let y = random(8, len, 0.0, precision);
        let [a, b] = [9, 10].map(|key| random(key, len, 0.0, precision));
        let [y_device, a_device, b_device] = [&y, &a, &b].map(|values| Tensor::new(engine, precision, values));
        for two_summands in [false, true] {
            let weights = Tensor::poisoned(engine, Precision::F32, shape.images * channels);
            let map = Tensor::poisoned(engine, Precision::F32, shape.matrix().rows);
            let parts = [a_device.address(), if two_summands { b_device.address() } else { NULL }];
            launch::cam_weights(engine, &shape, parts, weights.address()).unwrap();
            launch::cam_map(engine, &shape, y_device.address(), weights.address(), map.address()).unwrap();
            let mut mean = vec![0.0; shape.images * channels];
            for i in 0..len {
                let gradient = f64::from(a[i]) + if two_summands { f64::from(b[i]) } else { 0.0 };
                mean[i / (positions * channels) * channels + i % channels] += gradient / positions as f64;
            }
            assert_close(&format!("{context}: weights"), &weights.values(), &mean, 1e-5);
            let at = |pixel: usize| -> f64 {
                let mean = &mean[pixel / positions * channels..][..channels];
                let y = &y[pixel * channels..][..channels];
                mean.iter().zip(y).map(|(mean, &y)| mean * f64::from(y)).sum::<f64>().max(0.0)
            };
            let expected: Vec<f64> = (0..shape.matrix().rows).map(at).collect();
            assert_close(&format!("{context}: map"), &map.values(), &expected, 1e-5);
        }
    }
}

on_each_device!(max_pooling, average_pooling, pixel_normalisation, grad_cam);
