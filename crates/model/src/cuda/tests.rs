//! Compares whole networks on the CUDA back end with the CPU back end, which `tests/pytorch.rs` compares with PyTorch.
//! The tests in `on_each_device!` run in emulation and on the first card.

mod options;

use std::collections::BTreeMap;
use std::rc::Rc;

use candle_core::Tensor;

use kernels::cuda::shapes::INPUT_MULTIPLE;
use kernels::cuda::test_support::{self, Emulator, RecordingMode, assert_close, fixed_seed, on_each_device};
use kernels::cuda::{Engine, Scratch};
use kernels::{ConvShape, Gradients, Precision};

use crate::architecture::Architecture;
use crate::batch::PixelBatch;
use crate::cuda::CudaBackend;
use crate::cuda::parameters::Layout;
use crate::layers::LayerList;
use crate::{Adam, AdamConfig, Network, NetworkConfig, device::Device};

const CLASSES: usize = 3;

fn architecture() -> Architecture {
    // The two stages include a stride, projections and an identity shortcut.
    Architecture::bottlenecks(8, &[1, 2])
}

/// Returns a small network on the processor. Noise is added to its weights, so that none of them is 0 or 1.
fn cpu_network() -> Network {
    let config = NetworkConfig { classes: CLASSES, ..NetworkConfig::default() };
    let mut network = Network::with_architecture(&architecture(), &config, &Device::Cpu).unwrap();
    network.initialise(fixed_seed() % 1000).unwrap();
    let mut stream = artifacts::random::stream(fixed_seed(), "cuda-tests-weights", &[]);
    let mut add_noise = |value: &mut f32| *value += 0.1 * (rand::RngExt::random::<f32>(&mut stream) - 0.5);
    let mut change = |parameters: &mut [f32], statistics: &mut [f32]| {
        parameters.iter_mut().chain(statistics).for_each(&mut add_noise);
    };
    network.edit_weights(&mut change).unwrap();
    network
}

/// Returns the same network on `engine`.
fn device_network<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>, precision: Precision) -> Network {
    move_to(cpu_network(), engine, precision)
}

fn move_to<E: Engine + std::fmt::Debug + 'static>(network: Network, engine: &Rc<E>, precision: Precision) -> Network {
    let normalisation = network.config().normalisation;
    network.moved_to(|layers| CudaBackend::new(engine.clone(), layers, precision, normalisation).unwrap())
}

fn images(n: usize, height: usize, width: usize, key: u64) -> Vec<u8> {
    let mut stream = artifacts::random::stream(fixed_seed(), "cuda-tests-images", &[key]);
    (0..n * height * width * 3).map(|_| rand::RngExt::random::<u8>(&mut stream)).collect()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Compares each tensor of `found` with that of the same name in `expected`. `tolerance` is relative to the largest
/// value.
fn assert_tensors(what: &str, found: &BTreeMap<String, Tensor>, expected: &BTreeMap<String, Tensor>, tolerance: f64) {
    assert!(found.keys().eq(expected.keys()), "{what}");
    for (name, expected) in expected {
        assert_eq!(found[name].dims(), expected.dims(), "{what}: {name}");
        assert_close(&format!("{what} of {name}"), &values(&found[name]), &to_f64(&values(expected)), tolerance);
    }
}

fn to_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

fn training_steps_agree_with_cpu<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) {
    compare_three_steps(engine, || ());
}

/// The emulator fills every new buffer of the workspace with NaN.
#[test]
fn training_steps_read_no_uninitialised_memory() {
    if let Some(emulator) = Emulator::new() {
        let emulator = Rc::new(emulator);
        compare_three_steps(&emulator, || emulator.poison.set(true));
    }
}

