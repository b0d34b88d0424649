//! The interval of one proportion.

use artifacts::schema::Interval;

use super::NORMAL_975;

/// Wilson's 95% score interval (Wilson 1927, JASA 22) of `hits` out of `n`; `None` for `n` = 0. Unlike the bootstrap it
/// keeps its coverage for a handful of images and for rates of 0 and 1.
pub(crate) fn wilson(hits: u64, n: u64) -> Option<Interval> {
    if n == 0 {
        return None;
    }
    let (n, rate) = (n as f64, hits as f64 / n as f64);
    let z2 = NORMAL_975 * NORMAL_975;
    let centre = (rate + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = NORMAL_975 * (rate * (1.0 - rate) / n + z2 / (4.0 * n * n)).sqrt() / (1.0 + z2 / n);
    Some(Interval { low: (centre - half).max(0.0), high: (centre + half).min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_equals_published_values() {
        // Newcombe 1998 (Statistics in Medicine 17), table I: 81 of 263, and 0 of 20.
        let interval = wilson(81, 263).unwrap();
        assert!((interval.low - 0.2553).abs() < 5e-5 && (interval.high - 0.3662).abs() < 5e-5, "{interval:?}");
        let interval = wilson(0, 20).unwrap();
        assert!(interval.low == 0.0 && (interval.high - 0.1611).abs() < 5e-5, "{interval:?}");
        assert_eq!(wilson(0, 0), None);
    }
}
