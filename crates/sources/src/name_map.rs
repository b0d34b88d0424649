//! Labels and splits by name.

use std::collections::BTreeMap;

use artifacts::{Label, Split};

use crate::config::SourceConfig;

/// Maps names of folders and cells to labels and splits. Names from the configuration take precedence over the built-in
/// ones. Case and surrounding spaces do not matter.
pub(crate) struct NameMap {
    labels: BTreeMap<String, Label>,
    splits: BTreeMap<String, Split>,
    /// The generator of all fakes, if the configuration sets one.
    pub(crate) generator: Option<String>,
}

impl NameMap {
    pub(crate) fn new(config: &SourceConfig) -> NameMap {
        NameMap {
            labels: normalised(&config.labels),
            splits: normalised(&config.splits),
            generator: config.generator.clone(),
        }
    }

    /// Returns the label that the configuration assigns to a name.
    pub(crate) fn configured_label(&self, name: &str) -> Option<Label> {
        self.labels.get(&normalise(name)).copied()
    }

    /// Returns the label of a name.
    pub(crate) fn label(&self, name: &str) -> Option<Label> {
        self.configured_label(name).or_else(|| Label::from_name(name))
    }

    /// Returns the label of a cell that is only a number: 0 is real, 1 is fake. `None` if the configuration maps the
    /// number.
    pub(crate) fn numbered_label(&self, cell: &str) -> Option<Label> {
        let number = cell.trim().parse().ok().and_then(Label::from_index);
        number.filter(|_| self.label(cell).is_none())
    }

    /// Returns the label of a cell, by name or by number.
    pub(crate) fn cell_label(&self, cell: &str) -> Option<Label> {
        self.label(cell).or_else(|| self.numbered_label(cell))
    }

    /// Returns the split of a name. The name may also have a number, such as a year, or a word for images or a part of
    /// a set: `val2017`, `train_images`.
    pub(crate) fn split(&self, name: &str) -> Option<Split> {
        self.splits
            .get(&normalise(name))
            .copied()
            .or_else(|| Split::from_name(name))
            .or_else(|| split_with_filler(name))
    }
}

/// Returns the split of a name that consists of the name of a split, numbers and words without a meaning of their own.
fn split_with_filler(name: &str) -> Option<Split> {
    let mut found = None;
    for word in words(name) {
        if let Some(split) = Split::from_name(word) {
            if found.replace(split).is_some() {
                return None;
            }
        } else if !is_filler(word) {
            return None;
        }
    }
    found
}

/// Whether a name consists only of numbers and of words that say nothing about the content, as in `data_0001`.
pub(crate) fn is_only_filler(name: &str) -> bool {
    words(name).all(is_filler)
}

fn is_filler(word: &str) -> bool {
    const FILLERS: [&str; 17] = [
        "chunk", "data", "dataset", "default", "file", "image", "images", "img", "imgs", "part", "rows", "set",
        "shard", "split", "subset", "table", "of",
    ];
    word.bytes().all(|byte| byte.is_ascii_digit()) || FILLERS.iter().any(|filler| word.eq_ignore_ascii_case(filler))
}

/// Splits a name into its words and numbers: `val2017` has the parts `val` and `2017`.
fn words(name: &str) -> impl Iterator<Item = &str> {
    let groups = name.split(|c: char| !c.is_alphanumeric()).filter(|group| !group.is_empty());
    groups.flat_map(|group| {
        let mut rest = group;
        std::iter::from_fn(move || {
            let is_digit = rest.chars().next()?.is_ascii_digit();
            let end = rest.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = after;
            Some(word)
        })
    })
}

fn normalised<T: Copy>(names: &BTreeMap<String, T>) -> BTreeMap<String, T> {
    names.iter().map(|(name, value)| (normalise(name), *value)).collect()
}

fn normalise(name: &str) -> String {
    name.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_splits_from_names_with_numbers_and_fillers() {
        let names = NameMap::new(&SourceConfig::default());
        for (name, split) in [
            ("val2017", Some(Split::Val)),
            ("train_2014", Some(Split::Train)),
            ("test-images", Some(Split::Test)),
            ("Training Set 1", Some(Split::Train)),
            ("train_val", None),
            ("contest", None),
            ("val-sdxl", None),
            ("2017", None),
        ] {
            assert_eq!(names.split(name), split, "{name}");
        }
    }

    #[test]
    fn recognises_names_without_content() {
        for name in ["0001", "part-0003", "data_00000-of-00002", ""] {
            assert!(is_only_filler(name), "{name}");
        }
        for name in ["sdxl", "sdxl_1", "images-adm"] {
            assert!(!is_only_filler(name), "{name}");
        }
    }
}
