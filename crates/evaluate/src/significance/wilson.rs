//! Wilson's interval of a proportion.

use artifacts::schema::{Interval, Proportion};

use super::normal::QUANTILE_975;

/// Wilson's 95% score interval of a proportion (Wilson 1927, JASA 22); `None` for `n` = 0. Unlike the bootstrap it
/// keeps its coverage for few images and for proportions of 0 and 1.
pub fn wilson(proportion: Proportion) -> Option<Interval> {
    let (n, rate) = (proportion.n as f64, proportion.value()?);
    let z2 = QUANTILE_975 * QUANTILE_975;
    let centre = (rate + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = QUANTILE_975 * (rate * (1.0 - rate) / n + z2 / (4.0 * n * n)).sqrt() / (1.0 + z2 / n);
    Some(Interval { low: (centre - half).max(0.0), high: (centre + half).min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_published_values() {
        // Newcombe 1998 (Statistics in Medicine 17), table I: 81 of 263, and 0 of 20.
        let interval = wilson(Proportion { hits: 81, n: 263 }).unwrap();
        assert!((interval.low - 0.2553).abs() < 5e-5 && (interval.high - 0.3662).abs() < 5e-5, "{interval:?}");
        let interval = wilson(Proportion { hits: 0, n: 20 }).unwrap();
        assert!(interval.low == 0.0 && (interval.high - 0.1611).abs() < 5e-5, "{interval:?}");
        assert_eq!(wilson(Proportion { hits: 0, n: 0 }), None);
    }
}
