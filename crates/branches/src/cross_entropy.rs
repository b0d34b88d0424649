//! The loss of the heads and of the trained branches.

use candle_core::Tensor;

/// The binary cross-entropy of margins and targets between 0 and 1 of the same shape, in nats:
/// `max(m, 0) - m y + ln(1 + exp(-|m|))`.
pub(crate) fn cross_entropy(margins: &Tensor, targets: &Tensor) -> candle_core::Result<Tensor> {
    let tail = (margins.abs()?.neg()?.exp()? + 1.0)?.log()?;
    (margins.relu()? - (margins * targets)?)? + tail
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    /// The gradient of the loss with respect to the first weight, by central differences.
    #[test]
    fn gradient_equals_finite_difference() {
        let margins = |w: f32| Tensor::new(&[[0.3 * w, -1.2 * w], [2.0 * w, 0.0]], &Device::Cpu).unwrap();
        let targets = Tensor::new(&[[1.0_f32, 1.0], [0.0, 0.0]], &Device::Cpu).unwrap();
        let loss = |w: f32| cross_entropy(&margins(w), &targets).unwrap().sum_all().unwrap();
        let var = Var::new(0.8_f32, &Device::Cpu).unwrap();
        let inputs = Tensor::new(&[[0.3_f32, -1.2], [2.0, 0.0]], &Device::Cpu).unwrap();
        let gradients = cross_entropy(&inputs.broadcast_mul(var.as_tensor()).unwrap(), &targets)
            .unwrap()
            .sum_all()
            .unwrap()
            .backward()
            .unwrap();
        let found = gradients.get(var.as_tensor()).unwrap().to_scalar::<f32>().unwrap();
        let [high, low] = [0.81, 0.79].map(|w| loss(w).to_scalar::<f32>().unwrap());
        assert!((found - (high - low) / 0.02).abs() < 1e-3, "{found}");
    }

    #[test]
    fn loss_equals_definition() {
        let margins = Tensor::new(&[-30.0_f32, -1.0, 0.0, 2.0, 40.0], &Device::Cpu).unwrap();
        let targets = Tensor::new(&[0.0_f32, 1.0, 0.5, 0.1, 0.0], &Device::Cpu).unwrap();
        let losses = cross_entropy(&margins, &targets).unwrap().to_vec1::<f32>().unwrap();
        let expected = [0.0, 1.313_261_7, std::f32::consts::LN_2, 1.926_928, 40.0];
        for (loss, expected) in losses.iter().zip(expected) {
            assert!((loss - expected).abs() < 1e-5, "{losses:?}");
        }
    }
}
