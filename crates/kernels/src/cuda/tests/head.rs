//! The classifier at the end.

use crate::Precision;
use crate::cuda::engine::Engine;
use crate::cuda::launch;
use crate::cuda::shapes::HeadShape;
use crate::cuda::test_support::{Tensor, assert_close, bytes, on_each_device, random};

/// Few and many images, classes and inputs.
const SHAPES: [HeadShape; 4] = [
    HeadShape { images: 1, classes: 2, inputs: 8 },
    HeadShape { images: 3, classes: 2, inputs: 2048 },
    HeadShape { images: 301, classes: 5, inputs: 32 },
    HeadShape { images: 7, classes: 256, inputs: 72 },
];

fn floats(key: u64, len: usize) -> Vec<f32> {
    random(key, len, 0.0, Precision::F32)
}

fn linear_layer<E: Engine>(engine: &E) {
    for shape in SHAPES {
        let HeadShape { images, classes, inputs } = shape;
        let what = format!("{shape:?}");
        let [x, w, b, g] = [(1, images * inputs), (2, classes * inputs), (3, classes), (4, images * classes)]
            .map(|(k, n)| floats(k, n));
        let [x_there, w_there, b_there, g_there] = [&x, &w, &b, &g].map(|values| Tensor::floats(engine, values));
        let poisoned = |len| Tensor::poisoned(engine, Precision::F32, len);
        let (logits, dw, db, dx) = (poisoned(g.len()), poisoned(w.len()), poisoned(b.len()), poisoned(x.len()));
        launch::linear(engine, &shape, x_there.at(), [w_there.at(), b_there.at()], logits.at()).unwrap();
        let gradients = [dw.at(), db.at()];
        launch::linear_backward_weights(engine, &shape, x_there.at(), g_there.at(), gradients).unwrap();
        launch::linear_backward_features(engine, &shape, g_there.at(), w_there.at(), dx.at()).unwrap();

        let mut expected = [vec![0.0; g.len()], vec![0.0; w.len()], vec![0.0; b.len()], vec![0.0; x.len()]];
        for image in 0..images {
            for class in 0..classes {
                let (at, of_logit) = (image * classes + class, f64::from(g[image * classes + class]));
                expected[0][at] += f64::from(b[class]);
                expected[2][class] += of_logit;
                for input in 0..inputs {
                    let (x_at, w_at) = (image * inputs + input, class * inputs + input);
                    expected[0][at] += f64::from(x[x_at]) * f64::from(w[w_at]);
                    expected[1][w_at] += of_logit * f64::from(x[x_at]);
                    expected[3][x_at] += of_logit * f64::from(w[w_at]);
                }
            }
        }
        for (i, (found, expected)) in [logits, dw, db, dx].iter().zip(&expected).enumerate() {
            assert_close(&format!("{what}: result {i}"), &found.values(), expected, 1e-5);
        }
    }
}

fn softmax_cross_entropy<E: Engine>(engine: &E) {
    for shape in SHAPES {
        let HeadShape { images, classes, .. } = shape;
        // Far beyond what an exponential of an unshifted logit bears.
        let logits: Vec<f32> = floats(5, images * classes).into_iter().map(|value| 300.0 * value).collect();
        let labels: Vec<u8> = (0..images).map(|i| (i * 7 % classes) as u8).collect();
        let (logits_there, labels_there) = (Tensor::floats(engine, &logits), bytes(engine, &labels));
        let gradient = Tensor::poisoned(engine, Precision::F32, logits.len());
        let loss = Tensor::poisoned(engine, Precision::F32, 1);
        let labels_at = engine.address(&labels_there);
        launch::cross_entropy(engine, &shape, logits_there.at(), labels_at, gradient.at(), loss.at()).unwrap();
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

        let wanted = Tensor::poisoned(engine, Precision::F32, logits.len());
        launch::one_hot(engine, &shape, labels_at, wanted.at()).unwrap();
        let is_label = |i: usize| if i % classes == usize::from(labels[i / classes]) { 1.0 } else { 0.0 };
        let expected: Vec<f64> = (0..logits.len()).map(is_label).collect();
        assert_close(&format!("{shape:?}: one hot"), &wanted.values(), &expected, 0.0);
    }
}

on_each_device!(linear_layer, softmax_cross_entropy);
