//! Converts values to pixels, and chooses round values for ticks.

use crate::format_number::compact;

/// A linear scale from values to pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    /// The values at both ends.
    pub(crate) domain: [f64; 2],
    /// The pixel coordinates of these values.
    pub(crate) range: [f64; 2],
}

impl Scale {
    /// Converts a value to pixels.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let [from, to] = self.domain;
        let [start, end] = self.range;
        let width = to - from;
        if width == 0.0 { (start + end) / 2.0 } else { start + (value - from) / width * (end - start) }
    }
}

/// Returns at most about `count` round values between `min` and `max`, with their labels.
///
/// The step between them is 1, 2 or 5 times a power of ten (Heckbert, "Nice Numbers for Graph Labels", Graphics Gems,
/// 1990).
pub(crate) fn ticks(min: f64, max: f64, count: usize) -> Vec<(f64, String)> {
    let span = max - min;
    if !(span.is_finite() && span > 0.0) || count == 0 {
        return vec![(min, compact(min, 3))];
    }
    let step = round_up_step(span / count as f64);
    let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    let first = (min / step - 1e-9).ceil() as i64;
    let last = (max / step + 1e-9).floor() as i64;
    (first..=last).map(|i| i as f64 * step).map(|value| (value, format!("{value:.decimals$}"))).collect()
}

/// Rounds `step` up to 1, 2 or 5 times a power of ten.
fn round_up_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let nice = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= step * (1.0 - 1e-9)).unwrap_or(10.0);
    nice * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(min: f64, max: f64, count: usize) -> String {
        ticks(min, max, count).into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_round_and_within_the_range() {
        assert_eq!(texts(0.0, 1.0, 5), "0.0 0.2 0.4 0.6 0.8 1.0");
        assert_eq!(texts(0.0, 0.73, 4), "0.0 0.2 0.4 0.6");
        assert_eq!(texts(1.0, 60.0, 6), "10 20 30 40 50 60");
        assert_eq!(texts(0.013, 0.041, 4), "0.02 0.03 0.04");
        assert_eq!(texts(-3.0, 3.0, 3), "-2 0 2");
    }

    #[test]
    fn an_empty_range_has_one_tick() {
        assert_eq!(texts(2.0, 2.0, 5), "2");
        assert_eq!(ticks(0.0, f64::NAN, 5).len(), 1);
    }

    #[test]
    fn scale_maps_the_ends_of_its_domain() {
        let scale = Scale { domain: [0.0, 10.0], range: [100.0, 0.0] };
        assert_eq!([scale.at(0.0), scale.at(10.0), scale.at(2.5)], [100.0, 0.0, 75.0]);
        assert_eq!(Scale { domain: [1.0, 1.0], range: [0.0, 8.0] }.at(1.0), 4.0);
    }
}
