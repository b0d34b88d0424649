//! Compares options of the training with the CPU back end: soft targets, accumulation, clipping, weight decay and EMA.

use std::rc::Rc;

use kernels::Precision;
use kernels::cuda::Engine;
use kernels::cuda::test_support::{assert_close, on_each_device};

use super::{assert_tensors, cpu_network, device_network, images, to_f64};
use crate::batch::PixelBatch;
use crate::{Adam, AdamConfig, AveragedWeights, GradientSum, Network, clip_gradients};

/// Compares a step of two batches with soft targets, clipped gradients, weight decay and a moving average.
fn training_options_agree_with_cpu<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) {
    let config = AdamConfig { lr: 1e-3, eps: 1e-2, weight_decay: 10.0, ..AdamConfig::default() };
    let targets = [0.8, 0.1, 0.1, 0.2, 1.6, 0.2, 0.05, 0.05, 0.4];
    let result = |mut network: Network| {
        let mut adam = Adam::new(config, &network).unwrap();
        let mut average = AveragedWeights::new(&network, 0.5).unwrap();
        let mut sum = GradientSum::default();
        let mut norms = Vec::new();
        for step in 0..2 {
            for key in 0..2 {
                let data = images(3, 40, 35, 10 * step + key);
                let batch = PixelBatch { data: &data, n: 3, height: 40, width: 35 };
                network.start_soft_step(&batch, &targets).unwrap();
                sum.add(&mut network, 3.0).unwrap();
            }
            sum.take_mean(&mut network).unwrap();
            norms.push(clip_gradients(&mut network, 1e-3).unwrap() as f32);
            adam.step(&mut network).unwrap();
            average.update(&network).unwrap();
        }
        let losses: Vec<f32> = network.finished_steps().unwrap().iter().map(|step| step.loss).collect();
        let own = network.parameters().unwrap().iter().map(|(name, t)| (name.clone(), t.copy().unwrap())).collect();
        average.swap(&mut network).unwrap();
        (losses, norms, own, network.parameters().unwrap())
    };
    let (losses, norms, own, average) = result(device_network(engine, Precision::F32));
    let (cpu_losses, cpu_norms, cpu_own, cpu_average) = result(cpu_network());
    assert_close("losses", &losses, &to_f64(&cpu_losses), 1e-4);
    assert_close("norms", &norms, &to_f64(&cpu_norms), 1e-3);
    assert_tensors("parameter", &own, &cpu_own, 1e-3);
    assert_tensors("average", &average, &cpu_average, 1e-3);
}

on_each_device!(shared: training_options_agree_with_cpu);
