//! Numerical functions that several crates share.

use crate::Label;

/// `numerator / denominator`; `None` if the denominator is 0.
pub fn ratio(numerator: f64, denominator: f64) -> Option<f64> {
    (denominator != 0.0).then(|| numerator / denominator)
}

/// The arithmetic mean; NaN for an empty slice.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The quantile `share` (0 to 1) of ascending values, interpolated linearly between neighbours as `numpy.quantile` does
/// by default.
///
/// # Panics
/// If `ascending` is empty.
pub fn quantile(ascending: &[f64], share: f64) -> f64 {
    let position = share * (ascending.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(ascending.len() - 1);
    ascending[below] + (position - below as f64) * (ascending[above] - ascending[below])
}

/// The logistic function 1 / (1 + e^-x): the softmax probability of the second of two logits whose difference is `x`.
/// Does not overflow.
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// Negative log-likelihood of the true class in nats: -ln P(fake) for a fake, -ln(1 - P(fake)) for a real image.
/// P(fake) is clipped to 2^-52 and 1 - 2^-52, as in `sklearn.metrics.log_loss`, so that one wrong prediction of 0 or 1
/// does not make a mean infinite.
pub fn log_loss(label: Label, p_fake: f64) -> f64 {
    let p = p_fake.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    match label {
        Label::Fake => -p.ln(),
        Label::Real => -(1.0 - p).ln(),
    }
}

/// Cross-entropy of the softmax of `logits` for the true `class`, in nats: `ln(sum(exp(logits))) - logits[class]`. Does
/// not overflow. Unlike [`log_loss`], it keeps its precision where the softmax rounds to 0 or 1.
///
/// # Panics
/// If `class` is not less than the number of logits.
pub fn cross_entropy(logits: &[f32], class: usize) -> f64 {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
    largest + sum.ln() - f64::from(logits[class])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantile_interpolates() {
        let values: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!([0.0, 0.025, 0.975, 1.0].map(|share| quantile(&values, share)), [0.0, 2.5, 97.5, 100.0]);
        assert_eq!(quantile(&[3.0], 0.5), 3.0);
    }

    #[test]
    fn sigmoid_does_not_overflow() {
        assert_eq!([-1e9, 0.0, 1e9].map(sigmoid), [0.0, 0.5, 1.0]);
    }

    #[test]
    fn log_loss_of_wrong_certain_prediction_is_finite() {
        assert_eq!(log_loss(Label::Real, 1.0), -f64::EPSILON.ln());
        assert_eq!(log_loss(Label::Fake, 0.0), -f64::EPSILON.ln());
        assert_eq!(log_loss(Label::Fake, 0.5), std::f64::consts::LN_2);
    }

    #[test]
    fn cross_entropy_matches_softmax() {
        assert!((cross_entropy(&[0.0, 0.0], 1) - 2_f64.ln()).abs() < 1e-15);
        assert!((cross_entropy(&[1.0, -1.0], 0) - (1.0 + (-2_f64).exp()).ln()).abs() < 1e-15);
        assert!((cross_entropy(&[1000.0, 0.0], 1) - 1000.0).abs() < 1e-9);
        assert!(cross_entropy(&[f32::NAN, f32::NAN], 0).is_nan());
    }
}
