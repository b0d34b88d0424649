//! What `--only` names: parts, and results by their name or its beginning.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::args::{Device, Part};
use super::case::{Case, Row, memory_name};

/// One thing that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Only {
    /// All results of a part.
    Part(Part),
    /// Results by name, as far as it is given: `cpu.train`, `cpu.train.f32.b16`.
    Name(String),
}

impl fmt::Display for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Only::Part(part) => f.write_str(part.to_possible_value().as_ref().map_or("", PossibleValue::get_name)),
            Only::Name(name) => f.write_str(name),
        }
    }
}

impl FromStr for Only {
    type Err = Infallible;

    /// What is no part is a name; whether there is such a result is seen when everything is planned.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Part::from_str(text, false).map_or_else(|_| Only::Name(text.to_owned()), Only::Part))
    }
}

impl Only {
    /// Whether the part has something to do with it.
    pub(crate) fn concerns(&self, part: Part, device: Device) -> bool {
        match self {
            Only::Part(asked) => *asked == part,
            Only::Name(name) => is_related(&part.stem(device), name),
        }
    }

    /// Whether some of the case's results may be meant.
    pub(crate) fn concerns_case(&self, case: &Case) -> bool {
        match self {
            Only::Part(asked) => *asked == case.part,
            Only::Name(name) => [case.name.clone(), memory_name(&case.name)].iter().any(|of| is_related(of, name)),
        }
    }

    /// Whether this result of the case is meant: all are where the case is.
    pub(crate) fn means(&self, case: &Case, row: &Row) -> bool {
        match self {
            Only::Part(asked) => *asked == case.part,
            Only::Name(name) => begins(&case.name, name) || begins(&row.name, name),
        }
    }
}

/// Whether `name` begins with `beginning`, in whole words.
fn begins(name: &str, beginning: &str) -> bool {
    let rest = name.strip_prefix(beginning.trim_end_matches('.'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn is_related(a: &str, b: &str) -> bool {
    begins(a, b) || begins(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_word_by_word() {
        assert!(begins("cpu.train.f32.b16", "cpu.train") && begins("cpu.train.f32.b16", "cpu.train."));
        assert!(begins("cpu.train.f32.b16", "cpu.train.f32.b16"));
        assert!(!begins("cpu.train.f32.b16", "cpu.train.f32.b1") && !begins("cpu.train", "cpu.train.f32"));
    }

    #[test]
    fn what_is_no_part_is_a_name() {
        assert_eq!("train".parse(), Ok(Only::Part(Part::Train)));
        let name: Only = "cpu.layer.b8.conv1".parse().unwrap();
        assert_eq!(name, Only::Name("cpu.layer.b8.conv1".to_owned()));
        let concerned = Part::ALL.into_iter().filter(|part| name.concerns(*part, Device::Cpu));
        assert_eq!(concerned.collect::<Vec<_>>(), [Part::Layers]);
        assert!(Only::Name("cuda".to_owned()).concerns(Part::Train, Device::Cuda));
        assert!(!Only::Name("cuda".to_owned()).concerns(Part::Train, Device::Cpu));
    }
}
