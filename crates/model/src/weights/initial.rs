//! Fresh weights, from the project's own random streams.

use artifacts::random::{StandardNormal, Stream, stream};
use rand::RngExt;
use rayon::prelude::*;

use crate::architecture::{ConvNorm, Plan};
use crate::error::Result;
use crate::parameters::Flat;

/// Fills both buffers; each tensor has a stream of its own, so that none depends on another's size.
pub(crate) fn draw(plan: &Plan, parameters: &mut Flat, statistics: &mut Flat, seed: u64) -> Result<()> {
    parameters.write(|values| {
        let mut rest = &mut *values;
        let mut tensors = Vec::new();
        for (i, layer) in plan.conv_norms().enumerate() {
            let (weight, after) = std::mem::take(&mut rest).split_at_mut(layer.weight.range().len());
            let (scale, after) = after.split_at_mut(layer.outputs);
            let (shift, after) = after.split_at_mut(layer.outputs);
            scale.fill(1.0);
            shift.fill(0.0);
            tensors.push((i as u64, layer, weight));
            rest = after;
        }
        tensors.into_par_iter().for_each(|(i, layer, weight)| {
            draw_convolution(layer, weight, &mut stream(seed, "init", &[i]));
        });
        // What is left is the head's.
        let bound = 1.0 / (plan.head.inputs as f64).sqrt();
        let mut stream = stream(seed, "init-head", &[]);
        rest.fill_with(|| ((stream.random::<f64>() * 2.0 - 1.0) * bound) as f32);
    })?;
    statistics.write(|values| {
        for layer in plan.conv_norms() {
            values[layer.mean.range()].fill(0.0);
            values[layer.variance.range()].fill(1.0);
        }
    })
}

/// He et al. 2015 (arXiv 1502.01852), equation 14: normal with variance 2 / fan out.
fn draw_convolution(layer: &ConvNorm, weight: &mut [f32], stream: &mut Stream) {
    let fan_out = (layer.outputs * layer.kernel * layer.kernel) as f64;
    let deviation = (2.0 / fan_out).sqrt();
    for pair in weight.chunks_mut(2) {
        for (weight, normal) in pair.iter_mut().zip(f64::draw_pair(stream)) {
            *weight = (deviation * normal) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Network, NetworkConfig};

    #[test]
    fn weights_have_kaimings_moments_and_depend_on_the_seed() {
        let mut network = Network::new(&NetworkConfig::default(), &crate::device::Device::Cpu).unwrap();
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
    fn residual_blocks_can_start_as_their_shortcuts() {
        let mut network = Network::new(&NetworkConfig::default(), &crate::device::Device::Cpu).unwrap();
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
}
