//! Second assignment of splits, which keeps groups together: near-duplicates, and images with equal cells of
//! `ingest.group_column`.
//!
//! [`select`](crate::select) makes missing splits from training images before any image is decoded. Near-duplicates are
//! found later and may be in different splits. A model would then be validated or tested on near-duplicates of its
//! training images. The splits are therefore made again from whole groups. As in `select`, the order depends on content
//! hashes. Without groups, both give the same result.

use std::collections::BTreeMap;
use std::fmt;

use artifacts::{Label, Split};

use crate::Config;
use crate::select::{Selection, Used, apply_limit, shuffle_key};

/// The largest share of the files of a class that a split may lose without a warning.
const MAX_LOSS: f64 = 0.2;

/// A way in which the new splits are worse than those of the first assignment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SplitWarning {
    /// A split has far fewer files of a class than before.
    Smaller { split: Split, label: Label, before: usize, after: usize },
    /// A split has some files of a group whose other files are in training.
    Divided { split: Split, label: Label },
}

impl fmt::Display for SplitWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SplitWarning::Smaller { split, label, before, after } => write!(
                f,
                "the {split} split has only {after} {label} images instead of {before}, because images that \
                 belong together stay together and no combination of groups fits better"
            ),
            SplitWarning::Divided { split, label } => write!(
                f,
                "every group of {label} images that belong together is too large for the {split} split, so that the split \
                 takes a part of a group and is not independent of the training images"
            ),
        }
    }
}

/// Makes the splits again from whole groups. Returns warnings, or `None` if nothing was changed because no group
/// is divided between training and the splits made from it. `groups` are indices in the source.
///
/// A split is filled in up to four steps. The first step adds groups as long as no generator gets more files than
/// before. The second step does the same for the classes. The third step adds groups that are too large, if this brings
/// the split closer to its former size. If the split then still lacks a class, the fourth step adds single files of
/// divided groups, because a split without a class is useless.
pub(crate) fn keep_groups_together(
    selection: &mut Selection,
    groups: Vec<Vec<u32>>,
    config: &Config,
) -> Option<Vec<SplitWarning>> {
    let Selection { used, made_splits, duplicates, .. } = selection;
    let groups = movable_groups(used, made_splits, groups);
    if !groups.iter().any(|group| group.iter().any(|&file| used[file].split != used[group[0]].split)) {
        return None;
    }
    let before = counts(used.iter().map(|file| (file.split, file.label)));
    let mut remaining: Vec<(Split, Vec<usize>)> =
        made_splits.iter().map(|&split| (split, files_in(used, split))).collect();
    remaining.iter().flat_map(|(_, files)| files).for_each(|&file| used[file].split = Split::Train);
    let mut units = units(used, groups);
    let mut warnings = Vec::new();
    remaining.reverse();
    while let Some((split, target)) = remaining.pop() {
        units.sort_by_cached_key(|unit| shuffle_key(config.seed, split.name(), used[unit[0]].key));
        fill(used, &units, split, &target, |file| (file.label, file.generator));
        fill(used, &units, split, &target, |file| file.label);
        let reserved = counts(remaining.iter().flat_map(|(_, files)| files).map(|&file| used[file].label));
        overfill(used, &units, split, &target, &reserved);
        let has = |label: Label| used.iter().any(|file| (file.split, file.label) == (split, label));
        let wants = |label: Label| target.iter().any(|&file| used[file].label == label);
        let missing: Vec<Label> = Label::ALL.into_iter().filter(|&label| wants(label) && !has(label)).collect();
        let files = units.iter().flatten().filter(|&&file| missing.contains(&used[file].label));
        let single: Vec<Vec<usize>> = files.map(|&file| vec![file]).collect();
        fill(used, &single, split, &target, |file| file.label);
        warnings.extend(missing.into_iter().map(|label| SplitWarning::Divided { split, label }));
    }
    apply_limit(used, duplicates, config);
    let after = counts(used.iter().map(|file| (file.split, file.label)));
    warnings.extend(before.into_iter().filter_map(|((split, label), before)| {
        let after = after.get(&(split, label)).copied().unwrap_or(0);
        let too_few = (after as f64) < (1.0 - MAX_LOSS) * before as f64;
        too_few.then_some(SplitWarning::Smaller { split, label, before, after })
    }));
    Some(warnings)
}

/// Converts groups to indices in `used`. Leaves out files in splits of the source, which must not move.
fn movable_groups(used: &[Used], made_splits: &[Split], groups: Vec<Vec<u32>>) -> Vec<Vec<usize>> {
    let may_move = |file: &Used| file.split == Split::Train || made_splits.contains(&file.split);
    let positions = used.iter().enumerate().filter(|(_, file)| may_move(file)).map(|(at, file)| (file.index, at));
    let positions: BTreeMap<u32, usize> = positions.collect();
    let groups =
        groups.into_iter().map(|group| group.iter().filter_map(|index| positions.get(index).copied()).collect());
    groups.filter(|group: &Vec<usize>| group.len() > 1).collect()
}

