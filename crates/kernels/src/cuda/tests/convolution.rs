//! Compares convolutions by cuDNN, on a card, and by the emulator with a second implementation in f64.

use crate::Precision;
use crate::cuda::engine::{Engine, FusedOperands, NULL, Scratch};
use crate::cuda::error::Error;
use crate::cuda::shapes::INPUT_MULTIPLE;
use crate::cuda::test_support::{ELEMENT_TYPES, Tensor, assert_close, on_each_device, random, tolerance};
use crate::{ConvShape, Gradients};

/// The kernels, strides and paddings of ResNet-50 with odd sizes, the four channels of the stem, and single images.
const SHAPES: [ConvShape; 6] = [
    conv_shape(2, (9, 7), (16, 24), (1, 1, 0)),
    conv_shape(3, (11, 6), (24, 16), (1, 2, 0)),
    conv_shape(1, (7, 10), (16, 8), (3, 1, 1)),
    conv_shape(2, (9, 13), (8, 32), (3, 2, 1)),
    conv_shape(2, (23, 17), (4, 16), (7, 2, 3)),
    conv_shape(1, (1, 1), (64, 8), (1, 1, 0)),
];

const fn conv_shape(
    images: usize,
    (height, width): (usize, usize),
    (inputs, outputs): (usize, usize),
    (kernel, stride, padding): (usize, usize, usize),
) -> ConvShape {
    ConvShape { images, height, width, inputs, outputs, kernel, stride, padding }
}

/// Calls `f(x, w, y)` for each product, with the indices of its input and weight and of the output that it is added to.
fn for_each_product(shape: &ConvShape, mut f: impl FnMut(usize, usize, usize)) {
    let (out_height, out_width) = shape.output();
    for y in 0..shape.images * out_height * out_width * shape.outputs {
        let (pixel, output) = (y / shape.outputs, y % shape.outputs);
        let (image, row, column) = (pixel / out_width / out_height, pixel / out_width % out_height, pixel % out_width);
        for w in 0..shape.kernel * shape.kernel * shape.inputs {
            let (tap, input) = (w / shape.inputs, w % shape.inputs);
            let row = (row * shape.stride + tap / shape.kernel).wrapping_sub(shape.padding);
            let column = (column * shape.stride + tap % shape.kernel).wrapping_sub(shape.padding);
            if row < shape.height && column < shape.width {
                let x = ((image * shape.height + row) * shape.width + column) * shape.inputs + input;
                f(x, output * shape.kernel * shape.kernel * shape.inputs + w, y);
            }
        }
    }
}

fn convolution_and_its_gradients<E: Engine>(engine: &E) {
    for precision in ELEMENT_TYPES {
        for shape in &SHAPES {
            check(engine, shape, precision);
        }
    }
}

fn check<E: Engine>(engine: &E, shape: &ConvShape, precision: Precision) {
    let lens = [shape.input_len(), shape.weight_len(), shape.output_len()];
    let [x, w, dy] = [0, 1, 2].map(|i| random(i as u64, lens[i], 0.1, precision));
    let (shortcut, bias) = (random(3, lens[2], 0.0, precision), random(4, shape.outputs, 0.0, precision));
    let mut expected = lens.map(|len| vec![0.0; len]);
    for_each_product(shape, |i, j, k| {
        expected[0][i] += f64::from(dy[k]) * f64::from(w[j]);
        expected[1][j] += f64::from(dy[k]) * f64::from(x[i]);
        expected[2][k] += f64::from(x[i]) * f64::from(w[j]);
    });

    // The network never needs the gradient of pixels.
    let gradients = Gradients { input: shape.inputs != INPUT_MULTIPLE, weight: true };
    let (convolution, bytes) = engine.prepare_convolution(shape, precision, gradients).unwrap();
    let memory = engine.allocate(bytes.max(1)).unwrap();
    let scratch = Scratch { address: engine.address(&memory), bytes };
    let upload = |values: &[f32]| Tensor::new(engine, precision, values);
    let [x, w, dy, shortcut_device, bias_device] = [&x, &w, &dy, &shortcut, &bias].map(|values| upload(values));
    let [dx, dw, y] = lens.map(|len| Tensor::poisoned(engine, precision, len));
    engine.convolve(&convolution, scratch, x.address(), w.address(), y.address()).unwrap();
    engine.weight_gradient(&convolution, scratch, x.address(), dy.address(), dw.address()).unwrap();
    let mut results = vec![("dw", dw, &expected[1]), ("y", y, &expected[2])];
    if gradients.input {
        engine.input_gradient(&convolution, scratch, w.address(), dy.address(), dx.address()).unwrap();
        results.push(("dx", dx, &expected[0]));
    }
    for (name, actual, expected) in results {
        assert_close(
            &format!("{name} of {shape:?} in {precision:?}"),
            &actual.values(),
            expected,
            tolerance(precision),
        );
    }

    for with_shortcut in [false, true] {
        let y = Tensor::poisoned(engine, precision, lens[2]);
        let shortcut_address = if with_shortcut { shortcut_device.address() } else { NULL };
        let fused = FusedOperands {
            x: x.address(),
            weight: w.address(),
            bias: bias_device.address(),
            shortcut: shortcut_address,
            y: y.address(),
        };
        match engine.convolve_fused(&convolution, scratch, fused) {
            Err(Error::FusionUnsupported(_)) => continue,
            result => result.unwrap(),
        }
        let output = |(i, product): (usize, &f64)| {
            let shortcut = if with_shortcut { f64::from(shortcut[i]) } else { 0.0 };
            (product + f64::from(bias[i % shape.outputs]) + shortcut).max(0.0)
        };
        let expected: Vec<f64> = expected[2].iter().enumerate().map(output).collect();
        let name = format!("fused y of {shape:?} in {precision:?}, shortcut: {with_shortcut}");
        assert_close(&name, &y.values(), &expected, tolerance(precision));
    }
}

on_each_device!(convolution_and_its_gradients);
