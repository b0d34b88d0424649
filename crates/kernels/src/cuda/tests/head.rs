//! The classifier's linear layer and loss.

use crate::Precision;
use crate::cuda::engine::Engine;
use crate::cuda::launch;
use crate::cuda::shapes::HeadShape;
use crate::cuda::test_support::{Tensor, assert_close, on_each_device, random, upload_bytes};

/// Few and many images, classes and features.
const SHAPES: [HeadShape; 4] = [
    HeadShape { images: 1, classes: 2, inputs: 8 },
    HeadShape { images: 3, classes: 2, inputs: 2048 },
    HeadShape { images: 301, classes: 5, inputs: 32 },
    HeadShape { images: 7, classes: 256, inputs: 72 },
];

fn floats(key: u64, len: usize) -> Vec<f32> {
    random(key, len, 0.0, Precision::F32)
}

fn linear_layer_and_its_gradients<E: Engine>(engine: &E) {
    for shape in SHAPES {
        let HeadShape { images, classes, inputs } = shape;
        let context = format!("{shape:?}");
        let [x, w, b, g] = [(1, images * inputs), (2, classes * inputs), (3, classes), (4, images * classes)]
            .map(|(k, n)| floats(k, n));
        let [x_device, w_device, b_device, g_device] = [&x, &w, &b, &g].map(|values| Tensor::new_f32(engine, values));
        let poisoned = |len| Tensor::poisoned(engine, Precision::F32, len);
        let (logits, dw, db, dx) = (poisoned(g.len()), poisoned(w.len()), poisoned(b.len()), poisoned(x.len()));
        launch::linear(engine, &shape, x_device.address(), [w_device.address(), b_device.address()], logits.address())
            .unwrap();
        let gradients = [dw.address(), db.address()];
        launch::linear_backward_weights(engine, &shape, x_device.address(), g_device.address(), gradients).unwrap();
        launch::linear_backward_features(engine, &shape, g_device.address(), w_device.address(), dx.address()).unwrap();

        let mut expected = [vec![0.0; g.len()], vec![0.0; w.len()], vec![0.0; b.len()], vec![0.0; x.len()]];
        for image in 0..images {
            for class in 0..classes {
                let logit = image * classes + class;
                let gradient = f64::from(g[logit]);
                expected[0][logit] += f64::from(b[class]);
                expected[2][class] += gradient;
                for input in 0..inputs {
                    let (i, j) = (image * inputs + input, class * inputs + input);
                    expected[0][logit] += f64::from(x[i]) * f64::from(w[j]);
                    expected[1][j] += gradient * f64::from(x[i]);
                    expected[3][i] += gradient * f64::from(w[j]);
                }
            }
        }
        for (i, (actual, expected)) in [logits, dw, db, dx].iter().zip(&expected).enumerate() {
            assert_close(&format!("{context}: result {i}"), &actual.values(), expected, 1e-5);
        }
    }
}

fn cross_entropy_and_its_gradient<E: Engine>(engine: &E) {
    for shape in SHAPES {
        let HeadShape { images, classes, .. } = shape;
        // Without subtracting the maximum, the exponentials of these logits would overflow.
        let logits: Vec<f32> = floats(5, images * classes).into_iter().map(|value| 300.0 * value).collect();
        let labels: Vec<u8> = (0..images).map(|i| (i * 7 % classes) as u8).collect();
        let (logits_device, labels_device) = (Tensor::new_f32(engine, &logits), upload_bytes(engine, &labels));
        let gradient = Tensor::poisoned(engine, Precision::F32, logits.len());
        let loss = Tensor::poisoned(engine, Precision::F32, 1);
        let labels_address = engine.address(&labels_device);
        launch::cross_entropy(
            engine,
            &shape,
            logits_device.address(),
            labels_address,
            gradient.address(),
            loss.address(),
        )
        .unwrap();
        let (mut expected_loss, mut expected) = (0.0, Vec::new());
        for (row, &label) in logits.chunks(classes).zip(&labels) {
            let row: Vec<f64> = row.iter().map(|&value| f64::from(value)).collect();
            let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = row.iter().map(|value| (value - highest).exp()).sum();
            expected_loss += (total.ln() + highest - row[usize::from(label)]) / images as f64;
            expected.extend(row.iter().enumerate().map(|(class, value)| {
                let target = if class == usize::from(label) { 1.0 } else { 0.0 };
                ((value - highest).exp() / total - target) / images as f64
            }));
        }
        assert_close(&format!("{shape:?}: loss"), &loss.values(), &[expected_loss], 1e-6);
        assert_close(&format!("{shape:?}: gradient"), &gradient.values(), &expected, 1e-6);

        let one_hot = Tensor::poisoned(engine, Precision::F32, logits.len());
        launch::one_hot(engine, &shape, labels_address, one_hot.address()).unwrap();
        let is_label = |i: usize| if i % classes == usize::from(labels[i / classes]) { 1.0 } else { 0.0 };
        let expected: Vec<f64> = (0..logits.len()).map(is_label).collect();
        assert_close(&format!("{shape:?}: one hot"), &one_hot.values(), &expected, 0.0);
    }
}

on_each_device!(linear_layer_and_its_gradients, cross_entropy_and_its_gradient);
