//! The values of `--only`: parts, and results by name or by the first words of their names.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::options::{Device, Part};
use super::result_name::{has_prefix, memory_name};

/// One value of `--only`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// All results of a part.
    Part(Part),
    /// Results whose names have these first words: `cpu.train`, `cpu.train.f32.b16`.
    Prefix(String),
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Filter::Part(part) => f.write_str(part.to_possible_value().as_ref().map_or("", PossibleValue::get_name)),
            Filter::Prefix(prefix) => f.write_str(prefix),
        }
    }
}

impl FromStr for Filter {
    type Err = Infallible;

    /// Parses the name of a part; any other text is a prefix. [`super::cases::check_filters`] checks that such results
    /// exist.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Part::from_str(text, false).map_or_else(|_| Filter::Prefix(text.to_owned()), Filter::Part))
    }
}

impl Filter {
    /// Returns whether the filter may select results of `part`.
    pub(crate) fn may_select_from(&self, part: Part, device: Device) -> bool {
        match self {
            Filter::Part(selected) => *selected == part,
            Filter::Prefix(prefix) => is_related(&part.prefix(device), prefix),
        }
    }

    /// Returns whether the filter may select results of the case with this part and name.
    pub(crate) fn may_select_from_case(&self, part: Part, case_name: &str) -> bool {
        match self {
            Filter::Part(selected) => *selected == part,
            Filter::Prefix(prefix) => is_related(case_name, prefix) || is_related(&memory_name(case_name), prefix),
        }
    }

    /// Returns whether the filter selects a result, given the part and the name of the result's case. The name of a
    /// case selects all of its results.
    pub(crate) fn selects(&self, part: Part, case_name: &str, result_name: &str) -> bool {
        match self {
            Filter::Part(selected) => *selected == part,
            Filter::Prefix(prefix) => has_prefix(case_name, prefix) || has_prefix(result_name, prefix),
        }
    }
}

/// Returns whether one of the names is a prefix of the other.
fn is_related(a: &str, b: &str) -> bool {
    has_prefix(a, b) || has_prefix(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_other_than_a_part_is_a_prefix() {
        assert_eq!("train".parse(), Ok(Filter::Part(Part::Train)));
        let prefix: Filter = "cpu.layer.b8.conv1".parse().unwrap();
        assert_eq!(prefix, Filter::Prefix("cpu.layer.b8.conv1".to_owned()));
        let selected = Part::ALL.into_iter().filter(|part| prefix.may_select_from(*part, Device::Cpu));
        assert_eq!(selected.collect::<Vec<_>>(), [Part::Layers]);
        assert!(Filter::Prefix("cuda".to_owned()).may_select_from(Part::Train, Device::Cuda));
        assert!(!Filter::Prefix("cuda".to_owned()).may_select_from(Part::Train, Device::Cpu));
    }
}
