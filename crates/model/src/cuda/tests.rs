//! Whole networks: the CUDA back end against the processor's, which is held against PyTorch.

use std::collections::BTreeMap;
use std::rc::Rc;

use candle_core::Tensor;

use kernels::cuda::shapes::INPUT_MULTIPLE;
use kernels::cuda::test_support::{self, Emulator, RecordingMode, assert_close, fixed_seed, on_each_device};
use kernels::cuda::{Engine, Scratch};
use kernels::{ConvShape, Gradients, Precision};

use crate::architecture::{Architecture, Plan};
use crate::batch::PixelBatch;
use crate::cuda::parameters::Layout;
use crate::cuda::session::Session;
use crate::device::Device;
use crate::network::{Network, NetworkConfig};
use crate::{Adam, AdamConfig};

const CLASSES: usize = 3;

fn architecture() -> Architecture {
    // Two stages, so that a stride, projections and an identity shortcut are there.
    Architecture::bottlenecks(8, &[1, 2])
}

/// A small network on the processor, its weights away from where they start.
fn on_the_processor() -> Network {
    let config = NetworkConfig { classes: CLASSES, ..NetworkConfig::default() };
    let mut network = Network::with_architecture(&architecture(), &config, &Device::Cpu).unwrap();
    network.initialise(fixed_seed() % 1000).unwrap();
    let (parameters, statistics) = network.buffers_mut().unwrap();
    let mut stream = artifacts::random::stream(fixed_seed(), "cuda-tests-weights", &[]);
    let mut shake = |value: &mut f32| *value += 0.1 * (rand::RngExt::random::<f32>(&mut stream) - 0.5);
    parameters.write(|values| values.iter_mut().for_each(&mut shake)).unwrap();
    statistics.write(|values| values.iter_mut().for_each(&mut shake)).unwrap();
    network
}

/// The same network on a device.
fn on_the_device<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>, precision: Precision) -> Network {
    moved(on_the_processor(), engine, precision)
}

fn moved<E: Engine + std::fmt::Debug + 'static>(network: Network, engine: &Rc<E>, precision: Precision) -> Network {
    let normalisation = network.config().normalisation;
    network.on_accelerator(|plan| Box::new(Session::new(engine.clone(), plan, precision, &normalisation).unwrap()))
}

