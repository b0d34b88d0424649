//! Statistics over rounds.

/// Returns the median, or `None` for an empty list.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some((lower + upper) / 2.0)
}

/// Returns the lowest and the highest ratio of two programs' values in the same round.
pub(crate) fn ratio_range(ours: &[f64], peer: &[f64]) -> Option<[f64; 2]> {
    let ratios = ours.iter().zip(peer).map(|(ours, peer)| ours / peer);
    ratios.fold(None, |range, ratio| {
        let [low, high] = range.unwrap_or([ratio, ratio]);
        Some([ratio.min(low), ratio.max(high)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_even_number_is_mean_of_middle_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]), Some(3.0));
    }

    #[test]
    fn ratios_are_between_values_of_same_round() {
        assert_eq!(ratio_range(&[2.0, 3.0, 1.0], &[1.0, 2.0, 1.0]), Some([1.0, 2.0]));
        assert_eq!(ratio_range(&[2.0, 9.0], &[4.0]), Some([0.5, 0.5]));
        assert_eq!(ratio_range(&[2.0], &[]), None);
    }
}
