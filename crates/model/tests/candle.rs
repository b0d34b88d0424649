//! Comparison with candle's ResNet-50, and training of a head on candle's autograd.

use candle_core::{DType, Device, Module, Tensor};
use candle_nn::{Optimizer, VarBuilder, VarMap};
use model::{Adam, AdamConfig, Error, Network};

use crate::common;

#[test]
fn inference_agrees_with_candle_transformers() {
    let mut network = common::network(7);
    let shape = [2, 64, 64];
    let data = common::pixels(shape[0], shape[1], shape[2]);
    // Two steps change the running statistics from their initial values.
    for _ in 0..2 {
        network.train_step(&common::batch(&data, shape), &[0, 1]).unwrap();
    }
    let ours = network.infer(&common::batch(&data, shape)).unwrap();

    let tensors = network.parameters().unwrap().into_iter().chain(network.statistics().unwrap()).collect();
    let builder = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let theirs = candle_transformers::models::resnet::resnet50(2, builder).unwrap();
    let normalisation = network.config().normalisation;
    let per_colour = |values: [f32; 3]| Tensor::new(&values, &Device::Cpu).unwrap();
    let x = Tensor::from_vec(data, (2, 64, 64, 3), &Device::Cpu).unwrap().to_dtype(DType::F32).unwrap();
    let x = (x / 255.0).unwrap().broadcast_sub(&per_colour(normalisation.mean)).unwrap();
    let x = x.broadcast_div(&per_colour(normalisation.std)).unwrap().permute((0, 3, 1, 2)).unwrap();
    let expected = common::elements(&theirs.forward(&x.contiguous().unwrap()).unwrap());
    assert_eq!(ours.values.len(), expected.len());
    for (ours, expected) in ours.values.iter().zip(&expected) {
        assert!((ours - expected).abs() <= 1e-4 * expected.abs().max(1.0), "{ours} instead of {expected}");
    }
}

#[test]
fn trains_a_candle_head_together_with_the_network() {
    let mut network = common::network(1);
    let mut adam = Adam::new(AdamConfig::default(), &network).unwrap();
    let variables = VarMap::new();
    let builder = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    let head = candle_nn::linear(2048, 3, builder.pp("head")).unwrap();
    // candle draws initial weights from a generator without a seed, so that the losses would differ between runs.
    for variable in variables.all_vars() {
        let values: Vec<f32> = (0..variable.elem_count()).map(|i| 0.02 * (i as f32 * 0.37).sin()).collect();
        variable.set(&Tensor::from_vec(values, variable.dims(), &Device::Cpu).unwrap()).unwrap();
    }
    let mut head_optimiser = candle_nn::SGD::new(variables.all_vars(), 0.001).unwrap();
    let shape = [3, 64, 64];
    let data = common::pixels(shape[0], shape[1], shape[2]);
    let labels = Tensor::new(&[0u32, 1, 2], &Device::Cpu).unwrap();
    let first = common::elements(&network.parameters().unwrap()["conv1.weight"]);
    let mut losses = Vec::new();
    for _ in 0..4 {
        let features = network.forward_features(&common::batch(&data, shape)).unwrap();
        let loss = candle_nn::loss::cross_entropy(&head.forward(&features).unwrap(), &labels).unwrap();
        let gradients = loss.backward().unwrap();
        network.backward_features(gradients.get(&features).unwrap()).unwrap();
        adam.step(&mut network).unwrap();
        head_optimiser.step(&gradients).unwrap();
        losses.push(loss.to_scalar::<f32>().unwrap());
    }
    assert!(losses[3] < 0.8 * losses[0], "{losses:?}");
    assert_ne!(common::elements(&network.parameters().unwrap()["conv1.weight"]), first);
    let wrong = Tensor::zeros((2, 2048), DType::F32, &Device::Cpu).unwrap();
    assert!(network.backward_features(&wrong).is_err());
}

#[test]
fn backward_features_agrees_with_train_step() {
    let shape = [3, 64, 64];
    let data = common::pixels(shape[0], shape[1], shape[2]);
    let mut one = common::network(4);
    one.train_step(&common::batch(&data, shape), &[0, 1, 1]).unwrap();
    let mut two = common::network(4);
    let features = two.forward_features(&common::batch(&data, shape)).unwrap();
    let parameters = two.parameters().unwrap();
    let head = candle_nn::Linear::new(parameters["fc.weight"].clone(), Some(parameters["fc.bias"].clone()));
    let labels = Tensor::new(&[0u32, 1, 1], &Device::Cpu).unwrap();
    let loss = candle_nn::loss::cross_entropy(&head.forward(&features).unwrap(), &labels).unwrap();
    two.backward_features(loss.backward().unwrap().get(&features).unwrap()).unwrap();
    let (one, two) = (one.gradients().unwrap(), two.gradients().unwrap());
    let norm = |values: &[f32]| values.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    for (name, expected) in &one {
        let (found, expected) = (common::elements(&two[name]), common::elements(expected));
        if name.starts_with("fc.") {
            // The loss used candle's head, so the network's own head has no gradient.
            assert!(found.iter().all(|&value| value == 0.0), "{name}");
            continue;
        }
        let difference: Vec<f32> = found.iter().zip(&expected).map(|(a, b)| a - b).collect();
        assert!(norm(&difference) <= 1e-4 * norm(&expected) && norm(&expected) > 0.0, "{name}");
    }
}

#[test]
fn backward_features_needs_the_activations_of_forward_features() {
    let mut network = common::network(4);
    let shape = [2, 64, 64];
    let data = common::pixels(shape[0], shape[1], shape[2]);
    let gradient = Tensor::zeros((2, 2048), DType::F32, &Device::Cpu).unwrap();
    let rejects = |network: &mut Network| matches!(network.backward_features(&gradient), Err(Error::NoForward));
    assert!(rejects(&mut network), "before the first forward pass");
    network.forward_features(&common::batch(&data, shape)).unwrap();
    network.backward_features(&gradient).unwrap();
    network.train_step(&common::batch(&data, shape), &[0, 1]).unwrap();
    assert!(rejects(&mut network), "after a step has overwritten the activations");
}