fn images(n: usize, height: usize, width: usize, key: u64) -> Vec<u8> {
    let mut stream = artifacts::random::stream(fixed_seed(), "cuda-tests-images", &[key]);
    (0..n * height * width * 3).map(|_| rand::RngExt::random::<u8>(&mut stream)).collect()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Each tensor of `found` against that of `expected`, relative to its largest value.
fn assert_tensors(what: &str, found: &BTreeMap<String, Tensor>, expected: &BTreeMap<String, Tensor>, tolerance: f64) {
    assert!(found.keys().eq(expected.keys()), "{what}");
    for (name, expected) in expected {
        assert_eq!(found[name].dims(), expected.dims(), "{what}: {name}");
        assert_close(&format!("{what} of {name}"), &values(&found[name]), &wide(&values(expected)), tolerance);
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

fn three_training_steps<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) {
    three_steps(engine, || ());
}

/// Every buffer of the workspace is NaN before it is written.
#[test]
fn three_training_steps_in_poisoned_memory() {
    if let Some(emulator) = Emulator::new() {
        let emulator = Rc::new(emulator);
        three_steps(&emulator, || emulator.poison.set(true));
    }
}

/// Steps on both sides, compared after each; `ready` is called before the first, when the workspace is yet to be made.
fn three_steps<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>, ready: impl Fn()) {
    let (mut there, mut here) = (on_the_device(engine, Precision::F32), on_the_processor());
    // Adam's first steps go by the sign of the gradient; a large epsilon keeps tiny differences tiny.
    let config = AdamConfig { lr: 1e-3, eps: 1e-2, ..AdamConfig::default() };
    let [mut adam_there, mut adam_here] = [&there, &here].map(|network| Adam::new(config, network).unwrap());
    ready();
    for step in 1..=3 {
        // The second batch has another shape, so that the workspace is planned again.
        let (height, width) = if step == 2 { (33, 40) } else { (40, 35) };
        let data = images(3, height, width, step);
        let batch = PixelBatch { data: &data, n: 3, height, width };
        let [found, expected] = [&mut there, &mut here].map(|network| network.train_step(&batch, &[2, 0, 1]).unwrap());
        let what = format!("step {step}");
        assert_close(&what, &[found.loss], &[expected.loss.into()], 1e-5);
        assert_close(&what, &found.logits.values, &wide(&expected.logits.values), 1e-4);
        let gradients = [&there, &here].map(|network| network.gradients().unwrap());
        assert_tensors(&format!("{what}: gradient"), &gradients[0], &gradients[1], 1e-3);

        adam_there.step(&mut there).unwrap();
        adam_here.step(&mut here).unwrap();
        let parameters = [&there, &here].map(|network| network.parameters().unwrap());
        assert_tensors(&format!("{what}: parameter"), &parameters[0], &parameters[1], 1e-3);
        let statistics = [&there, &here].map(|network| network.statistics().unwrap());
        assert_tensors(&format!("{what}: statistic"), &statistics[0], &statistics[1], 1e-5);
        let states = [&adam_there, &adam_here].map(|adam| adam.state().unwrap());
        let tensors = |state: &BTreeMap<String, Tensor>| -> BTreeMap<String, Tensor> {
            state.iter().filter(|(name, _)| *name != "step").map(|(name, t)| (name.clone(), t.clone())).collect()
        };
        assert_tensors(&format!("{what}: moment"), &tensors(&states[0]), &tensors(&states[1]), 2e-3);
        if step == 2 {
            // As after an interruption, from what was saved; what it does not write is no moment.
            adam_there = Adam::from_state(config, &there, &states[0]).unwrap();
        }
    }
}

fn bf16_stays_close<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) {
    let (mut there, mut here) = (on_the_device(engine, Precision::Bf16), on_the_processor());
    let data = images(4, 32, 32, 9);
    let batch = PixelBatch { data: &data, n: 4, height: 32, width: 32 };
    let [found, expected] = [&mut there, &mut here].map(|network| network.train_step(&batch, &[0, 1, 2, 1]).unwrap());
    // Eight bits of mantissa, rounded anew at each of twenty layers.
    assert_close("loss", &[found.loss], &[expected.loss.into()], 0.05);
    assert_close("logits", &found.logits.values, &wide(&expected.logits.values), 0.1);
    let [found, expected] = [&there, &here].map(|network| network.gradients().unwrap());
    let cosine = cosine(&found, &expected);
    // The lowest of twenty seeds was 0.942.
    assert!(cosine > 0.9, "the gradient points elsewhere: {cosine}");
}

/// The cosine of the angle between two lists of tensors.
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

/// The real network, with cuDNN's convolutions at its real channels; on a card only, for emulation takes too long.
#[test]
fn resnet50_on_the_card_agrees_with_the_processor() {
    let Some(card) = test_support::card() else { return };
    let resnet50 = || Network::new(&NetworkConfig::default(), &Device::Cpu).unwrap();
    let data = images(3, 65, 97, 21);
    let batch = PixelBatch { data: &data, n: 3, height: 65, width: 97 };
    let mut here = resnet50();
    let expected_inference = here.infer(&batch).unwrap().values;
    let expected = here.train_step(&batch, &[1, 0, 1]).unwrap();
    let expected_gradients = here.gradients().unwrap();
    for (precision, tolerance) in [(Precision::F32, 2e-3), (Precision::Tf32, 2e-2), (Precision::Bf16, 0.3)] {
        let mut there = moved(resnet50(), &card, precision);
        let what = format!("{precision:?}");
        let found = there.infer(&batch).unwrap().values;
        assert_close(&format!("{what}: inference"), &found, &wide(&expected_inference), tolerance);
        let found = there.train_step(&batch, &[1, 0, 1]).unwrap();
        assert_close(&format!("{what}: loss"), &[found.loss], &[expected.loss.into()], tolerance);
        if precision == Precision::F32 {
            // A fresh network of this depth answers rounding with other ReLUs: the processor with and without AVX2 is as
            // far from itself, a cosine of 0.9991.
            let cosine = cosine(&there.gradients().unwrap(), &expected_gradients);
            assert!(cosine > 0.995, "{what}: the gradient points elsewhere: {cosine}");
        }
    }
}

