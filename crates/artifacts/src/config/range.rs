//! The error for values that the type of a key allows but the stage does not.

use std::borrow::Cow;
use std::fmt::Display;

/// A value outside the range of its key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{section}.{key} must be {range}, but is {value}")]
pub struct OutOfRange {
    section: &'static str,
    key: &'static str,
    value: String,
    range: Cow<'static, str>,
}

impl OutOfRange {
    /// The error for `section.key` with this value. `range` describes the allowed values: "at least 1".
    pub fn new(
        section: &'static str,
        key: &'static str,
        value: impl Display,
        range: impl Into<Cow<'static, str>>,
    ) -> OutOfRange {
        OutOfRange { section, key, value: value.to_string(), range: range.into() }
    }
}
