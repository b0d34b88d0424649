//! Reproducible inputs and weights, equal to those of `tests/golden/model.py`.

use model::{Network, NetworkConfig, PixelBatch};

/// Returns `count` uniform values in [0, 1): the upper 24 bits of splitmix64, seeded with fnv1a(name).
pub(crate) fn uniform(name: &str, count: usize) -> Vec<f64> {
    let step = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    let state = name.bytes().fold(0xCBF2_9CE4_8422_2325, step);
    let value = |i: usize| {
        let mut z = state.wrapping_add((i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24)
    };
    (0..count).map(value).collect()
}

/// Returns the values of the golden tensor called `name`.
pub(crate) fn values(name: &str, shape: &[usize]) -> Vec<f32> {
    let fan_in: usize = shape.iter().skip(1).product();
    let value = |u: f64| match name {
        _ if name.ends_with("running_mean") => 0.2 * u - 0.1,
        _ if name.ends_with("running_var") => 4.0 + 8.0 * u,
        "fc.bias" => u - 0.5,
        _ if name.ends_with(".bias") && u < 0.7 => 3.0 + u,
        _ if name.ends_with(".bias") => -3.0 - u,
        _ if shape.len() == 1 => 0.5 + u,
        _ => (2.0 * u - 1.0) * (6.0 / fan_in as f64).sqrt(),
    };
    uniform(name, shape.iter().product()).into_iter().map(|u| value(u) as f32).collect()
}

/// Returns random bytes, `[n, height, width, 3]`.
pub(crate) fn pixels(n: usize, height: usize, width: usize) -> Vec<u8> {
    uniform("pixels", n * height * width * 3).into_iter().map(|u| (u * 256.0) as u8).collect()
}

/// Returns a batch that borrows `data`.
pub(crate) fn batch(data: &[u8], [n, height, width]: [usize; 3]) -> PixelBatch<'_> {
    PixelBatch { data, n, height, width }
}

/// Returns ResNet-50 with two classes and the initial weights of `seed`.
pub(crate) fn network(seed: u64) -> Network {
    let mut network = Network::new(&NetworkConfig::default(), &model::device::Device::Cpu).unwrap();
    network.initialise(seed).unwrap();
    network
}

/// Returns the elements of a tensor.
pub(crate) fn elements(tensor: &candle_core::Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}
