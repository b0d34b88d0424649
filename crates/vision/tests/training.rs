//! Gradients and LoRA: against transformers' gradients, and against finite differences.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor, Var};
use vision::{
    Activation, FineTuning, LoraConfig, LoraLayer, Precision, Tower, TrainableFeatures, TrainableTower,
    activate_with_gradient, attention_with_gradient, layer_norm_with_gradient, linear_with_gradient,
};

use crate::common::{CASES, Golden, assert_close, uniform};

const ALL: [LoraLayer; 6] =
    [LoraLayer::Query, LoraLayer::Key, LoraLayer::Value, LoraLayer::Output, LoraLayer::Fc1, LoraLayer::Fc2];

fn lora(rank: usize, layers: &[LoraLayer]) -> FineTuning {
    FineTuning::Lora(LoraConfig { rank, alpha: 6.0, layers: layers.to_vec() })
}

fn elements(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The loss of `tests/golden/vision.py`: a weighted sum of all outputs.
fn loss(features: &TrainableFeatures) -> Tensor {
    let all = [&features.layers, features.pooled.as_ref().unwrap()].map(|tensor| tensor.flatten_all().unwrap());
    let all = Tensor::cat(&all, 0).unwrap();
    let weights: Vec<f32> = uniform("loss", all.elem_count()).iter().map(|u| (u - 0.5) as f32).collect();
    (all * Tensor::new(weights, &Device::Cpu).unwrap()).unwrap().sum_all().unwrap()
}

fn forward(tower: &TrainableTower, golden: &Golden) -> TrainableFeatures {
    let layers: Vec<usize> = (0..tower.config().depth).collect();
    tower.forward(&golden.pixels(), golden.images, &layers).unwrap()
}

fn open(golden: &Golden, folder: &Path, method: &FineTuning) -> TrainableTower {
    TrainableTower::open(&golden.write(folder), method, 7).unwrap()
}

#[test]
fn outputs_and_gradients_of_all_parameters_match_transformers() {
    for case in CASES {
        let (golden, folder) = (Golden::read(case), tempfile::tempdir().unwrap());
        let tower = open(&golden, folder.path(), &FineTuning::Full);
        let features = forward(&tower, &golden);
        assert_close(&elements(&features.layers), &golden.features, 1e-5, case);
        assert_close(&elements(features.pooled.as_ref().unwrap()), &golden.pooled, 1e-5, case);
        let loss = loss(&features);
        assert_close(&elements(&loss), &[golden.loss], 1e-5, case);
        let gradients = loss.backward().unwrap();
        let names: Vec<&String> = golden.gradients.keys().collect();
        assert_eq!(tower.parameters().keys().collect::<Vec<_>>(), names, "{case}");
        for (name, parameter) in tower.parameters() {
            let (expected, found) = (&golden.gradients[name], elements(gradients.get(parameter).unwrap()));
            let norm = found.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
            // The gradient of the keys' bias is a sum of terms near 1 that is zero, so rounding is all that is left.
            let scale = expected.norm.max(0.1);
            assert!((norm - expected.norm).abs() <= 1e-4 * scale, "{case}, {name}: {norm}, not {}", expected.norm);
            for (&at, value) in expected.at.iter().zip(&expected.values) {
                let difference = (f64::from(found[at]) - value).abs();
                assert!(difference <= 1e-4 * scale, "{case}, {name}[{at}]: {} instead of {value}", found[at]);
            }
        }
    }
}

#[test]
fn rank_zero_and_initial_lora_equal_the_frozen_tower_bit_for_bit() {
    for case in CASES {
        let (golden, folder) = (Golden::read(case), tempfile::tempdir().unwrap());
        let frozen = open(&golden, folder.path(), &FineTuning::Frozen);
        assert!(frozen.parameters().is_empty());
        let expected = forward(&frozen, &golden);
        for rank in [0, 3] {
            let tower = open(&golden, folder.path(), &lora(rank, &ALL));
            assert_eq!(tower.parameters().len(), if rank == 0 { 0 } else { 2 * 6 * 2 });
            let found = forward(&tower, &golden);
            assert_eq!(elements(&found.layers), elements(&expected.layers), "{case}, rank {rank}");
            let [found, expected] = [found, expected.clone()].map(|features| elements(&features.pooled.unwrap()));
            assert_eq!(found, expected, "{case}, rank {rank}");
        }
        // The pooled output of the inference path does the same arithmetic; only SigLIP's attention pooling differs.
        if case != "siglip" {
            let tower = Tower::open(&folder.path().join("model.safetensors")).unwrap();
            let features = tower.features(&golden.pixels(), golden.images, &[0, 1]).unwrap();
            assert_eq!(elements(&expected.pooled.unwrap()), features.pooled.unwrap(), "{case}");
        }
    }
}

/// Sets all parameters to noise, so that no gradient is zero because another matrix is.
fn shake(tower: &TrainableTower) {
    for (name, parameter) in tower.parameters() {
        let noise: Vec<f32> = uniform(name, parameter.elem_count()).iter().map(|u| (0.4 * u - 0.2) as f32).collect();
        parameter.set(&Tensor::from_vec(noise, parameter.shape(), &Device::Cpu).unwrap()).unwrap();
    }
}

#[test]
fn gradients_of_lora_match_finite_differences() {
    for case in ["clip", "dinov2_registers", "siglip"] {
        let (golden, folder) = (Golden::read(case), tempfile::tempdir().unwrap());
        let tower = open(&golden, folder.path(), &lora(2, &ALL));
        shake(&tower);
        let gradients = loss(&forward(&tower, &golden)).backward().unwrap();
        for (name, parameter) in tower.parameters() {
            let gradient = elements(gradients.get(parameter).unwrap());
            let values = elements(parameter.as_tensor());
            let scale = gradient.iter().fold(1.0_f32, |scale, value| scale.max(value.abs()));
            for at in [0, values.len() / 2, values.len() - 1] {
                let moved = |by: f32| {
                    let mut moved = values.clone();
                    moved[at] += by;
                    parameter.set(&Tensor::from_vec(moved, parameter.shape(), &Device::Cpu).unwrap()).unwrap();
                    f64::from(loss(&forward(&tower, &golden)).to_scalar::<f32>().unwrap())
                };
                let step = 4e-3_f32;
                let slope = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
                moved(0.0);
                let error = (f64::from(gradient[at]) - slope).abs();
                assert!(error <= 0.01 * f64::from(scale), "{case}, {name}[{at}]: {} instead of {slope}", gradient[at]);
            }
        }
    }
}

#[test]
fn merged_and_reopened_towers_equal_the_trained_one() {
    for (case, method) in [
        ("clip", lora(2, &[LoraLayer::Query, LoraLayer::Fc2])),
        ("dinov2", lora(3, &ALL)),
        ("siglip", FineTuning::Full),
        ("clip", FineTuning::Frozen),
    ] {
        let (golden, folder) = (Golden::read(case), tempfile::tempdir().unwrap());
        let tower = open(&golden, folder.path(), &method);
        shake(&tower);
        let trained = forward(&tower, &golden);
        let merged = tower.merged(Precision::F32).unwrap();
        let features = merged.features(&golden.pixels(), golden.images, &[0, 1]).unwrap();
        let wide = |tensor: &Tensor| -> Vec<f64> { elements(tensor).into_iter().map(f64::from).collect() };
        assert_close(&features.layers, &wide(&trained.layers), 1e-5, case);
        assert_close(&features.pooled.unwrap(), &wide(&trained.pooled.unwrap()), 1e-5, case);
    }
}

#[test]
fn rejects_parameters_of_another_tower() {
    let (golden, folder) = (Golden::read("clip"), tempfile::tempdir().unwrap());
    let path = golden.write(folder.path());
    let method = lora(2, &[LoraLayer::Query]);
    let parameters = |name: &str| {
        let tower = TrainableTower::open(&path, &method, 7).unwrap();
        let mut all: BTreeMap<String, Tensor> =
            tower.parameters().iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
        let removed = all.pop_first().unwrap();
        all.insert(name.to_owned(), removed.1);
        all
    };
    let error = Tower::open_tuned(&path, Precision::F32, &method, &parameters("other")).unwrap_err().to_string();
    for part in ["layers.0.self_attn.q_proj.lora_A.weight [2, 32] is missing", "other is no parameter"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn steps_do_not_depend_on_the_number_of_threads() {
    let (golden, folder) = (Golden::read("dinov2"), tempfile::tempdir().unwrap());
    let run = |threads: usize, method: &FineTuning| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let tower = open(&golden, folder.path(), method);
            let gradients = loss(&forward(&tower, &golden)).backward().unwrap();
            let of = |parameter: &Var| elements(gradients.get(parameter).unwrap());
            tower.parameters().values().map(of).collect::<Vec<_>>()
        })
    };
    for method in [FineTuning::Full, lora(2, &ALL)] {
        assert_eq!(run(1, &method), run(3, &method));
    }
}