/// Compares three steps on the device and on the CPU. Calls `before_steps` before the first step allocates the
/// workspace.
fn compare_three_steps<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>, before_steps: impl Fn()) {
    let (mut device, mut cpu) = (device_network(engine, Precision::F32), cpu_network());
    // With a small epsilon, Adam's first steps depend only on the signs of the gradients. A large one keeps small
    // differences small.
    let config = AdamConfig { lr: 1e-3, eps: 1e-2, ..AdamConfig::default() };
    let [mut adam_device, mut adam_cpu] = [&device, &cpu].map(|network| Adam::new(config, network).unwrap());
    before_steps();
    for step in 1..=3 {
        // The second batch has another shape and needs another workspace.
        let (height, width) = if step == 2 { (33, 40) } else { (40, 35) };
        let data = images(3, height, width, step);
        let batch = PixelBatch { data: &data, n: 3, height, width };
        let [found, expected] = [&mut device, &mut cpu].map(|network| network.train_step(&batch, &[2, 0, 1]).unwrap());
        let what = format!("step {step}");
        assert_close(&what, &[found.loss], &[expected.loss.into()], 1e-5);
        assert_close(&what, &found.logits.values, &to_f64(&expected.logits.values), 1e-4);
        let gradients = [&device, &cpu].map(|network| network.gradients().unwrap());
        assert_tensors(&format!("{what}: gradient"), &gradients[0], &gradients[1], 1e-3);

        adam_device.step(&mut device).unwrap();
        adam_cpu.step(&mut cpu).unwrap();
        let parameters = [&device, &cpu].map(|network| network.parameters().unwrap());
        assert_tensors(&format!("{what}: parameter"), &parameters[0], &parameters[1], 1e-3);
        let statistics = [&device, &cpu].map(|network| network.statistics().unwrap());
        assert_tensors(&format!("{what}: statistic"), &statistics[0], &statistics[1], 1e-5);
        let states = [&adam_device, &adam_cpu].map(|adam| adam.state().unwrap());
        let tensors = |state: &BTreeMap<String, Tensor>| -> BTreeMap<String, Tensor> {
            state.iter().filter(|(name, _)| *name != "step").map(|(name, t)| (name.clone(), t.clone())).collect()
        };
        assert_tensors(&format!("{what}: moment"), &tensors(&states[0]), &tensors(&states[1]), 2e-3);
        if step == 2 {
            // Resumes from the saved state, as after an interruption.
            adam_device = Adam::from_state(config, &device, &states[0]).unwrap();
        }
    }
}

fn bf16_step_stays_close_to_f32<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) {
    let (mut device, mut cpu) = (device_network(engine, Precision::Bf16), cpu_network());
    let data = images(4, 32, 32, 9);
    let batch = PixelBatch { data: &data, n: 4, height: 32, width: 32 };
    let [found, expected] = [&mut device, &mut cpu].map(|network| network.train_step(&batch, &[0, 1, 2, 1]).unwrap());
    // bf16 has eight bits of precision, and each of twenty layers rounds to it.
    assert_close("loss", &[found.loss], &[expected.loss.into()], 0.05);
    assert_close("logits", &found.logits.values, &to_f64(&expected.logits.values), 0.1);
    let [found, expected] = [&device, &cpu].map(|network| network.gradients().unwrap());
    let cosine = cosine(&found, &expected);
    // The lowest cosine of twenty seeds was 0.942.
    assert!(cosine > 0.9, "the gradient has another direction: cosine {cosine}");
}

/// Returns the cosine of the angle between two sets of tensors, each taken as one vector.
fn cosine(found: &BTreeMap<String, Tensor>, expected: &BTreeMap<String, Tensor>) -> f64 {
    let (mut dot, mut squares) = (0.0, [0.0, 0.0]);
    for (name, expected) in expected {
        for (a, b) in values(&found[name]).into_iter().zip(values(expected)) {
            let (a, b) = (f64::from(a), f64::from(b));
            (dot, squares) = (dot + a * b, [squares[0] + a * a, squares[1] + b * b]);
        }
    }
    dot / (squares[0] * squares[1]).sqrt()
}

