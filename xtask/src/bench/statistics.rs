//! Medians of rounds.

/// The median; none of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some((lower + upper) / 2.0)
}

/// The lowest and the highest ratio of two sides in the same round.
pub(crate) fn spread(ours: &[f64], peer: &[f64]) -> Option<[f64; 2]> {
    let ratios = ours.iter().zip(peer).map(|(ours, peer)| ours / peer);
    ratios.fold(None, |spread, ratio| {
        let [low, high] = spread.unwrap_or([ratio, ratio]);
        Some([ratio.min(low), ratio.max(high)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_numbers_of_rounds() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]), Some(3.0));
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        assert_eq!(spread(&[2.0, 3.0, 1.0], &[1.0, 2.0, 1.0]), Some([1.0, 2.0]));
        assert_eq!(spread(&[2.0, 9.0], &[4.0]), Some([0.5, 0.5]));
        assert_eq!(spread(&[2.0], &[]), None);
    }
}