#[test]
fn seeds_differ_and_repeat() {
    let (golden, folder) = (Golden::read("clip"), tempfile::tempdir().unwrap());
    let path = golden.write(folder.path());
    let first = |seed: u64| {
        let tower = TrainableTower::open(&path, &lora(2, &ALL), seed).unwrap();
        elements(tower.parameters().values().next().unwrap().as_tensor())
    };
    assert_eq!(first(1), first(1));
    assert_ne!(first(1), first(2));
}

/// Compares the gradients of a weighted sum of `f`'s result with finite differences.
fn check_gradients(what: &str, inputs: &[(&str, &[usize])], f: impl Fn(&[Tensor]) -> Tensor) {
    let variables: Vec<Var> = inputs
        .iter()
        .map(|(name, shape)| {
            let noise = uniform(name, shape.iter().product()).iter().map(|u| (2.0 * u - 1.0) as f32).collect();
            Var::from_vec(noise, *shape, &Device::Cpu).unwrap()
        })
        .collect();
    let loss = |variables: &[Var]| {
        let tensors: Vec<Tensor> = variables.iter().map(|variable| variable.as_tensor().clone()).collect();
        let y = f(&tensors).flatten_all().unwrap();
        let weights: Vec<f32> = uniform("weights", y.elem_count()).iter().map(|u| (u - 0.5) as f32).collect();
        (y * Tensor::new(weights, &Device::Cpu).unwrap()).unwrap().sum_all().unwrap()
    };
    let gradients = loss(&variables).backward().unwrap();
    for ((name, _), variable) in inputs.iter().zip(&variables) {
        let (gradient, values) = (elements(gradients.get(variable).unwrap()), elements(variable.as_tensor()));
        for at in 0..values.len() {
            let moved = |by: f32| {
                let mut moved = values.clone();
                moved[at] += by;
                variable.set(&Tensor::from_vec(moved, variable.shape(), &Device::Cpu).unwrap()).unwrap();
                f64::from(loss(&variables).to_scalar::<f32>().unwrap())
            };
            let slope = (moved(5e-3) - moved(-5e-3)) / 1e-2;
            moved(0.0);
            let error = (f64::from(gradient[at]) - slope).abs();
            assert!(error <= 2e-3, "{what}, {name}[{at}]: {} instead of {slope}", gradient[at]);
        }
    }
}