/// ResNet-50 in its full size. Runs only on a card, because emulation takes too long.
#[test]
fn resnet50_on_the_card_agrees_with_cpu() {
    let Some(card) = test_support::open_card() else { return };
    let resnet50 = || Network::new(&NetworkConfig::default(), &Device::Cpu).unwrap();
    let data = images(3, 65, 97, 21);
    let batch = PixelBatch { data: &data, n: 3, height: 65, width: 97 };
    let mut cpu = resnet50();
    let expected_inference = cpu.infer(&batch).unwrap().values;
    let expected = cpu.train_step(&batch, &[1, 0, 1]).unwrap();
    let expected_gradients = cpu.gradients().unwrap();
    for (precision, tolerance) in [(Precision::F32, 2e-3), (Precision::Tf32, 2e-2), (Precision::Bf16, 0.3)] {
        let mut device = move_to(resnet50(), &card, precision);
        let what = format!("{precision:?}");
        let found = device.infer(&batch).unwrap().values;
        assert_close(&format!("{what}: inference"), &found, &to_f64(&expected_inference), tolerance);
        let found = device.train_step(&batch, &[1, 0, 1]).unwrap();
        assert_close(&format!("{what}: loss"), &[found.loss], &[expected.loss.into()], tolerance);
        if precision == Precision::F32 {
            // In a new network of this depth, rounding flips some ReLUs. The gradients of the CPU with and without AVX2
            // have a cosine of 0.9991.
            let cosine = cosine(&device.gradients().unwrap(), &expected_gradients);
            assert!(cosine > 0.995, "{what}: the gradient has another direction: cosine {cosine}");
        }
    }
}

fn repeated_runs_give_the_same_bits<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) {
    let data = images(3, 33, 37, 11);
    let batch = PixelBatch { data: &data, n: 3, height: 33, width: 37 };
    let run = || {
        let mut network = device_network(engine, Precision::Bf16);
        let mut adam = Adam::new(AdamConfig::default(), &network).unwrap();
        // Several steps in flight at once.
        for _ in 0..3 {
            network.start_step(&batch, &[0, 1, 2]).unwrap();
            adam.step(&mut network).unwrap();
        }
        let bits = |tensor: &Tensor| values(tensor).into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let parameters: Vec<_> = network.parameters().unwrap().values().map(bits).collect();
        (parameters, network.finished_steps().unwrap())
    };
    let (first, second) = (run(), run());
    assert!(first == second, "two runs of the same steps differ");
    assert_eq!(first.1.len(), 3);
}

/// The number of replays in [`training_bits`]: forward, backward and inference in six rounds of one shape and in two of
/// another, and eight inferences of a third shape. The first pass of each kind and shape is not replayed.
const REPLAYS: usize = 3 * (5 + 1) + 7;

/// Returns the bits of all results of several steps and inferences. Batches have three shapes, and nothing waits in
/// between.
fn training_bits<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) -> Vec<Vec<u32>> {
    let mut network = device_network(engine, Precision::Bf16);
    let mut adam = Adam::new(AdamConfig::default(), &network).unwrap();
    for round in 0..8 {
        let (n, height, width) = if round % 4 == 3 { (2, 40, 35) } else { (3, 33, 37) };
        let data = images(n, height, width, 40 + round);
        let batch = PixelBatch { data: &data, n, height, width };
        network.start_step(&batch, &[0, 1, 2][..n]).unwrap();
        adam.step(&mut network).unwrap();
        // One inference has the shape of the step, the other has a shape of its own.
        network.start_inference(&batch).unwrap();
        let data = images(1, 32, 41, 60 + round);
        network.start_inference(&PixelBatch { data: &data, n: 1, height: 32, width: 41 }).unwrap();
    }
    let steps =
        network.finished_steps().unwrap().into_iter().map(|step| [vec![step.loss], step.logits.values].concat());
    let inferences = network.finished_inferences().unwrap().into_iter().map(|logits| logits.values);
    let results: Vec<_> = steps.chain(inferences).collect();
    let tensors = network.parameters().unwrap().into_iter().chain(network.statistics().unwrap());
    let results = results.into_iter().chain(tensors.map(|(_, tensor)| values(&tensor)));
    results.map(|values| values.into_iter().map(f32::to_bits).collect()).collect()
}

#[test]
fn recordings_do_not_change_results() {
    let Some(recording) = Emulator::new().map(Rc::new) else { return };
    let bits = training_bits(&recording);
    assert_eq!(recording.replays.get(), REPLAYS);
    for mode in [RecordingMode::Unsupported, RecordingMode::Fails] {
        let plain = Rc::new(Emulator::default());
        plain.recording_mode.set(mode);
        assert!(training_bits(&plain) == bits, "{mode:?}");
        assert_eq!(plain.replays.get(), 0, "{mode:?}");
    }
}