/// Returns the indices in `used` of the files of a split.
fn files_in(used: &[Used], split: Split) -> Vec<usize> {
    (0..used.len()).filter(|&file| used[file].split == split).collect()
}

/// Returns the units in which training files are moved: the groups, and each file without a group. The first file of a
/// unit determines its order. It is the file with the smallest hash.
fn units(used: &[Used], mut groups: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    let mut single = vec![true; used.len()];
    for group in &mut groups {
        group.iter().for_each(|&file| single[file] = false);
        group.sort_unstable_by_key(|&file| *used[file].key.as_bytes());
    }
    groups.extend(files_in(used, Split::Train).into_iter().filter(|&file| single[file]).map(|file| vec![file]));
    groups
}

/// Moves units from training to `split`, in their order. Skips a unit if a stratum would become larger than among the
/// files `target`.
fn fill<K: Ord>(used: &mut [Used], units: &[Vec<usize>], split: Split, target: &[usize], stratum: impl Fn(&Used) -> K) {
    let mut room = counts(target.iter().map(|&file| stratum(&used[file])));
    for (stratum, taken) in counts(used.iter().filter(|file| file.split == split).map(&stratum)) {
        room.entry(stratum).and_modify(|room| *room = room.saturating_sub(taken));
    }
    for unit in units {
        let in_training = unit.iter().all(|&file| used[file].split == Split::Train);
        let needed = counts(unit.iter().map(|&file| stratum(&used[file])));
        if in_training && needed.iter().all(|(stratum, count)| room.get(stratum).is_some_and(|room| room >= count)) {
            needed.into_iter().for_each(|(stratum, count)| *room.entry(stratum).or_default() -= count);
            unit.iter().for_each(|&file| used[file].split = split);
        }
    }
}

/// Moves units that are larger than the remaining room from training to `split`, as long as this brings the split
/// closer to the size of `target`. Each step moves the unit that comes closest, or the first of several equal ones. A
/// class that has reached its target gets no more files. Training keeps the `reserved` files of each class for the
/// remaining splits, and at least one more.
fn overfill(
    used: &mut [Used],
    units: &[Vec<usize>],
    split: Split,
    target: &[usize],
    reserved: &BTreeMap<Label, usize>,
) {
    let target = counts(target.iter().map(|&file| used[file].label));
    loop {
        let of = |split: Split| counts(used.iter().filter(|file| file.split == split).map(|file| file.label));
        let (has, train) = (of(split), of(Split::Train));
        let at = |counts: &BTreeMap<Label, usize>, label: Label| counts.get(&label).copied().unwrap_or(0);
        let distance = |more: &BTreeMap<Label, usize>| -> usize {
            let of_label = |label| at(&target, label).abs_diff(at(&has, label) + at(more, label));
            Label::ALL.into_iter().map(of_label).sum()
        };
        let may_be_taken = |taken: &BTreeMap<Label, usize>| {
            taken.iter().all(|(&label, &count)| {
                at(&has, label) < at(&target, label) && at(&train, label) > count + at(reserved, label)
            })
        };
        let candidates = units.iter().filter(|unit| unit.iter().all(|&file| used[file].split == Split::Train));
        let nearest = candidates
            .map(|unit| (counts(unit.iter().map(|&file| used[file].label)), unit))
            .filter(|(taken, _)| may_be_taken(taken))
            .map(|(taken, unit)| (distance(&taken), unit))
            .min_by_key(|(distance, _)| *distance);
        match nearest {
            Some((nearest, unit)) if nearest < distance(&BTreeMap::new()) => {
                unit.iter().for_each(|&file| used[file].split = split);
            }
            _ => return,
        }
    }
}

/// Counts equal keys.
fn counts<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key).or_default() += 1);
    counts
}

#[cfg(test)]
mod tests {
    use artifacts::hash::Hash;

    use super::*;
    use crate::select::{Candidate, select};

    /// Selects from `count` real files and `count` fakes. Generator 1 made two thirds of the fakes, generator 2 one
    /// third.
    fn selected(count: u32, config: &Config) -> Selection {
        let file = |index: u32| Candidate {
            index,
            key: Hash::of(format!("file {index}").as_bytes()),
            label: if index.is_multiple_of(2) { Label::Real } else { Label::Fake },
            split: None,
            generator: [0, 1, 0, 2, 0, 1][index as usize % 6],
            part: 0,
        };
        select((0..2 * count).map(file).collect(), config)
    }

