//! Formats numbers for the page, the figures and the model card.

use artifacts::schema::{Interval, Proportion};
pub(crate) use artifacts::text::count;

/// The text of an undefined value.
pub(crate) const UNDEFINED: &str = "–";

/// Formats a score with three decimals.
pub(crate) fn score(value: Option<f64>) -> String {
    finite(value).map_or_else(|| UNDEFINED.to_owned(), |value| format!("{value:.3}"))
}

/// Formats the probability of one image with four decimals. Values near 0 and 1 are not rounded to "0.0000" or
/// "1.0000".
pub(crate) fn probability(value: f64) -> String {
    match value {
        v if v > 0.0 && v < 0.00005 => "< 0.0001".to_owned(),
        v if (0.99995..1.0).contains(&v) => "> 0.9999".to_owned(),
        v => format!("{v:.4}"),
    }
}

/// Formats a p-value with four decimals. Small values are not rounded to "0.0000".
pub(crate) fn p_value(p: Option<f64>) -> String {
    match finite(p) {
        None => UNDEFINED.to_owned(),
        Some(p) if p < 0.0001 => "< 0.0001".to_owned(),
        Some(p) => format!("{p:.4}"),
    }
}

/// Formats a fraction as a percentage with one decimal.
pub(crate) fn percent(value: Option<f64>) -> String {
    finite(value).map_or_else(|| UNDEFINED.to_owned(), |value| format!("{:.1}%", 100.0 * value))
}

/// Formats `part / whole` as a percentage. Returns [`UNDEFINED`] if `whole` is 0.
pub(crate) fn share(part: u64, whole: u64) -> String {
    percent(ratio(part, whole))
}

/// Returns `part / whole`, or `None` if `whole` is 0.
pub(crate) fn ratio(part: u64, whole: u64) -> Option<f64> {
    Proportion { hits: part, n: whole }.value()
}

/// Formats a fraction as a number of cases in a hundred. Fractions near 0 and 1 are not rounded to "0" or "100".
pub(crate) fn per_hundred(share: f64) -> String {
    match 100.0 * share {
        h if h > 0.0 && h < 1.0 => "fewer than 1".to_owned(),
        h if h > 99.0 && h < 100.0 => "more than 99".to_owned(),
        // `{:.0}` would round 2.5 to 2, but the figure beside the number draws 3 marks.
        h => format!("{}", h.round()),
    }
}

/// Formats the ends of an interval with three decimals. `None` if both are equal.
pub(crate) fn ends(interval: &Interval) -> Option<[String; 2]> {
    let [low, high] = [interval.low, interval.high].map(|end| score(Some(end)));
    (low != high).then_some([low, high])
}

/// Formats a count with its noun, in the plural unless the count is 1.
pub(crate) fn count_noun(value: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(value), if value == 1 { "" } else { "s" })
}

/// Formats a duration in its two largest units.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Formats a number with at most `decimals` decimals and no trailing zeros.
pub(crate) fn compact(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undefined_values_are_a_dash() {
        for value in [None, Some(f64::NAN), Some(f64::INFINITY)] {
            assert_eq!((score(value), percent(value)), (UNDEFINED.to_owned(), UNDEFINED.to_owned()));
        }
        assert_eq!(share(0, 0), UNDEFINED);
    }

    #[test]
    fn probabilities_are_not_rounded_to_certainty() {
        assert_eq!(probability(0.999999), "> 0.9999");
        assert_eq!(probability(1e-9), "< 0.0001");
        assert_eq!(probability(1.0), "1.0000");
        assert_eq!(probability(0.25), "0.2500");
    }

    #[test]
    fn p_values_are_not_rounded_to_zero() {
        assert_eq!([Some(0.5), Some(1e-9), None, Some(f64::NAN)].map(p_value).join("|"), "0.5000|< 0.0001|–|–");
    }

    #[test]
    fn rare_cases_are_not_rounded_to_none() {
        let texts = [0.0, 0.001, 0.126, 0.9987, 1.0].map(per_hundred).join("|");
        assert_eq!(texts, "0|fewer than 1|13|more than 99|100");
        assert_eq!(per_hundred(5.0 / 200.0), "3", "as many as the marks of the figure");
    }

    #[test]
    fn counts_have_commas_and_plurals() {
        assert_eq!(
            [count(0), count(999), count(1000), count(21_776), count(1_234_567)].join(" "),
            "0 999 1,000 21,776 1,234,567"
        );
        assert_eq!(count_noun(1, "image"), "1 image");
        assert_eq!(count_noun(1_000, "image"), "1,000 images");
    }

    #[test]
    fn durations_have_their_two_largest_units() {
        assert_eq!(
            [duration(0.04), duration(59.6), duration(75.0), duration(7260.0)].join("|"),
            "0.0 s|1 min 0 s|1 min 15 s|2 h 1 min"
        );
    }

    #[test]
    fn compact_numbers_have_no_trailing_zeros() {
        assert_eq!([compact(1.50, 2), compact(-0.001, 2), compact(100.0, 2), compact(0.0, 0)].join(" "), "1.5 0 100 0");
    }
}
