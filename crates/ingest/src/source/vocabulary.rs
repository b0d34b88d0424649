//! What the names of folders, and the cells of lists and tables, mean.

use std::collections::BTreeMap;

use artifacts::{Label, Split};

use crate::Config;

/// The words for classes and splits: those that the configuration maps, and those of the field. Case does not matter.
pub(super) struct Vocabulary {
    labels: BTreeMap<String, Label>,
    splits: BTreeMap<String, Split>,
    /// What made all fakes, where the configuration says it.
    pub(super) generator: Option<String>,
}

impl Vocabulary {
    pub(super) fn of(config: &Config) -> Vocabulary {
        Vocabulary {
            labels: folded(&config.labels),
            splits: folded(&config.splits),
            generator: config.generator.clone(),
        }
    }

    /// The class that the configuration maps a word to.
    pub(super) fn mapped(&self, word: &str) -> Option<Label> {
        self.labels.get(&fold(word)).copied()
    }

    /// The class that a word means.
    pub(super) fn label(&self, word: &str) -> Option<Label> {
        self.mapped(word).or_else(|| Label::from_name(word))
    }

    /// The class of a cell that means one by nothing but its number.
    pub(super) fn numbered_label(&self, cell: &str) -> Option<Label> {
        let number = cell.trim().parse().ok().and_then(Label::from_index);
        number.filter(|_| self.label(cell).is_none())
    }

    /// The class that a cell means, as a word or by its number.
    pub(super) fn label_of_cell(&self, cell: &str) -> Option<Label> {
        self.label(cell).or_else(|| self.numbered_label(cell))
    }

    /// The split that a word means.
    pub(super) fn split(&self, word: &str) -> Option<Split> {
        self.splits.get(&fold(word)).copied().or_else(|| Split::from_name(word))
    }
}

fn folded<T: Copy>(words: &BTreeMap<String, T>) -> BTreeMap<String, T> {
    words.iter().map(|(word, meaning)| (fold(word), *meaning)).collect()
}

fn fold(word: &str) -> String {
    word.trim().to_lowercase()
}
