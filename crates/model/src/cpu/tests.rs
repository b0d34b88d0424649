//! Compares a whole network in bf16 with f32.

use kernels::cpu::Isa;

use crate::architecture::Architecture;
use crate::batch::PixelBatch;
use crate::cpu::CpuBackend;
use crate::device::Device;
use crate::{Network, NetworkConfig};

/// Returns pseudo-random bytes from xorshift32 (Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8, 2003).
fn random_bytes(len: usize) -> Vec<u8> {
    let mut state = 31_u32.wrapping_mul(0x9E37_79B9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let value = (f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0) as f32;
        (value * 127.0 + 128.0) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn bf16_step_stays_close_to_f32() {
    let pixels: Vec<u8> = random_bytes(6 * 48 * 40 * 3);
    let batch = PixelBatch { data: &pixels, n: 6, height: 48, width: 40 };
    let step = |isa: Isa| {
        let config = NetworkConfig { classes: 3, ..NetworkConfig::default() };
        let network = Network::with_architecture(&Architecture::bottlenecks(8, &[1, 2]), &config, &Device::Cpu);
        let mut network =
            network.unwrap().moved_to(|layers| CpuBackend::new(isa, layers, config.normalisation).unwrap());
        let output = network.train_step(&batch, &[0, 1, 2, 0, 1, 2]).unwrap();
        let logits = network.infer(&batch).unwrap().values;
        let gradients = network.gradients().unwrap();
        let gradients = gradients.values().map(|tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        (output.loss, logits, gradients.flatten().map(f64::from).collect::<Vec<_>>())
    };
    for isa in Isa::with_bf16() {
        let ((loss, logits, gradient), (loss_f32, logits_f32, gradient_f32)) = (step(isa), step(isa.in_f32()));
        assert_ne!(logits, logits_f32, "{isa:?} computes in f32");
        // bf16 has eight bits of precision, and each of ten layers rounds to it.
        assert!((loss - loss_f32).abs() < 0.02 * loss_f32, "{isa:?}: {loss} {loss_f32}");
        let largest = logits_f32.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
        for (found, expected) in logits.iter().zip(&logits_f32) {
            assert!((found - expected).abs() <= 0.05 * largest, "{isa:?}: logit {found} instead of {expected}");
        }
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (product, squares) = (dot(&gradient, &gradient_f32), [&gradient, &gradient_f32].map(|g| dot(g, g)));
        let cosine = product / (squares[0] * squares[1]).sqrt();
        assert!(cosine > 0.95, "{isa:?}: the gradient has another direction: cosine {cosine}");
    }
}
