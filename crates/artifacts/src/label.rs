//! Classes and splits, read from names and never from sorting order.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The class of an image. Fake is the positive class everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// A photograph.
    Real = 0,
    /// An image made by a generator.
    Fake = 1,
}

impl Label {
    /// Both classes, in the order of their indices.
    pub const ALL: [Label; 2] = [Label::Real, Label::Fake];

    /// The class index in shards, logits and predictions: 0 real, 1 fake.
    pub fn index(self) -> u8 {
        self as u8
    }

    /// The class of an index, if it is one.
    pub fn from_index(index: u8) -> Option<Label> {
        Label::ALL.into_iter().find(|label| label.index() == index)
    }

    /// The class that a folder's (or a CSV cell's) name stands for, if it is one of the names the field's data
    /// sets use. Case does not matter, nor do `-` and blanks against `_`.
    pub fn from_name(name: &str) -> Option<Label> {
        match normalise(name).as_str() {
            "real" | "0_real" | "real_images" | "nature" | "natural" | "human" | "photo" | "photos" | "photograph"
            | "photographs" | "authentic" | "genuine" | "original" => Some(Label::Real),
            "fake" | "1_fake" | "fake_images" | "ai" | "ai_generated" | "ai_images" | "generated" | "synthetic"
            | "synthesized" | "artificial" => Some(Label::Fake),
            _ => None,
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Label::Real => "real",
            Label::Fake => "fake",
        })
    }
}

/// What a sample may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Fits the weights.
    Train,
    /// Chooses the checkpoint, the threshold and the temperature.
    Val,
    /// Judges, and chooses nothing.
    Test,
}

impl Split {
    /// All splits, in the order they are used.
    pub const ALL: [Split; 3] = [Split::Train, Split::Val, Split::Test];

    /// The split that a folder's (or a CSV cell's) name stands for, if it is one.
    pub fn from_name(name: &str) -> Option<Split> {
        match normalise(name).as_str() {
            "train" | "training" => Some(Split::Train),
            "val" | "valid" | "validation" => Some(Split::Val),
            "test" | "testing" => Some(Split::Test),
            _ => None,
        }
    }

    /// The name in file names and columns.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Val => "val",
            Split::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn normalise(name: &str) -> String {
    name.trim().to_lowercase().replace(['-', ' '], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_from_names_whatever_their_case() {
        for name in ["real", "REAL", "0_real", "nature", "Real Images", "human"] {
            assert_eq!(Label::from_name(name), Some(Label::Real), "{name}");
        }
        for name in ["fake", "FAKE", "1_fake", "ai", "AI-generated", "synthetic"] {
            assert_eq!(Label::from_name(name), Some(Label::Fake), "{name}");
        }
        assert_eq!(Label::from_name("car"), None);
    }

    #[test]
    fn splits_come_from_names() {
        assert_eq!(Split::from_name("valid"), Some(Split::Val));
        assert_eq!(Split::from_name("Train"), Some(Split::Train));
        assert_eq!(Split::from_name("train2017"), None);
    }

    #[test]
    fn indices_round_trip() {
        for label in Label::ALL {
            assert_eq!(Label::from_index(label.index()), Some(label));
        }
        assert_eq!(Label::from_index(2), None);
    }
}