    fn config() -> Config {
        Config { val_fraction: 0.1, test_fraction: 0.2, ..Config::default() }
    }

    fn split_of(selection: &Selection, index: u32) -> Split {
        selection.used.iter().find(|file| file.index == index).unwrap().split
    }

    fn strata(selection: &Selection) -> BTreeMap<(Split, Label, u32), usize> {
        counts(selection.used.iter().map(|file| (file.split, file.label, file.generator)))
    }

    #[test]
    fn files_without_groups_are_assigned_as_in_select() {
        for limit in [None, Some(20)] {
            let mut selection = selected(300, &Config { limit, ..config() });
            let before = selection.used.clone();
            assert_eq!(keep_groups_together(&mut selection, Vec::new(), &config()), None);
            let target: Vec<usize> = files_in(&selection.used, Split::Test);
            target.iter().for_each(|&file| selection.used[file].split = Split::Train);
            let mut units = units(&selection.used, Vec::new());
            units.sort_by_cached_key(|unit| shuffle_key(0, Split::Test.name(), selection.used[unit[0]].key));
            fill(&mut selection.used, &units, Split::Test, &target, |file| (file.label, file.generator));
            assert_eq!(selection.used, before);
        }
    }

    #[test]
    fn groups_stay_together_and_splits_keep_their_sizes() {
        let mut selection = selected(300, &config());
        let before = strata(&selection);
        // Pairs of real images, and pairs of both classes.
        let pairs = (0..100).map(|i| [6 * i, 6 * i + 2]).chain((0..30).map(|i| [6 * i + 1, 6 * i + 4]));
        let groups: Vec<Vec<u32>> = pairs.map(Vec::from).collect();
        let divided = |selection: &Selection| {
            groups.iter().filter(|group| split_of(selection, group[0]) != split_of(selection, group[1])).count()
        };
        assert!(divided(&selection) > 20);
        assert_eq!(keep_groups_together(&mut selection, groups.clone(), &config()), Some(Vec::new()));
        assert_eq!(divided(&selection), 0);
        assert_eq!(strata(&selection), before);
        assert!(selection.used.is_sorted_by_key(|file| (file.split, file.index)));
        // Groups that are together are not moved again.
        assert_eq!(keep_groups_together(&mut selection, groups, &config()), None);
    }

    #[test]
    fn splits_of_the_source_do_not_change() {
        let file = |index: u32| Candidate {
            index,
            key: Hash::of(&index.to_le_bytes()),
            label: Label::Real,
            split: Some(if index < 10 { Split::Test } else { Split::Train }),
            generator: 0,
            part: 0,
        };
        let mut selection = select((0..110).map(file).collect(), &config());
        let before = selection.used.clone();
        // Each test image has a near-duplicate in training, but the test split comes from the source and must not
        // change.
        assert_eq!(keep_groups_together(&mut selection, (0..10).map(|i| vec![i, 10 + i]).collect(), &config()), None);
        assert_eq!(selection.used, before);
        let pairs = (0..50).map(|i| vec![10 + 2 * i, 11 + 2 * i]).collect();
        assert_eq!(keep_groups_together(&mut selection, pairs, &config()), Some(Vec::new()));
        assert_eq!(files_in(&selection.used, Split::Val).len(), 10);
        assert!((0..110).all(|index| (split_of(&selection, index) == Split::Test) == (index < 10)));
    }

    #[test]
    fn total_of_many_small_generators_of_pairs_is_the_fraction() {
        // 60 generators of two pairs each: a tenth of a generator is less than a pair.
        let file = |index: u32| Candidate {
            index,
            key: Hash::of(&index.to_le_bytes()),
            label: Label::Fake,
            split: None,
            generator: index / 4,
            part: 0,
        };
        let mut selection = select((0..240).map(file).collect(), &Config { test_fraction: 0.0, ..config() });
        let pairs = (0..120).map(|i| vec![2 * i, 2 * i + 1]).collect();
        assert_eq!(keep_groups_together(&mut selection, pairs, &config()), Some(Vec::new()));
        assert_eq!(files_in(&selection.used, Split::Val).len(), 24);
        assert!((0..120).all(|i| split_of(&selection, 2 * i) == split_of(&selection, 2 * i + 1)));
    }

    #[test]
    fn groups_that_are_too_large_stay_in_training() {
        let mut selection = selected(100, &config());
        let before = strata(&selection);
        assert_eq!(
            keep_groups_together(&mut selection, vec![(0..120).step_by(2).collect()], &config()),
            Some(Vec::new())
        );
        assert!((0..120).step_by(2).all(|index| split_of(&selection, index) == Split::Train));
        assert_eq!(strata(&selection), before);
    }

