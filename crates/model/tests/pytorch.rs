//! Compares a network with PyTorch and torchvision, using golden values from `tests/golden/model.py`.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use model::{Adam, AdamConfig, Network, NetworkConfig};
use serde::Deserialize;

use crate::common;

/// Tolerances, relative to the scale of the compared values.
const LOGITS: f64 = 1e-4;
const GRADIENTS: f64 = 1e-3;
const STATISTICS: f64 = 1e-4;
const STEPS: f64 = 1e-4;

#[derive(Deserialize)]
struct Golden {
    state_dict: BTreeMap<String, Stored>,
    shape: [usize; 3],
    labels: Vec<u8>,
    learning_rate: f64,
    evaluation_logits: Vec<Vec<f64>>,
    training_logits: Vec<Vec<f64>>,
    grad_cam: BTreeMap<String, Summary>,
    losses: Vec<f64>,
    gradients: BTreeMap<String, Summary>,
    statistics: BTreeMap<String, Summary>,
    parameters: BTreeMap<String, Summary>,
}

/// The shape and type of a tensor in `state_dict()`.
#[derive(Debug, PartialEq, Deserialize)]
struct Stored {
    shape: Vec<usize>,
    dtype: String,
}

/// The norm of a tensor, and some of its elements.
#[derive(Deserialize)]
struct Summary {
    norm: f64,
    at: Vec<usize>,
    values: Vec<f64>,
}

impl Summary {
    /// Compares a tensor with the summary. The tolerance of the norm is relative to the norm. The tolerance of an
    /// element is relative to the larger of its absolute value and the root mean square of all elements.
    fn check(&self, name: &str, actual: &[f32], tolerance: f64) {
        let norm = actual.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        assert!((norm - self.norm).abs() <= tolerance * self.norm, "{name}: norm {norm} instead of {}", self.norm);
        let root_mean_square = self.norm / (actual.len() as f64).sqrt();
        for (&at, &expected) in self.at.iter().zip(&self.values) {
            let scale = root_mean_square.max(expected.abs());
            let difference = (f64::from(actual[at]) - expected).abs();
            assert!(difference <= tolerance * scale, "{name}[{at}]: {} instead of {expected}", actual[at]);
        }
    }
}

fn check_all(expected: &BTreeMap<String, Summary>, actual: &BTreeMap<String, Tensor>, tolerance: f64) {
    assert!(expected.keys().eq(actual.keys()), "the names differ");
    for (name, summary) in expected {
        summary.check(name, &common::elements(&actual[name]), tolerance);
    }
}

fn check_logits(expected: &[Vec<f64>], actual: &model::Logits) {
    let largest = expected.iter().flatten().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    assert_eq!(expected.len(), actual.len());
    for (expected, actual) in expected.iter().zip(actual.rows()) {
        for (expected, &actual) in expected.iter().zip(actual) {
            assert!((expected - f64::from(actual)).abs() <= LOGITS * largest, "{actual} instead of {expected}");
        }
    }
}

/// The networks with golden values: one of basic blocks, and one of bottlenecks.
const NETWORKS: [&str; 2] = ["resnet18", "resnet50"];

fn golden(name: &str) -> Golden {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/golden/model/{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Returns the golden network, loaded from a file with torchvision's tensor names.
fn network(name: &str) -> Network {
    let config = NetworkConfig { arch: name.to_owned(), ..NetworkConfig::default() };
    let mut network = Network::new(&config, &model::device::Device::Cpu).unwrap();
    let names = network.parameters().unwrap().into_iter().chain(network.statistics().unwrap());
    let tensors: BTreeMap<String, Tensor> = names
        .map(|(name, old)| {
            let new = Tensor::from_vec(common::values(&name, old.dims()), old.dims(), &Device::Cpu).unwrap();
            (name, new)
        })
        .collect();
    let count = tensors.len();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("golden.safetensors");
    safetensors::serialize_to_file(&tensors, None, &path).unwrap();
    let report = network.load(&path, &[]).unwrap();
    assert_eq!((report.loaded, report.head_replaced), (count, false));
    network
}

/// `load_state_dict(strict=True)` requires exactly the names and shapes of `state_dict()`.
#[test]
fn saved_file_has_the_tensors_of_torchvisions_state_dict() {
    for name in NETWORKS {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.safetensors");
        network(name).save(&path, &BTreeMap::new()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let stored = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
            let dtype = match view.dtype() {
                safetensors::Dtype::F32 => "float32",
                safetensors::Dtype::I64 => "int64",
                other => panic!("{name} is {other:?}"),
            };
            (name, Stored { shape: view.shape().to_vec(), dtype: dtype.to_owned() })
        };
        assert_eq!(file.tensors().into_iter().map(stored).collect::<BTreeMap<_, _>>(), golden(name).state_dict);
    }
}

#[test]
fn inference_and_grad_cam_agree_with_torchvision() {
    for name in NETWORKS {
        let golden = golden(name);
        let [n, height, width] = golden.shape;
        let pixels = common::pixels(n, height, width);
        let batch = common::batch(&pixels, golden.shape);
        let mut network = network(name);
        check_logits(&golden.evaluation_logits, &network.infer(&batch).unwrap());
        let classes: Vec<usize> = golden.labels.iter().map(|&label| label.into()).collect();
        for (layer, summary) in &golden.grad_cam {
            let (maps, logits) = network.grad_cam(&batch, &classes, layer).unwrap();
            check_logits(&golden.evaluation_logits, &logits);
            let values: Vec<f32> = maps.into_iter().flat_map(|map| map.values).collect();
            summary.check(layer, &values, GRADIENTS);
        }
    }
}

#[test]
fn three_training_steps_agree_with_pytorch() {
    for name in NETWORKS {
        let golden = golden(name);
        let [n, height, width] = golden.shape;
        let pixels = common::pixels(n, height, width);
        let batch = common::batch(&pixels, golden.shape);
        let mut network = network(name);
        let mut adam = Adam::new(AdamConfig { lr: golden.learning_rate, ..AdamConfig::default() }, &network).unwrap();
        for (i, &expected) in golden.losses.iter().enumerate() {
            let step = network.train_step(&batch, &golden.labels).unwrap();
            let difference = (f64::from(step.loss) - expected).abs();
            assert!(difference <= STEPS * golden.losses[0], "loss {i}: {} instead of {expected}", step.loss);
            if i == 0 {
                check_logits(&golden.training_logits, &step.logits);
                check_all(&golden.gradients, &network.gradients().unwrap(), GRADIENTS);
                check_all(&golden.statistics, &network.statistics().unwrap(), STATISTICS);
            }
            adam.step(&mut network).unwrap();
        }
        check_all(&golden.parameters, &network.parameters().unwrap(), STEPS);
    }
}