#[test]
fn graphs_on_the_card_do_not_change_results() {
    let Some(card) = test_support::open_card() else { return };
    card.graphs().set_enabled(false);
    let bits = training_bits(&card);
    assert_eq!(card.graphs().launches(), 0);
    card.graphs().set_enabled(true);
    assert!(training_bits(&card) == bits, "with graphs");
    assert!(card.graphs().is_enabled(), "a pass could not be recorded");
    assert_eq!(card.graphs().launches(), REPLAYS);

    // A wait cannot be recorded. The card must continue without graphs, even if convolutions surround the wait.
    let shape = ConvShape { images: 1, height: 8, width: 8, inputs: 16, outputs: 16, kernel: 3, stride: 1, padding: 1 };
    let (convolution, bytes) = card.prepare_convolution(&shape, Precision::F32, Gradients::default()).unwrap();
    let memory = [bytes.max(1), 4096, 9216, 4096].map(|bytes| card.allocate(bytes).unwrap());
    let [scratch, x, w, y] = memory.each_ref().map(|memory| card.address(memory));
    let convolve = || card.convolve(&convolution, Scratch { address: scratch, bytes }, x, w, y);
    convolve().unwrap();
    let mut work = || {
        convolve()?;
        let waited = card.wait();
        // The recording has failed, so this result does not matter.
        let _ = convolve();
        waited
    };
    assert!(card.record(&mut work).is_err());
    convolve().unwrap();
    assert!(!card.graphs().is_enabled());
    assert!(training_bits(&card) == bits, "after a failure");
    assert_eq!(card.graphs().launches(), REPLAYS);
}

#[test]
fn eviction_of_workspaces_does_not_change_results() {
    let Some(unlimited) = Emulator::new().map(Rc::new) else { return };
    let bits = training_bits(&unlimited);
    let preparations = unlimited.preparations.take();
    // The memory that a network needs for one shape alone.
    let needed = [(3, 33, 37), (2, 40, 35)].map(|(n, height, width)| {
        let engine = Rc::new(Emulator::default());
        let mut network = device_network(&engine, Precision::Bf16);
        let _adam = Adam::new(AdamConfig::default(), &network).unwrap();
        let data = images(n, height, width, 0);
        let batch = PixelBatch { data: &data, n, height, width };
        network.start_step(&batch, &[0, 1, 2][..n]).unwrap();
        network.start_inference(&batch).unwrap();
        engine.allocated.get()
    });
    let limited = Rc::new(Emulator::default());
    limited.capacity.set(needed.into_iter().max());
    assert!(training_bits(&limited) == bits);
    assert_eq!(limited.preparations.take(), preparations, "the algorithms of evicted workspaces are kept");
}

#[test]
fn prepares_needed_convolutions_once_for_all_networks() {
    let Some(engine) = Emulator::new().map(Rc::new) else { return };
    let data = images(2, 47, 33, 17);
    let batch = PixelBatch { data: &data, n: 2, height: 47, width: 33 };
    let run_grad_cam = |precision| {
        let mut network = device_network(&engine, precision);
        network.grad_cam(&batch, &[0, 1], "layer1").unwrap();
        // Uses the same workspace.
        network.infer(&batch).unwrap();
        network
    };
    let is_stem = |shape: &ConvShape| shape.inputs == INPUT_MULTIPLE;
    let mut network = run_grad_cam(Precision::F32);
    let first = engine.preparations.take();
    assert!(first.iter().all(|(shape, needed)| needed.input != is_stem(shape) && !needed.weight), "{first:?}");
    run_grad_cam(Precision::F32);
    assert_eq!(engine.preparations.take(), []);
    run_grad_cam(Precision::Bf16);
    assert_eq!(engine.preparations.take(), first);
    network.train_step(&batch, &[0, 1]).unwrap();
    let training = engine.preparations.take();
    assert_eq!(training.len(), first.len());
    assert!(training.iter().all(|(shape, needed)| needed.input != is_stem(shape) && needed.weight), "{training:?}");
    // The training workspace suffices for Grad-CAM.
    network.grad_cam(&batch, &[0, 1], "layer1").unwrap();
    assert_eq!(engine.preparations.take(), []);
}

