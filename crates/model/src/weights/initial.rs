//! Random initialisation of weights.

use artifacts::random::{StandardNormal, Stream, stream};
use rand::RngExt;
use rayon::prelude::*;

use crate::layers::{ConvNorm, LayerList};

/// Fills both flat buffers. Each convolution has its own random stream, so that its weights do not depend on the size
/// of other layers.
pub(crate) fn draw(layers: &LayerList, parameters: &mut [f32], statistics: &mut [f32], seed: u64) {
    let mut rest = parameters;
    let mut tensors = Vec::new();
    for (i, layer) in layers.conv_norms().enumerate() {
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
    // The rest is the head's weight and bias.
    let bound = 1.0 / (layers.head.inputs as f64).sqrt();
    let mut stream = stream(seed, "init-head", &[]);
    rest.fill_with(|| ((stream.random::<f64>() * 2.0 - 1.0) * bound) as f32);
    for layer in layers.conv_norms() {
        statistics[layer.mean.range()].fill(0.0);
        statistics[layer.variance.range()].fill(1.0);
    }
}

/// Draws weights from a normal distribution with mean 0 and variance 2 / fan out (He et al. 2015, arXiv 1502.01852,
/// equation 14).
fn draw_convolution(layer: &ConvNorm, weight: &mut [f32], stream: &mut Stream) {
    let fan_out = (layer.outputs * layer.kernel * layer.kernel) as f64;
    let deviation = (2.0 / fan_out).sqrt();
    for pair in weight.chunks_mut(2) {
        for (weight, normal) in pair.iter_mut().zip(f64::draw_pair(stream)) {
            *weight = (deviation * normal) as f32;
        }
    }
}
