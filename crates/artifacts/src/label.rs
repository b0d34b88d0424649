//! Classes and splits, and the names that data sets use for them. Labels follow from names, never from the order of
//! folders.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The class of an image. Fake is the positive class everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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

    /// The class index in shards, logits and predictions: 0 is real, 1 is fake.
    pub fn index(self) -> u8 {
        self as u8
    }

    /// Returns the class with the index `index`.
    pub fn from_index(index: u8) -> Option<Label> {
        Label::ALL.into_iter().find(|label| label.index() == index)
    }

    /// Returns the class that a folder name or CSV cell stands for, if it is a name that public data sets use. Ignores
    /// case, and treats `-` and spaces as `_`.
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

/// The split of an image, which determines what the image may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Images that train the weights.
    Train,
    /// Images on which the checkpoint, the threshold and the temperature are chosen.
    Val,
    /// Images on which the final model is measured. Nothing is chosen on them.
    Test,
}

impl Split {
    /// All splits, in the order they are used.
    pub const ALL: [Split; 3] = [Split::Train, Split::Val, Split::Test];

    /// Returns the split that a folder name or CSV cell stands for.
    pub fn from_name(name: &str) -> Option<Split> {
        match normalise(name).as_str() {
            "train" | "training" => Some(Split::Train),
            "val" | "valid" | "validation" => Some(Split::Val),
            "test" | "testing" => Some(Split::Test),
            _ => None,
        }
    }

    /// The name used in file names and columns.
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
    fn reads_labels_from_names_in_any_case() {
        for name in ["real", "REAL", "0_real", "nature", "Real Images", "human"] {
            assert_eq!(Label::from_name(name), Some(Label::Real), "{name}");
        }
        for name in ["fake", "FAKE", "1_fake", "ai", "AI-generated", "synthetic"] {
            assert_eq!(Label::from_name(name), Some(Label::Fake), "{name}");
        }
        assert_eq!(Label::from_name("car"), None);
    }

    #[test]
    fn reads_splits_from_names() {
        assert_eq!(Split::from_name("valid"), Some(Split::Val));
        assert_eq!(Split::from_name("Train"), Some(Split::Train));
        assert_eq!(Split::from_name("train2017"), None);
    }

    #[test]
    fn label_indices_round_trip() {
        for label in Label::ALL {
            assert_eq!(Label::from_index(label.index()), Some(label));
        }
        assert_eq!(Label::from_index(2), None);
    }
}
