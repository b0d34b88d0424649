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

    /// Returns the split of a name.
    pub(crate) fn split(&self, name: &str) -> Option<Split> {
        self.splits.get(&normalise(name)).copied().or_else(|| Split::from_name(name))
    }
}

fn normalised<T: Copy>(names: &BTreeMap<String, T>) -> BTreeMap<String, T> {
    names.iter().map(|(name, value)| (normalise(name), *value)).collect()
}

fn normalise(name: &str) -> String {
    name.trim().to_lowercase()
}
