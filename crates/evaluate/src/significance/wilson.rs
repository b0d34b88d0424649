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
    // The ends are exactly 0 and 1 there, but rounding gives numbers such as 5.6e-17.
    let low = if proportion.hits == 0 { 0.0 } else { centre - half };
    let high = if proportion.hits == proportion.n { 1.0 } else { centre + half };
    Some(Interval { low, high })
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
        for n in 1..500 {
            let ends = [0, 1, n - 1, n].map(|hits| wilson(Proportion { hits, n }).unwrap());
            assert_eq!((ends[0].low, ends[3].high), (0.0, 1.0), "{n}");
            assert!(ends.iter().all(|ends| 0.0 <= ends.low && ends.low < ends.high && ends.high <= 1.0), "{ends:?}");
        }
    }
}