#[test]
fn gradients_of_each_operation_match_finite_differences() {
    check_gradients("layer norm", &[("x", &[3, 7]), ("weight", &[7]), ("bias", &[7])], |t| {
        layer_norm_with_gradient(&t[0], &t[1], &t[2], 1e-2).unwrap()
    });
    check_gradients("linear", &[("x", &[3, 5]), ("weight", &[4, 5]), ("bias", &[4])], |t| {
        linear_with_gradient(&t[0], &t[1], Some(&t[2])).unwrap()
    });
    check_gradients("attention", &[("qkv", &[2 * 5, 3 * 2 * 3])], |t| {
        attention_with_gradient(&t[0], [2, 5, 2, 3]).unwrap()
    });
    for activation in [Activation::Gelu, Activation::GeluTanh, Activation::QuickGelu] {
        check_gradients("activation", &[("x", &[3, 7])], |t| activate_with_gradient(&t[0], activation).unwrap());
    }
    // Operands that are no contiguous tensors.
    check_gradients("transposed linear", &[("x", &[5, 3]), ("weight", &[5, 4])], |t| {
        linear_with_gradient(&t[0].t().unwrap(), &t[1].t().unwrap(), None).unwrap()
    });
}

#[test]
fn operations_reject_shapes_that_do_not_fit() {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
    assert!(layer_norm_with_gradient(&zeros(&[2, 3]), &zeros(&[4]), &zeros(&[3]), 1e-5).is_err());
    assert!(linear_with_gradient(&zeros(&[2, 3]), &zeros(&[4, 5]), None).is_err());
    assert!(linear_with_gradient(&zeros(&[2, 5]), &zeros(&[4, 5]), Some(&zeros(&[5]))).is_err());
    assert!(attention_with_gradient(&zeros(&[6, 9]), [2, 3, 1, 4]).is_err());
}
