//! Adam on a flat buffer with both kinds of gradients.

use crate::Precision;
use crate::adam::AdamStep;
use crate::cuda::engine::{Engine, NULL};
use crate::cuda::launch::{self, AdamBuffers};
use crate::cuda::test_support::{ELEMENT_TYPES, Tensor, assert_close, on_each_device, random, rounded, tolerance};

fn adam_step<E: Engine>(engine: &E) {
    let step = AdamStep {
        beta1: 0.9,
        beta2: 0.999,
        one_minus_beta1: 0.1,
        one_minus_beta2: 0.001,
        step_size: 1e-2,
        root_correction: 0.05,
        eps: 1e-8,
    };
    for (precision, lens) in ELEMENT_TYPES.into_iter().flat_map(|p| [(p, [8, 0]), (p, [4104, 2056]), (p, [64, 64])]) {
        let [len, convolution_len] = lens;
        let f32 = Precision::F32;
        let [p, m, mut g] = [1, 2, 3].map(|key| random(key, len, 0.0, f32));
        let v: Vec<f32> = random(4, len, 0.0, f32).into_iter().map(|value| value * value).collect();
        g[..convolution_len].iter_mut().for_each(|value| *value = rounded(*value, precision));
        // A parameter whose gradients were all zero, like padding, must not change: its update is zero divided by
        // epsilon.
        let mut state = [p, m, v];
        state.iter_mut().for_each(|values| values[len - 1] = 0.0);
        g[len - 1] = 0.0;
        let [masters, means, squares] = state.each_ref().map(|values| Tensor::new_f32(engine, values));
        let copies = Tensor::poisoned(engine, precision, convolution_len.max(8));
        let convolution_gradients = Tensor::new(engine, precision, &[&g[..convolution_len], &[0.0; 8]].concat());
        let gradients = Tensor::new_f32(engine, &[&g[convolution_len..], &[0.0; 8]].concat());
        let buffers = AdamBuffers {
            masters: masters.address(),
            copies: if precision == Precision::Bf16 { copies.address() } else { NULL },
            moments: [means.address(), squares.address()],
            convolution_gradients: convolution_gradients.address(),
            gradients: gradients.address(),
            lens,
        };
        launch::adam(engine, precision, &buffers, step).unwrap();

        let mut expected = [Vec::new(), Vec::new(), Vec::new()];
        for i in 0..len {
            let [p, m, v] = state.each_ref().map(|values| f64::from(values[i]));
            let g = f64::from(g[i]);
            let [m, v] = [0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g];
            let p = p - 1e-2 * m / (v.sqrt() / 0.05 + 1e-8);
            [p, m, v].into_iter().zip(&mut expected).for_each(|(value, to)| to.push(value));
        }
        let context = format!("{precision:?} {lens:?}");
        for (i, (actual, expected)) in [&masters, &means, &squares].iter().zip(&expected).enumerate() {
            assert_close(&format!("{context}: state {i}"), &actual.values(), expected, 1e-6);
        }
        assert_eq!(masters.values()[len - 1], 0.0, "{context}");
        if precision == Precision::Bf16 && convolution_len > 0 {
            let values = &copies.values()[..convolution_len];
            assert_close(&format!("{context}: copies"), values, &expected[0][..convolution_len], tolerance(precision));
        }
    }
}

on_each_device!(adam_step);
