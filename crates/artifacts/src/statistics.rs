//! Small numerical functions that several stages share.

/// `numerator / denominator`; `None` where the denominator is 0.
pub fn ratio(numerator: f64, denominator: f64) -> Option<f64> {
    (denominator != 0.0).then(|| numerator / denominator)
}
