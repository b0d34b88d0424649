//! Convolutions by themselves: cuDNN's on a card, and the emulation's plain loops, against loops in f64.

use crate::Precision;
use crate::cuda::engine::{Engine, FusedOperands, NULL, Scratch};
use crate::cuda::error::Error;
use crate::cuda::shapes::INPUT_MULTIPLE;
use crate::cuda::test_support::{ELEMENTS, Tensor, assert_close, on_each_device, random, tolerance};
use crate::{ConvShape, Gradients};

/// Kernels, strides and paddings of ResNet-50 over odd sizes, the stem's four channels, one image.
const SHAPES: [ConvShape; 6] = [
    geometry(2, (9, 7), (16, 24), (1, 1, 0)),
    geometry(3, (11, 6), (24, 16), (1, 2, 0)),
    geometry(1, (7, 10), (16, 8), (3, 1, 1)),
    geometry(2, (9, 13), (8, 32), (3, 2, 1)),
    geometry(2, (23, 17), (4, 16), (7, 2, 3)),
    geometry(1, (1, 1), (64, 8), (1, 1, 0)),
];

const fn geometry(
    images: usize,
    (height, width): (usize, usize),
    (inputs, outputs): (usize, usize),
    (kernel, stride, padding): (usize, usize, usize),
) -> ConvShape {
    ConvShape { images, height, width, inputs, outputs, kernel, stride, padding }
}

/// For each output and each element of the weight, its place and the input's, if that is inside of the picture.
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

fn convolutions<E: Engine>(engine: &E) {
    for precision in ELEMENTS {
        for shape in &SHAPES {
            check(engine, shape, precision);
        }
    }
}

fn check<E: Engine>(engine: &E, shape: &ConvShape, precision: Precision) {
    let (out_height, out_width) = shape.output();
    let lens = [
        shape.images * shape.height * shape.width * shape.inputs,
        shape.outputs * shape.kernel * shape.kernel * shape.inputs,
        shape.images * out_height * out_width * shape.outputs,
    ];
    let [x, w, dy] = [0, 1, 2].map(|i| random(i as u64, lens[i], 0.1, precision));
    let (shortcut, bias) = (random(3, lens[2], 0.0, precision), random(4, shape.outputs, 0.0, precision));
    let mut expected = lens.map(|len| vec![0.0; len]);
    for_each_product(shape, |x_at, w_at, y_at| {
        expected[0][x_at] += f64::from(dy[y_at]) * f64::from(w[w_at]);
        expected[1][w_at] += f64::from(dy[y_at]) * f64::from(x[x_at]);
        expected[2][y_at] += f64::from(x[x_at]) * f64::from(w[w_at]);
    });

    // Nobody asks for the gradient of pixels.
    let backward = Gradients { input: shape.inputs != INPUT_MULTIPLE, weight: true };
    let (by, bytes) = engine.prepare(shape, precision, backward).unwrap();
    let memory = engine.allocate(bytes.max(1)).unwrap();
    let scratch = Scratch { address: engine.address(&memory), bytes };
    let there = |values: &[f32]| Tensor::new(engine, precision, values);
    let [x, w, dy, shortcut_there, bias_there] = [&x, &w, &dy, &shortcut, &bias].map(|values| there(values));
    let [dx, dw, y] = lens.map(|len| Tensor::poisoned(engine, precision, len));
    engine.convolve(&by, scratch, x.at(), w.at(), y.at()).unwrap();
    engine.weight_gradient(&by, scratch, x.at(), dy.at(), dw.at()).unwrap();
    let mut all = vec![("dw", dw, &expected[1]), ("y", y, &expected[2])];
    if backward.input {
        engine.input_gradient(&by, scratch, w.at(), dy.at(), dx.at()).unwrap();
        all.push(("dx", dx, &expected[0]));
    }
    for (what, found, expected) in all {
        assert_close(&format!("{what} of {shape:?} in {precision:?}"), &found.values(), expected, tolerance(precision));
    }

    for with_shortcut in [false, true] {
        let y = Tensor::poisoned(engine, precision, lens[2]);
        let shortcut_at = if with_shortcut { shortcut_there.at() } else { NULL };
        let fused =
            FusedOperands { x: x.at(), weight: w.at(), bias: bias_there.at(), shortcut: shortcut_at, y: y.at() };
        match engine.convolve_fused(&by, scratch, fused) {
            Err(Error::NoFusion(_)) => continue,
            done => done.unwrap(),
        }
        let sum = |(i, product): (usize, &f64)| {
            let shortcut = if with_shortcut { f64::from(shortcut[i]) } else { 0.0 };
            (product + f64::from(bias[i % shape.outputs]) + shortcut).max(0.0)
        };
        let expected: Vec<f64> = expected[2].iter().enumerate().map(sum).collect();
        let what = format!("fused y of {shape:?} in {precision:?}, shortcut: {with_shortcut}");
        assert_close(&what, &y.values(), &expected, tolerance(precision));
    }
}

on_each_device!(convolutions);