fn the_same_twice<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) {
    let data = images(3, 33, 37, 11);
    let batch = PixelBatch { data: &data, n: 3, height: 33, width: 37 };
    let run = || {
        let mut network = on_the_device(engine, Precision::Bf16);
        let mut adam = Adam::new(AdamConfig::default(), &network).unwrap();
        // Several steps on their way at once.
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

/// What [`bits_of_a_training`] replays: forward, backward and inference of six and of two rounds, and eight inferences of
/// another shape, each but the first of its kind and shape.
const REPLAYS: usize = 3 * (5 + 1) + 7;

/// Everything that several steps and inferences give, with two shapes of batches in turn; nothing is waited for in between.
fn bits_of_a_training<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) -> Vec<Vec<u32>> {
    let mut network = on_the_device(engine, Precision::Bf16);
    let mut adam = Adam::new(AdamConfig::default(), &network).unwrap();
    for round in 0..8 {
        let (n, height, width) = if round % 4 == 3 { (2, 40, 35) } else { (3, 33, 37) };
        let data = images(n, height, width, 40 + round);
        let batch = PixelBatch { data: &data, n, height, width };
        network.start_step(&batch, &[0, 1, 2][..n]).unwrap();
        adam.step(&mut network).unwrap();
        // The training's own shape, and one that is only inferred.
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
fn recordings_give_the_same_bits() {
    let Some(recording) = Emulator::new().map(Rc::new) else { return };
    let bits = bits_of_a_training(&recording);
    assert_eq!(recording.replays.get(), REPLAYS);
    for how in [RecordingMode::Missing, RecordingMode::Fails] {
        let plain = Rc::new(Emulator::default());
        plain.recording.set(how);
        assert!(bits_of_a_training(&plain) == bits, "{how:?}");
        assert_eq!(plain.replays.get(), 0, "{how:?}");
    }
}

#[test]
fn graphs_on_the_card_give_the_same_bits() {
    let Some(card) = test_support::card() else { return };
    card.graphs().turn(false);
    let bits = bits_of_a_training(&card);
    assert_eq!(card.graphs().started(), 0);
    card.graphs().turn(true);
    assert!(bits_of_a_training(&card) == bits, "with graphs");
    assert!(card.graphs().are_on(), "something could not be recorded");
    assert_eq!(card.graphs().started(), REPLAYS);

    // Waiting cannot be recorded; the card goes on without, also where convolutions were asked for around it.
    let shape = ConvShape { images: 1, height: 8, width: 8, inputs: 16, outputs: 16, kernel: 3, stride: 1, padding: 1 };
    let (by, bytes) = card.prepare(&shape, Precision::F32, Gradients::default()).unwrap();
    let memory = [bytes.max(1), 4096, 9216, 4096].map(|bytes| card.allocate(bytes).unwrap());
    let [scratch, x, w, y] = memory.each_ref().map(|memory| card.address(memory));
    let convolve = || card.convolve(&by, Scratch { address: scratch, bytes }, x, w, y);
    convolve().unwrap();
    let mut work = || {
        convolve()?;
        let waited = card.wait();
        // Whatever it says by now.
        let _ = convolve();
        waited
    };
    assert!(card.record(&mut work).is_err());
    convolve().unwrap();
    assert!(!card.graphs().are_on());
    assert!(bits_of_a_training(&card) == bits, "after a failure");
    assert_eq!(card.graphs().started(), REPLAYS);
}

#[test]
fn a_device_with_room_for_one_batch_shape_gives_the_same_bits() {
    let Some(roomy) = Emulator::new().map(Rc::new) else { return };
    let bits = bits_of_a_training(&roomy);
    let preparations = roomy.preparations.take();
    // What each of its shapes takes alone.
    let alone = [(3, 33, 37), (2, 40, 35)].map(|(n, height, width)| {
        let engine = Rc::new(Emulator::default());
        let mut network = on_the_device(&engine, Precision::Bf16);
        let _adam = Adam::new(AdamConfig::default(), &network).unwrap();
        let data = images(n, height, width, 0);
        let batch = PixelBatch { data: &data, n, height, width };
        network.start_step(&batch, &[0, 1, 2][..n]).unwrap();
        network.start_inference(&batch).unwrap();
        engine.taken.get()
    });
    let tight = Rc::new(Emulator::default());
    tight.room.set(alone.into_iter().max());
    assert!(bits_of_a_training(&tight) == bits);
    assert_eq!(tight.preparations.take(), preparations, "algorithms are kept where plans are not");
}

#[test]
fn only_what_is_needed_is_prepared_and_once_for_all_networks() {
    let Some(engine) = Emulator::new().map(Rc::new) else { return };
    let data = images(2, 47, 33, 17);
    let batch = PixelBatch { data: &data, n: 2, height: 47, width: 33 };
    let explain = |precision| {
        let mut network = on_the_device(&engine, precision);
        network.grad_cam(&batch, &[0, 1], "layer1").unwrap();
        // Served by the same workspace.
        network.infer(&batch).unwrap();
        network
    };
    let is_stem = |geometry: &ConvShape| geometry.inputs == INPUT_MULTIPLE;
    let mut network = explain(Precision::F32);
    let first = engine.preparations.take();
    assert!(first.iter().all(|(geometry, of)| of.input != is_stem(geometry) && !of.weight), "{first:?}");
    explain(Precision::F32);
    assert_eq!(engine.preparations.take(), []);
    explain(Precision::Bf16);
    assert_eq!(engine.preparations.take(), first);
    network.train_step(&batch, &[0, 1]).unwrap();
    let training = engine.preparations.take();
    assert_eq!(training.len(), first.len());
    assert!(training.iter().all(|(geometry, of)| of.input != is_stem(geometry) && of.weight), "{training:?}");
    // All of it serves the rest too.
    network.grad_cam(&batch, &[0, 1], "layer1").unwrap();
    assert_eq!(engine.preparations.take(), []);
}

fn inference_and_grad_cam<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) {
    let (mut there, mut here) = (on_the_device(engine, Precision::F32), on_the_processor());
    let data = images(2, 47, 33, 12);
    let batch = PixelBatch { data: &data, n: 2, height: 47, width: 33 };
    let [found, expected] = [&mut there, &mut here].map(|network| network.infer(&batch).unwrap());
    assert_close("logits", &found.values, &wide(&expected.values), 1e-4);
    for layer in ["layer1", "layer2"] {
        let mut says_something = false;
        for classes in [[0, 1], [1, 2], [2, 0]] {
            let [found, expected] =
                [&mut there, &mut here].map(|network| network.grad_cam(&batch, &classes, layer).unwrap());
            assert_close(layer, &found.1.values, &wide(&expected.1.values), 1e-4);
            for (found, expected) in found.0.iter().zip(&expected.0) {
                assert_eq!((found.height, found.width), (expected.height, expected.width));
                assert_close(layer, &found.values, &wide(&expected.values), 1e-3);
                says_something |= expected.values.iter().any(|&value| value > 0.0);
            }
        }
        assert!(says_something, "{layer} is empty for every class");
    }
    let statistics = [&there, &here].map(|network| network.statistics().unwrap());
    assert_tensors("untouched statistics", &statistics[0], &statistics[1], 0.0);
    // What is changed on the host is taken over.
    for network in [&mut there, &mut here] {
        network.initialise(8).unwrap();
    }
    let [found, expected] = [&mut there, &mut here].map(|network| network.infer(&batch).unwrap());
    assert_close("new logits", &found.values, &wide(&expected.values), 1e-4);
}

fn inference_follows_training<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) {
    let (mut there, mut here) = (on_the_device(engine, Precision::F32), on_the_processor());
    let config = AdamConfig { lr: 1e-2, eps: 1e-2, ..AdamConfig::default() };
    let [mut adam_there, mut adam_here] = [&there, &here].map(|network| Adam::new(config, network).unwrap());
    let data = images(3, 40, 35, 13);
    let batch = PixelBatch { data: &data, n: 3, height: 40, width: 35 };
    let mut seen = Vec::new();
    let mut compare = |there: &mut Network, here: &mut Network, when: &str, tolerance: f64| {
        let [found, expected] = [there, here].map(|network| network.infer(&batch).unwrap().values);
        assert_close(when, &found, &wide(&expected), tolerance);
        assert!(seen.last() != Some(&found), "{when}: nothing has changed");
        seen.push(found);
    };
    // What is folded must follow each change: of the running statistics, of the weights, of everything.
    compare(&mut there, &mut here, "at first", 1e-4);
    for network in [&mut there, &mut here] {
        network.train_step(&batch, &[2, 0, 1]).unwrap();
    }
    compare(&mut there, &mut here, "after a pass", 1e-4);
    adam_there.step(&mut there).unwrap();
    adam_here.step(&mut here).unwrap();
    // Adam divides gradients by their own size, and so enlarges the rounding of small ones.
    compare(&mut there, &mut here, "after Adam", 2e-3);
    for network in [&mut there, &mut here] {
        network.zero_init_residual().unwrap();
    }
    compare(&mut there, &mut here, "with what else was trained", 2e-3);
    for network in [&mut there, &mut here] {
        network.initialise(3).unwrap();
    }
    compare(&mut there, &mut here, "with other weights", 1e-4);
}

/// Grad-CAM takes the place of a workspace for inference by one for training.
fn inference_does_not_depend_on_what_its_workspace_is_for<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) {
    let mut network = on_the_device(engine, Precision::Bf16);
    let data = images(2, 47, 33, 15);
    let batch = PixelBatch { data: &data, n: 2, height: 47, width: 33 };
    let before = network.infer(&batch).unwrap().values;
    network.grad_cam(&batch, &[0, 1], "layer2").unwrap();
    assert_eq!(network.infer(&batch).unwrap().values, before);
}