fn inference_and_grad_cam_agree_with_cpu<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) {
    let (mut device, mut cpu) = (device_network(engine, Precision::F32), cpu_network());
    let data = images(2, 47, 33, 12);
    let batch = PixelBatch { data: &data, n: 2, height: 47, width: 33 };
    let [found, expected] = [&mut device, &mut cpu].map(|network| network.infer(&batch).unwrap());
    assert_close("logits", &found.values, &to_f64(&expected.values), 1e-4);
    for layer in ["layer1", "layer2"] {
        let mut any_positive = false;
        for classes in [[0, 1], [1, 2], [2, 0]] {
            let [found, expected] =
                [&mut device, &mut cpu].map(|network| network.grad_cam(&batch, &classes, layer).unwrap());
            assert_close(layer, &found.1.values, &to_f64(&expected.1.values), 1e-4);
            for (found, expected) in found.0.iter().zip(&expected.0) {
                assert_eq!((found.height, found.width), (expected.height, expected.width));
                assert_close(layer, &found.values, &to_f64(&expected.values), 1e-3);
                any_positive |= expected.values.iter().any(|&value| value > 0.0);
            }
        }
        assert!(any_positive, "{layer} is empty for every class");
    }
    let statistics = [&device, &cpu].map(|network| network.statistics().unwrap());
    assert_tensors("untouched statistics", &statistics[0], &statistics[1], 0.0);
    // New weights are used by the next inference.
    for network in [&mut device, &mut cpu] {
        network.initialise(8).unwrap();
    }
    let [found, expected] = [&mut device, &mut cpu].map(|network| network.infer(&batch).unwrap());
    assert_close("new logits", &found.values, &to_f64(&expected.values), 1e-4);
}

fn inference_uses_updated_weights<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) {
    let (mut device, mut cpu) = (device_network(engine, Precision::F32), cpu_network());
    let config = AdamConfig { lr: 1e-2, eps: 1e-2, ..AdamConfig::default() };
    let [mut adam_device, mut adam_cpu] = [&device, &cpu].map(|network| Adam::new(config, network).unwrap());
    let data = images(3, 40, 35, 13);
    let batch = PixelBatch { data: &data, n: 3, height: 40, width: 35 };
    let mut seen = Vec::new();
    let mut compare = |device: &mut Network, cpu: &mut Network, when: &str, tolerance: f64| {
        let [found, expected] = [device, cpu].map(|network| network.infer(&batch).unwrap().values);
        assert_close(when, &found, &to_f64(&expected), tolerance);
        assert!(seen.last() != Some(&found), "{when}: nothing has changed");
        seen.push(found);
    };
    // The weights must be folded again after a change of the running statistics, of the weights, or of both.
    compare(&mut device, &mut cpu, "at first", 1e-4);
    for network in [&mut device, &mut cpu] {
        network.train_step(&batch, &[2, 0, 1]).unwrap();
    }
    compare(&mut device, &mut cpu, "after a pass", 1e-4);
    adam_device.step(&mut device).unwrap();
    adam_cpu.step(&mut cpu).unwrap();
    // Adam divides gradients by their magnitude, which enlarges the rounding errors of small gradients.
    compare(&mut device, &mut cpu, "after Adam", 2e-3);
    for network in [&mut device, &mut cpu] {
        network.zero_init_residual().unwrap();
    }
    compare(&mut device, &mut cpu, "after zero_init_residual", 2e-3);
    for network in [&mut device, &mut cpu] {
        network.initialise(3).unwrap();
    }
    compare(&mut device, &mut cpu, "with other weights", 1e-4);
}

/// Grad-CAM replaces the workspace for inference with one that suffices for both.
fn purpose_of_workspace_does_not_change_inference<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) {
    let mut network = device_network(engine, Precision::Bf16);
    let data = images(2, 47, 33, 15);
    let batch = PixelBatch { data: &data, n: 2, height: 47, width: 33 };
    let before = network.infer(&batch).unwrap().values;
    network.grad_cam(&batch, &[0, 1], "layer2").unwrap();
    assert_eq!(network.infer(&batch).unwrap().values, before);
}

