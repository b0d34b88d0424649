//! The `Content-Range` header of a partial response.

/// The bytes `first..=last` of a resource of `total` bytes (RFC 9110, section 14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// The number of the first byte, counted from 0.
    pub first: u64,
    /// The number of the last byte. At least `first`, and less than `total`.
    pub last: u64,
    /// The size of the resource in bytes; `None` if the server does not know it.
    pub total: Option<u64>,
}

impl ContentRange {
    /// Parses `bytes 0-9/100` or `bytes 0-9/*`. Returns `None` for anything else, and if the numbers contradict each
    /// other.
    pub fn parse(text: &str) -> Option<ContentRange> {
        let (unit, rest) = text.trim().split_once(' ')?;
        let (range, total) = rest.trim().split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (parse_digits(first)?, parse_digits(last)?);
        let total = if total == "*" { None } else { Some(parse_digits(total)?) };
        let consistent = first <= last && total.is_none_or(|total| last < total);
        (unit.eq_ignore_ascii_case("bytes") && consistent).then_some(ContentRange { first, last, total })
    }

    /// Parses `bytes */100`, which a server sends with status 416, and returns the size of the resource.
    pub fn parse_unsatisfied(text: &str) -> Option<u64> {
        let (unit, rest) = text.trim().split_once(' ')?;
        parse_digits(rest.trim().strip_prefix("*/")?).filter(|_| unit.eq_ignore_ascii_case("bytes"))
    }
}

/// Parses a decimal number. Unlike `str::parse`, accepts no sign.
fn parse_digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_valid_ranges() {
        let expected = ContentRange { first: 5, last: 9, total: Some(10) };
        assert_eq!(ContentRange::parse("bytes 5-9/10"), Some(expected));
        assert_eq!(ContentRange::parse("Bytes 5-9/*"), Some(ContentRange { total: None, ..expected }));
    }

    #[test]
    fn parses_the_size_of_a_refused_range() {
        assert_eq!(ContentRange::parse_unsatisfied("bytes */10"), Some(10));
        for text in ["bytes 0-1/10", "bytes */*", "bytes */", "items */10", ""] {
            assert_eq!(ContentRange::parse_unsatisfied(text), None, "{text:?}");
        }
    }

    #[test]
    fn rejects_invalid_ranges() {
        for text in [
            "",
            "bytes",
            "bytes */10",
            "bytes 9-5/10",
            "bytes 5-10/10",
            "items 5-9/10",
            "bytes 5-9",
            "bytes +5-9/10",
            "bytes 5-/10",
        ] {
            assert_eq!(ContentRange::parse(text), None, "{text:?}");
        }
    }
}
