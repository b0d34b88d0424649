//! Percentile intervals of resampled values.

use artifacts::schema::Interval;
use artifacts::statistics::quantile;

/// The smallest share of resamples in which a metric must be defined to have an interval.
const MIN_DEFINED: f64 = 0.95;

/// Returns the 95% percentile interval of resampled values (Efron & Tibshirani 1993, chapter 13). Resamples without a
/// value are left out; `None` if more than 5% of the resamples have none.
pub fn percentile_interval(values: &[Option<f64>]) -> Option<Interval> {
    let mut defined: Vec<f64> = values.iter().flatten().copied().collect();
    if defined.is_empty() || (defined.len() as f64) < MIN_DEFINED * values.len() as f64 {
        return None;
    }
    defined.sort_unstable_by(f64::total_cmp);
    Some(Interval { low: quantile(&defined, 0.025), high: quantile(&defined, 0.975) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_at_interpolated_quantiles() {
        let values: Vec<Option<f64>> = (0..=100).rev().map(|i| Some(f64::from(i))).collect();
        assert_eq!(percentile_interval(&values), Some(Interval { low: 2.5, high: 97.5 }));
    }

    #[test]
    fn omits_interval_of_often_undefined_value() {
        let mut values = vec![Some(1.0); 90];
        values.extend([None; 10]);
        assert_eq!(percentile_interval(&values), None);
        assert_eq!(percentile_interval(&[]), None);
    }
}
