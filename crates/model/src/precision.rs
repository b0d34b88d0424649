//! The precision as chosen in configurations and options.

use std::fmt;
use std::str::FromStr;

use kernels::Precision;
use serde::{Deserialize, Serialize};

/// The name of a precision is unknown.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a precision: use `auto`, `f32`, `tf32` or `bf16`")]
pub struct UnknownPrecision(String);

/// Element type of the products of convolutions and transformers, as named in configurations: `auto`, `f32`, `tf32` or
/// `bf16`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PrecisionChoice {
    /// On processors f32. On a card bf16 if it has units for bf16 (from Ampere on), else f32.
    #[default]
    Auto,
    /// The given precision. On processors, bf16 needs AVX-512 BF16, and TF32 does not exist. They fall back to f32.
    Fixed(Precision),
}

impl PrecisionChoice {
    /// Whether bf16 is chosen by name.
    #[must_use]
    pub fn is_bf16(self) -> bool {
        self == Self::Fixed(Precision::Bf16)
    }
}

const NAMES: [(PrecisionChoice, &str); 4] = [
    (PrecisionChoice::Auto, "auto"),
    (PrecisionChoice::Fixed(Precision::F32), "f32"),
    (PrecisionChoice::Fixed(Precision::Tf32), "tf32"),
    (PrecisionChoice::Fixed(Precision::Bf16), "bf16"),
];

impl fmt::Display for PrecisionChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        NAMES.iter().find(|(precision, _)| precision == self).map_or(Ok(()), |(_, name)| f.write_str(name))
    }
}

impl FromStr for PrecisionChoice {
    type Err = UnknownPrecision;

    fn from_str(text: &str) -> Result<Self, UnknownPrecision> {
        let found = NAMES.into_iter().find(|(_, name)| *name == text);
        found.map(|(precision, _)| precision).ok_or_else(|| UnknownPrecision(text.to_owned()))
    }
}

impl TryFrom<String> for PrecisionChoice {
    type Error = UnknownPrecision;

    fn try_from(text: String) -> Result<Self, UnknownPrecision> {
        text.parse()
    }
}

impl From<PrecisionChoice> for String {
    fn from(precision: PrecisionChoice) -> Self {
        precision.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_its_own_names_and_rejects_others() {
        for (precision, name) in NAMES {
            assert_eq!((name.parse::<PrecisionChoice>().unwrap(), precision.to_string().as_str()), (precision, name));
        }
        assert!("fp16".parse::<PrecisionChoice>().unwrap_err().to_string().contains("`fp16`"));
    }
}
