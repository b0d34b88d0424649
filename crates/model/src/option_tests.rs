//! Compares the loss with soft targets, and ten steps of AdamW with accumulated and clipped gradients and a moving average,
//! with PyTorch, using golden values from `tests/golden/training.py`.

use std::path::Path;

use kernels::cpu::head;
use serde::Deserialize;

use crate::architecture::Architecture;
use crate::device::Device;
use crate::{Adam, AdamConfig, AveragedWeights, GradientSum, Network, NetworkConfig, clip_gradients};

/// The largest difference, relative to the scale of the compared values.
const TOLERANCE: f64 = 1e-6;

#[derive(Deserialize)]
struct Golden {
    losses: Losses,
    steps: Steps,
}

#[derive(Deserialize)]
struct Losses {
    label_smoothing: f32,
    batches: Vec<LossBatch>,
}

#[derive(Deserialize)]
struct LossBatch {
    logits: Vec<f32>,
    labels: Vec<usize>,
    weights: Vec<f32>,
    loss: f64,
    gradient: Vec<f64>,
}

#[derive(Deserialize)]
struct Steps {
    learning_rate: f64,
    weight_decay: f64,
    clip_norm: f64,
    ema: f64,
    parameters_len: usize,
    images: Vec<usize>,
    norms: Vec<f64>,
    parameters: Summary,
    average: Summary,
}

#[derive(Deserialize)]
struct Summary {
    norm: f64,
    at: Vec<usize>,
    values: Vec<f64>,
}

fn golden() -> Golden {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/training/options.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Returns `count` uniform values in [0, 1): the upper 24 bits of splitmix64, seeded with fnv1a(name).
fn uniform(name: &str, count: usize) -> impl Iterator<Item = f64> {
    let step = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    let state = name.bytes().fold(0xCBF2_9CE4_8422_2325, step);
    (0..count as u64).map(move |i| {
        let mut z = state.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24)
    })
}

impl Summary {
    #[track_caller]
    fn check(&self, actual: &[f32]) {
        let norm = actual.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        assert!((norm - self.norm).abs() <= TOLERANCE * self.norm, "norm {norm} instead of {}", self.norm);
        for (&at, &expected) in self.at.iter().zip(&self.values) {
            let difference = (f64::from(actual[at]) - expected).abs();
            assert!(difference <= TOLERANCE * expected.abs().max(1.0), "[{at}]: {} instead of {expected}", actual[at]);
        }
    }
}

#[test]
fn smoothed_and_weighted_loss_agrees_with_pytorch() {
    let Losses { label_smoothing, batches } = golden().losses;
    assert_eq!(batches.len(), 10);
    for batch in batches {
        let share = label_smoothing / 2.0;
        let mut targets: Vec<f32> = Vec::new();
        for (&label, weight) in batch.labels.iter().zip(&batch.weights) {
            targets.extend([0, 1].map(|class| weight * (if class == label { 1.0 - share } else { share })));
        }
        let (loss, gradient) = head::soft_cross_entropy(&batch.logits, 2, &targets);
        assert!(
            (f64::from(loss) - batch.loss).abs() <= TOLERANCE * batch.loss.max(1.0),
            "{loss} instead of {}",
            batch.loss
        );
        for (found, expected) in gradient.iter().zip(&batch.gradient) {
            assert!((f64::from(*found) - expected).abs() <= TOLERANCE, "{found} instead of {expected}");
        }
    }
}

/// Returns a network whose parameters are the golden initial values.
fn network(golden: &Steps) -> Network {
    let config = NetworkConfig { classes: 2, ..NetworkConfig::default() };
    let mut network = Network::with_architecture(&Architecture::bottlenecks(8, &[1]), &config, &Device::Cpu).unwrap();
    assert_eq!(network.layers().parameters.len(), golden.parameters_len);
    network.edit_weights(&mut |parameters, _| set(parameters, "parameters", |u| u - 0.5)).unwrap();
    network
}

fn set(values: &mut [f32], name: &str, value: impl Fn(f64) -> f64) {
    let hashed = uniform(name, values.len());
    values.iter_mut().zip(hashed).for_each(|(to, u)| *to = value(u) as f32);
}

fn parameters(network: &Network) -> Vec<f32> {
    network.flat_weights().unwrap()[0].read(<[f32]>::to_vec).unwrap()
}

#[test]
fn ten_steps_with_all_options_agree_with_pytorch() {
    let golden = golden().steps;
    let mut network = network(&golden);
    let Steps { learning_rate: lr, weight_decay, clip_norm, ema, .. } = golden;
    let mut adam = Adam::new(AdamConfig { lr, weight_decay, ..AdamConfig::default() }, &network).unwrap();
    let mut average = AveragedWeights::new(&network, ema).unwrap();
    let mut sum = GradientSum::default();
    for (step, &expected) in golden.norms.iter().enumerate() {
        for (batch, &images) in golden.images.iter().enumerate() {
            let scale = 0.01 * (step + 1) as f64;
            network
                .edit_gradients(&mut |gradients| {
                    set(gradients, &format!("gradient-{step}-{batch}"), |u| (u - 0.5) * scale);
                })
                .unwrap();
            sum.add(&mut network, images as f64).unwrap();
        }
        sum.take_mean(&mut network).unwrap();
        let norm = clip_gradients(&mut network, clip_norm).unwrap();
        assert!((norm - expected).abs() <= TOLERANCE * expected, "step {step}: norm {norm} instead of {expected}");
        adam.step(&mut network).unwrap();
        average.update(&network).unwrap();
    }
    golden.parameters.check(&parameters(&network));

    let own = parameters(&network);
    average.swap(&mut network).unwrap();
    golden.average.check(&parameters(&network));
    average.swap(&mut network).unwrap();
    assert_eq!(parameters(&network), own);
}

#[test]
fn average_and_own_weights_survive_a_checkpoint() {
    let golden = golden().steps;
    let mut network = network(&golden);
    let mut average = AveragedWeights::new(&network, 0.5).unwrap();
    average.update(&network).unwrap();
    network.edit_weights(&mut |parameters, _| set(parameters, "other", |u| u)).unwrap();
    average.update(&network).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    average.save(&path, &std::collections::BTreeMap::new()).unwrap();
    let state = AveragedWeights::own_weights(&network).unwrap();
    let mut restored =
        Network::with_architecture(&Architecture::bottlenecks(8, &[1]), network.config(), &Device::Cpu).unwrap();
    restored.load(&path, &[]).unwrap();
    let mut restored_average = AveragedWeights::restore(&mut restored, 0.5, 2, &state).unwrap();
    assert_eq!(parameters(&restored), parameters(&network));
    average.swap(&mut network).unwrap();
    restored_average.swap(&mut restored).unwrap();
    assert_eq!(parameters(&restored), parameters(&network));
    let error = AveragedWeights::restore(&mut restored, 0.5, 2, &std::collections::BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("own."), "{error}");
}