fn folded_bf16_inference_stays_close_to_f32<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) {
    let (mut device, mut cpu) = (device_network(engine, Precision::Bf16), cpu_network());
    let data = images(4, 33, 40, 14);
    let batch = PixelBatch { data: &data, n: 4, height: 33, width: 40 };
    let [found, expected] = [&mut device, &mut cpu].map(|network| network.infer(&batch).unwrap().values);
    assert_close("logits", &found, &to_f64(&expected), 0.05);
}

/// The emulator fills every new buffer of the workspace with NaN. Activations share buffers.
#[test]
fn inference_reads_no_uninitialised_memory() {
    for unfused in [false, true] {
        let Some(emulator) = Emulator::new().map(Rc::new) else { return };
        emulator.refuse_fusion.set(unfused);
        let (mut device, mut cpu) = (device_network(&emulator, Precision::F32), cpu_network());
        emulator.poison.set(true);
        for (n, height, width) in [(2, 47, 33), (3, 32, 40)] {
            let data = images(n, height, width, 16);
            let batch = PixelBatch { data: &data, n, height, width };
            let [found, expected] = [&mut device, &mut cpu].map(|network| network.infer(&batch).unwrap().values);
            assert_close(&format!("unfused: {unfused}"), &found, &to_f64(&expected), 1e-4);
        }
    }
}

/// A device without fused convolutions gives the same logits.
#[test]
fn inference_works_without_fused_convolutions() {
    if let Some(emulator) = Emulator::new() {
        emulator.refuse_fusion.set(true);
        let emulator = Rc::new(emulator);
        inference_uses_updated_weights(&emulator);
        inference_and_grad_cam_agree_with_cpu(&emulator);
    }
}

fn features_train_another_head<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) {
    let (mut device, mut cpu) = (device_network(engine, Precision::F32), cpu_network());
    let data = images(3, 40, 35, 15);
    let batch = PixelBatch { data: &data, n: 3, height: 40, width: 35 };
    // Give the head gradients, which `backward_features` must set to zero.
    for network in [&mut device, &mut cpu] {
        network.train_step(&batch, &[2, 0, 1]).unwrap();
    }
    let [found, expected] = [&mut device, &mut cpu].map(|network| network.forward_features(&batch).unwrap());
    assert_eq!(found.dims(), expected.dims());
    assert_close("features", &values(&found), &to_f64(&values(&expected)), 1e-4);
    // Both networks use the same loss on candle's autograd.
    let gradients = [(&mut device, found), (&mut cpu, expected)].map(|(network, features)| {
        let loss = (features.as_tensor() * features.as_tensor()).unwrap().sum_all().unwrap();
        let gradients = loss.backward().unwrap();
        network.backward_features(gradients.get(&features).unwrap()).unwrap();
        network.gradients().unwrap()
    });
    assert_tensors("gradient", &gradients[0], &gradients[1], 1e-3);
    assert!(values(&gradients[0]["fc.weight"]).iter().all(|&value| value == 0.0));
    // Another pass has overwritten the activations.
    device.infer(&batch).unwrap();
    let gradient = Tensor::zeros((3, 64), candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
    assert!(matches!(device.backward_features(&gradient), Err(crate::Error::NoForward)));
}

#[test]
fn layout_round_trips() {
    let layers = LayerList::new(&architecture(), CLASSES);
    let layout = Layout::new(&layers);
    let host: Vec<f32> = (1..=layers.parameters.len()).map(|i| i as f32).collect();
    let device = layout.to_device(&host);
    let mut back = vec![f32::NAN; host.len()];
    layout.to_host(&device, &mut back);
    assert_eq!(back, host);
    // The first position of the first filter has three colours and one channel of padding. The second position follows.
    let taps = layers.stem.kernel * layers.stem.kernel;
    assert_eq!(device[..5], [1.0, (taps + 1) as f32, (2 * taps + 1) as f32, 0.0, 2.0]);
}

on_each_device!(
    shared: training_steps_agree_with_cpu,
    bf16_step_stays_close_to_f32,
    repeated_runs_give_the_same_bits,
    inference_and_grad_cam_agree_with_cpu,
    inference_uses_updated_weights,
    purpose_of_workspace_does_not_change_inference,
    folded_bf16_inference_stays_close_to_f32,
    features_train_another_head,
);
