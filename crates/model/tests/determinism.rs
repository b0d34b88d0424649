//! Tests that results are bit-for-bit reproducible with any number of threads and after resuming.

use std::collections::BTreeMap;

use model::{Adam, AdamConfig, Network};

use crate::common;

const SHAPE: [usize; 3] = [3, 64, 80];

fn step(network: &mut Network, adam: &mut Adam) {
    let pixels = common::pixels(SHAPE[0], SHAPE[1], SHAPE[2]);
    network.train_step(&common::batch(&pixels, SHAPE), &[0, 1, 1]).unwrap();
    adam.step(network).unwrap();
}

fn bits(network: &Network) -> Vec<(String, Vec<u32>)> {
    let tensors = network.parameters().unwrap().into_iter().chain(network.statistics().unwrap());
    let bits = |tensor| common::elements(&tensor).into_iter().map(f32::to_bits).collect();
    tensors.map(|(name, tensor)| (name, bits(tensor))).collect()
}

#[test]
fn number_of_threads_does_not_change_results() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut network = common::network(1);
            let mut adam = Adam::new(AdamConfig::default(), &network).unwrap();
            step(&mut network, &mut adam);
            step(&mut network, &mut adam);
            let pixels = common::pixels(SHAPE[0], SHAPE[1], SHAPE[2]);
            let logits = network.infer(&common::batch(&pixels, SHAPE)).unwrap();
            (bits(&network), logits)
        })
    };
    let one = run(1);
    for threads in [2, 3, 5] {
        assert!(run(threads) == one, "{threads} threads differ from one");
    }
}

#[test]
fn resumed_run_equals_uninterrupted_run() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.safetensors");
    let mut network = common::network(2);
    let mut adam = Adam::new(AdamConfig::default(), &network).unwrap();
    step(&mut network, &mut adam);
    network.save(&path, &BTreeMap::new()).unwrap();
    let state_path = directory.path().join("training_state.safetensors");
    safetensors::serialize_to_file(&adam.state().unwrap(), None, &state_path).unwrap();
    step(&mut network, &mut adam);

    let mut resumed = common::network(3);
    resumed.load(&path, &[]).unwrap();
    let state = candle_core::safetensors::load(&state_path, &candle_core::Device::Cpu).unwrap().into_iter().collect();
    let mut adam = Adam::from_state(AdamConfig::default(), &resumed, &state).unwrap();
    assert_eq!(adam.steps(), 1);
    step(&mut resumed, &mut adam);
    assert!(bits(&resumed) == bits(&network));
}
