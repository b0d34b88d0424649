//! Tests the random initialisation of weights.

use model::{Network, NetworkConfig};

#[test]
fn weights_follow_kaiming_initialisation_and_depend_on_seed() {
    let mut network = Network::new(&NetworkConfig::default(), &model::device::Device::Cpu).unwrap();
    let values = |network: &Network, name: &str| -> Vec<f32> {
        network.parameters().unwrap()[name].flatten_all().unwrap().to_vec1().unwrap()
    };
    network.initialise(3).unwrap();
    let weight = values(&network, "layer3.2.conv2.weight");
    let mean = weight.iter().map(|&x| f64::from(x)).sum::<f64>() / weight.len() as f64;
    let variance = weight.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / weight.len() as f64;
    let expected = 2.0 / (256.0 * 9.0);
    assert!((variance / expected - 1.0).abs() < 0.01 && mean.abs() < 1e-4, "mean {mean}, variance {variance}");
    let head = values(&network, "fc.weight");
    let bound = 1.0 / 2048f32.sqrt();
    assert!(head.iter().all(|x| x.abs() <= bound) && head.iter().any(|x| x.abs() > 0.99 * bound));
    assert!(values(&network, "layer2.1.bn3.weight").iter().all(|&x| x == 1.0));
    network.initialise(4).unwrap();
    assert_ne!(values(&network, "fc.weight"), head);
}

#[test]
fn zero_init_residual_zeroes_last_scale_of_each_block() {
    let mut network = Network::new(&NetworkConfig::default(), &model::device::Device::Cpu).unwrap();
    let before = network.parameters().unwrap();
    let before: Vec<(String, Vec<f32>)> =
        before.into_iter().map(|(name, t)| (name, t.flatten_all().unwrap().to_vec1().unwrap())).collect();
    network.zero_init_residual().unwrap();
    let after = network.parameters().unwrap();
    let mut zeroed = 0;
    for (name, before) in before {
        let after: Vec<f32> = after[&name].flatten_all().unwrap().to_vec1().unwrap();
        if name.ends_with(".bn3.weight") {
            assert!(after.iter().all(|&x| x == 0.0), "{name}");
            zeroed += 1;
        } else {
            assert_eq!(after, before, "{name}");
        }
    }
    assert_eq!(zeroed, 3 + 4 + 6 + 3);
}
