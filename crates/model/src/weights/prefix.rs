//! Prefixes that wrappers put before the names of a network's tensors, such as `module.` of `DistributedDataParallel`.

use std::collections::{BTreeMap, HashSet};

/// Returns the prefix, with its last dot, before which most names of a file are `expected`. Returns the empty prefix if
/// no other fits more names.
///
/// The weights of `module.model.conv1.weight` could also belong to a part `model.`, so each dot of a name is tried.
pub(super) fn common<'a>(names: impl Iterator<Item = &'a str>, expected: &HashSet<&str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        let starts = name.match_indices('.').map(|(dot, _)| dot + 1);
        for start in std::iter::once(0).chain(starts) {
            let (prefix, rest) = name.split_at(start);
            if expected.contains(rest) {
                *counts.entry(prefix).or_default() += 1;
            }
        }
    }
    // Of equal counts, take the first in the order of the names. The empty prefix is the first of all.
    let best = counts.into_iter().rev().max_by_key(|(_, count)| *count);
    best.map(|(prefix, _)| prefix.to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str]) -> String {
        let expected = HashSet::from(["conv1.weight", "bn1.bias", "layer1.0.conv1.weight", "fc.weight"]);
        common(names.iter().copied(), &expected)
    }

    #[test]
    fn finds_prefix_of_most_names() {
        assert_eq!(found(&["conv1.weight", "layer1.0.conv1.weight", "bn1.bias"]), "");
        assert_eq!(found(&["module.conv1.weight", "module.layer1.0.conv1.weight", "module.bn1.bias"]), "module.");
        assert_eq!(found(&["module.model.conv1.weight", "module.model.bn1.bias", "epoch"]), "module.model.");
        assert_eq!(found(&["backbone.conv1.weight", "backbone.bn1.bias", "fc.weight"]), "backbone.");
        // An ambiguous file, and files without any of the names.
        assert_eq!(found(&["conv1.weight", "model.conv1.weight"]), "");
        assert_eq!(found(&["ema.conv1.weight", "model.conv1.weight"]), "ema.");
        assert_eq!(found(&["conv1weight", "x.conv2.weight"]), "");
        assert_eq!(found(&[]), "");
    }
}
