//! Values that types allow and a stage does not.

use std::borrow::Cow;
use std::fmt::Display;

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{section}.{key} is {value}, and must be {range}")]
pub struct OutOfRange {
    section: &'static str,
    key: &'static str,
    value: String,
    range: Cow<'static, str>,
}

impl OutOfRange {
    /// The value of `section.key`, and what it may be.
    pub fn new(
        section: &'static str,
        key: &'static str,
        value: impl Display,
        range: impl Into<Cow<'static, str>>,
    ) -> OutOfRange {
        OutOfRange { section, key, value: value.to_string(), range: range.into() }
    }
}