fn folding_in_bf16_stays_close<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) {
    let (mut there, mut here) = (on_the_device(engine, Precision::Bf16), on_the_processor());
    let data = images(4, 33, 40, 14);
    let batch = PixelBatch { data: &data, n: 4, height: 33, width: 40 };
    let [found, expected] = [&mut there, &mut here].map(|network| network.infer(&batch).unwrap().values);
    assert_close("logits", &found, &wide(&expected), 0.05);
}

/// Every buffer of the workspace is NaN before it is written, and shared by what is not needed at the same time.
#[test]
fn inference_in_poisoned_memory() {
    for unfused in [false, true] {
        let Some(emulator) = Emulator::new().map(Rc::new) else { return };
        emulator.unfused.set(unfused);
        let (mut there, mut here) = (on_the_device(&emulator, Precision::F32), on_the_processor());
        emulator.poison.set(true);
        for (n, height, width) in [(2, 47, 33), (3, 32, 40)] {
            let data = images(n, height, width, 16);
            let batch = PixelBatch { data: &data, n, height, width };
            let [found, expected] = [&mut there, &mut here].map(|network| network.infer(&batch).unwrap().values);
            assert_close(&format!("unfused: {unfused}"), &found, &wide(&expected), 1e-4);
        }
    }
}

/// Where the device has no fused convolution, the logits are the same without.
#[test]
fn inference_goes_without_fused_convolutions() {
    if let Some(emulator) = Emulator::new() {
        emulator.unfused.set(true);
        let emulator = Rc::new(emulator);
        inference_follows_training(&emulator);
        inference_and_grad_cam(&emulator);
    }
}

