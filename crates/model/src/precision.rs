//! What convolutions multiply, as configurations and options name it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What convolutions multiply. Sums, batch norm's statistics, the masters of the weights and Adam are f32 in each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Precision {
    /// f32 on the processor; on a card bf16 where it has units for that, from Ampere on, else f32.
    #[default]
    Auto,
    /// 32-bit floating point throughout.
    F32,
    /// On a card: f32 in memory, rounded to 10 bits of mantissa in products.
    Tf32,
    /// 8 bits of exponent and 7 of mantissa. On a processor it needs AVX512_BF16.
    Bf16,
}

const NAMES: [(Precision, &str); 4] =
    [(Precision::Auto, "auto"), (Precision::F32, "f32"), (Precision::Tf32, "tf32"), (Precision::Bf16, "bf16")];

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        NAMES.iter().find(|(precision, _)| precision == self).map_or(Ok(()), |(_, name)| f.write_str(name))
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = NAMES.into_iter().find(|(_, name)| *name == text);
        found.map(|(precision, _)| precision).ok_or_else(|| Error::PrecisionName(text.to_owned()))
    }
}

impl TryFrom<String> for Precision {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Precision> for String {
    fn from(precision: Precision) -> Self {
        precision.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for (precision, name) in NAMES {
            assert_eq!((name.parse::<Precision>().unwrap(), precision.to_string().as_str()), (precision, name));
        }
        assert!("fp16".parse::<Precision>().unwrap_err().to_string().contains("`fp16`"));
    }
}
