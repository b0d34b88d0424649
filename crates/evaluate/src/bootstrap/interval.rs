//! From resampled values to an interval.

use artifacts::schema::Interval;

/// The share of resamples in which a value must be defined for its interval to be given.
const MIN_DEFINED: f64 = 0.95;

/// The percentile interval of resampled values (Efron & Tibshirani 1993, chapter 13), quantiles interpolated as in
/// numpy's default. Resamples in which the value is not defined are left out; `None` when they are more than 5%.
pub fn interval(values: &[Option<f64>]) -> Option<Interval> {
    let mut defined: Vec<f64> = values.iter().flatten().copied().collect();
    if defined.is_empty() || (defined.len() as f64) < MIN_DEFINED * values.len() as f64 {
        return None;
    }
    defined.sort_unstable_by(f64::total_cmp);
    Some(Interval { low: quantile(&defined, 0.025), high: quantile(&defined, 0.975) })
}

/// The quantile of ascending values, linear between neighbours.
fn quantile(ascending: &[f64], share: f64) -> f64 {
    let position = share * (ascending.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(ascending.len() - 1);
    ascending[below] + (position - below as f64) * (ascending[above] - ascending[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_interpolated() {
        let values: Vec<Option<f64>> = (0..=100).rev().map(|i| Some(f64::from(i))).collect();
        assert_eq!(interval(&values), Some(Interval { low: 2.5, high: 97.5 }));
    }

    #[test]
    fn a_value_that_is_often_undefined_has_no_interval() {
        let mut values = vec![Some(1.0); 90];
        values.extend([None; 10]);
        assert_eq!(interval(&values), None);
        assert_eq!(interval(&[]), None);
    }
}