fn features_for_another_head<E: Engine + std::fmt::Debug + 'static>(engine: &Rc<E>) {
    let (mut there, mut here) = (on_the_device(engine, Precision::F32), on_the_processor());
    let data = images(3, 40, 35, 15);
    let batch = PixelBatch { data: &data, n: 3, height: 40, width: 35 };
    // What a step leaves in the head's gradients must go.
    for network in [&mut there, &mut here] {
        network.train_step(&batch, &[2, 0, 1]).unwrap();
    }
    let [found, expected] = [&mut there, &mut here].map(|network| network.forward_features(&batch).unwrap());
    assert_eq!(found.dims(), expected.dims());
    assert_close("features", &values(&found), &wide(&values(&expected)), 1e-4);
    // A loss on candle's autograd, the same on both sides.
    let gradients = [(&mut there, found), (&mut here, expected)].map(|(network, features)| {
        let loss = (features.as_tensor() * features.as_tensor()).unwrap().sum_all().unwrap();
        let gradients = loss.backward().unwrap();
        network.backward_features(gradients.get(&features).unwrap()).unwrap();
        network.gradients().unwrap()
    });
    assert_tensors("gradient", &gradients[0], &gradients[1], 1e-3);
    assert!(values(&gradients[0]["fc.weight"]).iter().all(|&value| value == 0.0));
    // Nothing to go on from once another pass has taken its place.
    there.infer(&batch).unwrap();
    let gradient = Tensor::zeros((3, 64), candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
    assert!(matches!(there.backward_features(&gradient), Err(crate::Error::NoForward)));
}

#[test]
fn the_layout_loses_nothing() {
    let plan = Plan::new(&architecture(), CLASSES);
    let layout = Layout::new(&plan);
    let host: Vec<f32> = (1..=plan.parameters.len()).map(|i| i as f32).collect();
    let device = layout.to_device(&host);
    let mut back = vec![f32::NAN; host.len()];
    layout.to_host(&device, &mut back);
    assert_eq!(back, host);
    // The first filter's first pixel: three colours, one channel of padding.
    let taps = plan.stem.kernel * plan.stem.kernel;
    assert_eq!(device[..5], [1.0, (taps + 1) as f32, (2 * taps + 1) as f32, 0.0, 2.0]);
}

on_each_device!(
    shared: three_training_steps,
    bf16_stays_close,
    the_same_twice,
    inference_and_grad_cam,
    inference_follows_training,
    inference_does_not_depend_on_what_its_workspace_is_for,
    folding_in_bf16_stays_close,
    features_for_another_head,
);
