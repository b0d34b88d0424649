//! Temperature scaling: one number that makes the probabilities honest and leaves their order alone.

use artifacts::Label;

use crate::metrics::Error;

/// The temperatures that are considered. A network that needs one outside is no detector.
const RANGE: (f64, f64) = (0.01, 100.0);
/// Newton steps before the bracket alone is halved; either alone converges in fewer.
const MAX_STEPS: usize = 200;

/// A fitted temperature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Temperature(pub f64);

impl Temperature {
    /// The calibrated P(fake) of a margin, the logit of fake minus that of real. It depends on nothing else, so that
    /// anyone can repeat it from `predictions.parquet`.
    pub fn calibrate(self, margin: f64) -> f64 {
        sigmoid(margin / self.0)
    }
}

/// Which probability is meant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// As the network gave it.
    AsJudged,
    /// After temperature scaling.
    Calibrated(Temperature),
}

impl Scale {
    /// P(fake) of a margin on this scale.
    pub fn p_fake(self, margin: f64) -> f64 {
        match self {
            Scale::AsJudged => sigmoid(margin),
            Scale::Calibrated(temperature) => temperature.calibrate(margin),
        }
    }
}

/// 1 / (1 + e^-x): the softmax of two logits whose difference is `x`.
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// Finds the temperature with the lowest log loss (Guo et al. 2017, arXiv 1706.04599, section 4.2), within
/// 0.01 to 100. `None` unless both classes are there. Where no image is on the wrong side the loss has no minimum, and
/// nothing says how sure the network may be: the temperature is 1 then.
///
/// The loss is convex in 1 / T, so the sign of its slope brackets the minimum and Newton's method finds it.
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

/// First and second derivative of the summed log loss by 1 / T.
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
    fn separable_margins_are_left_as_they_are_and_reversed_ones_end_at_the_bound() {
        let labels = [Label::Real, Label::Fake];
        let cold = fit_temperature(&labels, &[-1.0, 1.0]).unwrap().unwrap();
        assert_eq!(cold, Temperature(1.0));
        let hot = fit_temperature(&labels, &[1.0, -1.0]).unwrap().unwrap();
        assert!((hot.0 - RANGE.1).abs() < 1e-6, "{hot:?}");
    }

    #[test]
    fn one_class_fits_nothing() {
        assert_eq!(fit_temperature(&[Label::Fake], &[1.0]).unwrap(), None);
        assert_eq!(fit_temperature(&[], &[]).unwrap(), None);
    }

    #[test]
    fn calibration_scales_the_margin() {
        let temperature = Temperature(20.0);
        assert_eq!([-30.0, 0.0, 30.0].map(|margin| temperature.calibrate(margin)), [-1.5, 0.0, 1.5].map(sigmoid));
        // P(fake) itself has lost what calibration needs.
        assert_eq!(sigmoid(100.0), 1.0);
        assert_eq!(temperature.calibrate(100.0), sigmoid(5.0));
    }

    #[test]
    fn the_sigmoid_does_not_overflow() {
        assert_eq!(sigmoid(-1e9), 0.0);
        assert_eq!(sigmoid(1e9), 1.0);
        assert_eq!(sigmoid(0.0), 0.5);
    }
}
