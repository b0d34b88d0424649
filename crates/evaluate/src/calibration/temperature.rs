//! Temperature scaling: calibrates probabilities with one parameter and keeps their order.

use artifacts::Label;
use artifacts::statistics::sigmoid;

use crate::metrics::Error;

/// Lowest and highest temperature of the search.
const RANGE: (f64, f64) = (0.01, 100.0);
/// Limit on the number of Newton steps and bisections; each method alone converges in fewer.
const MAX_STEPS: usize = 200;

/// A fitted temperature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Temperature(pub f64);

impl Temperature {
    /// Returns the calibrated P(fake) of a margin, `logit_fake - logit_real`: the sigmoid of `margin / temperature`.
    pub fn calibrate(self, margin: f64) -> f64 {
        sigmoid(margin / self.0)
    }
}

/// How P(fake) follows from a margin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ProbabilityScale {
    /// The network's own softmax.
    Uncalibrated,
    /// After temperature scaling.
    Calibrated(Temperature),
}

impl ProbabilityScale {
    /// Returns P(fake) of a margin.
    pub fn p_fake(self, margin: f64) -> f64 {
        match self {
            ProbabilityScale::Uncalibrated => sigmoid(margin),
            ProbabilityScale::Calibrated(temperature) => temperature.calibrate(margin),
        }
    }
}

/// Finds the temperature from 0.01 to 100 with the lowest log loss (Guo et al. 2017, arXiv 1706.04599, section 4.2).
/// `None` without images of both classes. If every image is on the correct side of 0, the loss falls down to a
/// temperature of 0 and has no minimum; the result is then 1.
///
/// The loss is convex in 1 / T. The sign of its slope brackets the minimum, and Newton's method with bisection finds
/// it.
///
/// # Errors
/// Lists of different lengths, and margins that are not finite.
pub fn fit_temperature(labels: &[Label], margins: &[f64]) -> Result<Option<Temperature>, Error> {
    if labels.len() != margins.len() {
        return Err(Error::Lengths { labels: labels.len(), scores: margins.len() });
    }
    if let Some((row, &score)) = margins.iter().enumerate().find(|(_, margin)| !margin.is_finite()) {
        return Err(Error::NotFinite { row, score });
    }
    if !Label::ALL.iter().all(|class| labels.contains(class)) {
        return Ok(None);
    }
    let (mut low, mut high) = (1.0 / RANGE.1, 1.0 / RANGE.0);
    if derivatives(labels, margins, high).0 <= 0.0 {
        return Ok(Some(Temperature(1.0)));
    }
    let mut beta = 1.0;
    for _ in 0..MAX_STEPS {
        let (slope, curvature) = derivatives(labels, margins, beta);
        if slope > 0.0 {
            high = beta;
        } else {
            low = beta;
        }
        let newton = beta - slope / curvature;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        let moved = (next - beta).abs();
        beta = next;
        if moved <= 1e-14 * beta {
            break;
        }
    }
    Ok(Some(Temperature(1.0 / beta)))
}

/// First and second derivative of the sum of log losses with respect to 1 / T.
fn derivatives(labels: &[Label], margins: &[f64], beta: f64) -> (f64, f64) {
    labels.iter().zip(margins).fold((0.0, 0.0), |(slope, curvature), (label, &margin)| {
        let p = sigmoid(beta * margin);
        (slope + (p - f64::from(label.index())) * margin, curvature + p * (1.0 - p) * margin * margin)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separable_margins_have_temperature_1_and_reversed_ones_the_highest() {
        let labels = [Label::Real, Label::Fake];
        let cold = fit_temperature(&labels, &[-1.0, 1.0]).unwrap().unwrap();
        assert_eq!(cold, Temperature(1.0));
        let hot = fit_temperature(&labels, &[1.0, -1.0]).unwrap().unwrap();
        assert!((hot.0 - RANGE.1).abs() < 1e-6, "{hot:?}");
    }

    #[test]
    fn one_class_has_no_temperature() {
        assert_eq!(fit_temperature(&[Label::Fake], &[1.0]).unwrap(), None);
        assert_eq!(fit_temperature(&[], &[]).unwrap(), None);
    }

    #[test]
    fn calibrates_the_margin_and_not_the_rounded_probability() {
        let temperature = Temperature(20.0);
        assert_eq!([-30.0, 0.0, 30.0].map(|margin| temperature.calibrate(margin)), [-1.5, 0.0, 1.5].map(sigmoid));
        // P(fake) of this margin rounds to 1.
        assert_eq!(sigmoid(100.0), 1.0);
        assert_eq!(temperature.calibrate(100.0), sigmoid(5.0));
    }
}