    #[test]
    fn a_class_with_only_one_group_is_divided() {
        let mut selection = selected(100, &config());
        let before = strata(&selection);
        let divided = |split| SplitWarning::Divided { split, label: Label::Real };
        assert_eq!(
            keep_groups_together(&mut selection, vec![(0..200).step_by(2).collect()], &config()),
            Some(vec![divided(Split::Test), divided(Split::Val)])
        );
        assert_eq!(strata(&selection), before);
    }

    /// Selects from real files in groups of the given `sizes` and as many fakes without groups. Also returns the
    /// groups.
    fn grouped(sizes: &[u32], config: &Config) -> (Selection, Vec<Vec<u32>>) {
        let reals: u32 = sizes.iter().sum();
        let file = |index: u32| Candidate {
            index,
            key: Hash::of(&index.to_le_bytes()),
            label: if index < reals { Label::Real } else { Label::Fake },
            split: None,
            generator: 0,
            part: 0,
        };
        let mut next = 0;
        let group = |&size: &u32| {
            next += size;
            (next - size..next).collect()
        };
        let groups = sizes.iter().map(group).filter(|group: &Vec<u32>| group.len() > 1).collect();
        (select((0..2 * reals).map(file).collect(), config), groups)
    }

    fn reals(selection: &Selection, split: Split) -> usize {
        selection.used.iter().filter(|file| (file.split, file.label) == (split, Label::Real)).count()
    }

    #[test]
    fn takes_a_slightly_too_large_group_rather_than_only_single_files() {
        let config = Config { test_fraction: 0.0, ..config() };
        // Nine groups of 110 files and ten single files: a tenth is 100.
        let (mut selection, groups) = grouped(&[[110; 9].as_slice(), &[1; 10]].concat(), &config);
        assert_eq!(reals(&selection, Split::Val), 100);
        assert_eq!(keep_groups_together(&mut selection, groups.clone(), &config), Some(Vec::new()));
        assert_eq!(reals(&selection, Split::Val), 120);
        let whole = |group: &Vec<u32>| group.iter().all(|&i| split_of(&selection, i) == split_of(&selection, group[0]));
        assert!(groups.iter().all(whole));
    }

    #[test]
    fn warns_of_splits_that_shrink_because_no_group_fits() {
        let config = Config { test_fraction: 0.0, ..config() };
        let (mut selection, groups) = grouped(&[[330; 3].as_slice(), &[1; 10]].concat(), &config);
        let smaller = SplitWarning::Smaller { split: Split::Val, label: Label::Real, before: 100, after: 10 };
        assert!(smaller.to_string().starts_with("the val split has only 10 real images instead of 100,"), "{smaller}");
        assert_eq!(keep_groups_together(&mut selection, groups, &config), Some(vec![smaller]));
    }

    #[test]
    fn training_keeps_files_of_each_class() {
        let config = Config { val_fraction: 0.6, test_fraction: 0.0, ..config() };
        let (mut selection, groups) = grouped(&[10], &config);
        let divided = SplitWarning::Divided { split: Split::Val, label: Label::Real };
        assert_eq!(keep_groups_together(&mut selection, groups, &config), Some(vec![divided]));
        assert_eq!((reals(&selection, Split::Train), reals(&selection, Split::Val)), (4, 6));
    }

    #[test]
    fn limit_applies_after_reassignment() {
        let config = Config { limit: Some(100), val_fraction: 0.4, test_fraction: 0.4, ..config() };
        let (mut selection, groups) = grouped(&[[120].as_slice(), &[1; 380]].concat(), &config);
        assert_eq!(Split::ALL.map(|split| reals(&selection, split)), [100; 3]);
        assert!(keep_groups_together(&mut selection, groups, &config).is_some());
        assert!(Split::ALL.iter().all(|&split| reals(&selection, split) <= 100), "{:?}", strata(&selection));
        assert!(selection.used.is_sorted_by_key(|file| (file.split, file.index)));
    }

    #[test]
    fn does_not_depend_on_the_order_of_the_source() {
        let keys = |reversed: bool| {
            let mut selection = selected(200, &config());
            let mut groups: Vec<Vec<u32>> = (0..150).map(|i| vec![2 * i, 2 * i + 1]).collect();
            if reversed {
                groups.reverse();
                groups.iter_mut().flatten().for_each(|index| *index = 1000 - *index);
                selection.used.iter_mut().for_each(|file| file.index = 1000 - file.index);
                selection.used.sort_by_key(|file| (file.split, file.index));
            }
            assert!(keep_groups_together(&mut selection, groups, &config()).is_some());
            let validation = files_in(&selection.used, Split::Val).into_iter();
            let mut keys: Vec<_> = validation.map(|file| *selection.used[file].key.as_bytes()).collect();
            keys.sort_unstable();
            keys
        };
        assert_eq!(keys(false), keys(true));
    }
}
