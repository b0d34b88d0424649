//! The cut of the training images once it is known which are nearly the same: of such images none is trained on while
//! another chooses the checkpoint or judges it.
//!
//! Files are drawn by content hashes, as in [`select`](crate::select), and without groups its cut would come out again.

use std::collections::BTreeMap;

use artifacts::{Label, Split};

use crate::select::{Selection, Used, draw};

/// Cuts the training images again, whole groups at a time, if a group is on both sides of the cut; says whether one was.
/// `groups`: places in the source of images that are nearly the same.
///
/// Each split gets as many files of each generator as it had, or fewer where only groups that are too large for it are left;
/// then as many of each class. Only a class of which no whole group is small enough is cut through its groups, because a
/// split without it would be worth nothing: the audit warns of that.
pub(crate) fn recut(selection: &mut Selection, groups: Vec<Vec<u32>>, seed: u64) -> bool {
    let Selection { used, cut, .. } = selection;
    let groups = movable(used, cut, groups);
    if !groups.iter().any(|group| group.iter().any(|&file| used[file].split != used[group[0]].split)) {
        return false;
    }
    let had: Vec<(Split, Vec<usize>)> = cut.iter().map(|&split| (split, places(used, split))).collect();
    had.iter().flat_map(|(_, files)| files).for_each(|&file| used[file].split = Split::Train);
    let mut units = units(used, groups);
    for (split, had) in had {
        units.sort_by_cached_key(|unit| draw(seed, split.name(), used[unit[0]].key));
        fill(used, &units, split, &had, |file| (file.label, file.generator));
        fill(used, &units, split, &had, |file| file.label);
        let has = |label: Label| used.iter().any(|file| (file.split, file.label) == (split, label));
        let lacking: Vec<Label> = Label::ALL.into_iter().filter(|&label| !has(label)).collect();
        let files = units.iter().flatten().filter(|&&file| lacking.contains(&used[file].label));
        let single: Vec<Vec<usize>> = files.map(|&file| vec![file]).collect();
        fill(used, &single, split, &had, |file| file.label);
    }
    used.sort_by_key(|file| (file.split, file.index));
    true
}

/// The groups as places in `used`, without the images of splits that the source has itself.
fn movable(used: &[Used], cut: &[Split], groups: Vec<Vec<u32>>) -> Vec<Vec<usize>> {
    let may_move = |file: &Used| file.split == Split::Train || cut.contains(&file.split);
    let places = used.iter().enumerate().filter(|(_, file)| may_move(file)).map(|(place, file)| (file.index, place));
    let places: BTreeMap<u32, usize> = places.collect();
    let groups = groups.into_iter().map(|group| group.iter().filter_map(|index| places.get(index).copied()).collect());
    groups.filter(|group: &Vec<usize>| group.len() > 1).collect()
}

fn places(used: &[Used], split: Split) -> Vec<usize> {
    (0..used.len()).filter(|&file| used[file].split == split).collect()
}

/// All training files: the groups, and each other file for itself. A unit's first file, which its draw depends on, is the one
/// with the smallest hash.
fn units(used: &[Used], mut groups: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    let mut single = vec![true; used.len()];
    for group in &mut groups {
        group.iter().for_each(|&file| single[file] = false);
        group.sort_unstable_by_key(|&file| *used[file].key.as_bytes());
    }
    groups.extend(places(used, Split::Train).into_iter().filter(|&file| single[file]).map(|file| vec![file]));
    groups
}

/// Moves units from training to `split`, in their order, each that leaves no stratum of it larger than in `had`.
fn fill<K: Ord>(used: &mut [Used], units: &[Vec<usize>], split: Split, had: &[usize], stratum: impl Fn(&Used) -> K) {
    let mut room = counts(had.iter().map(|&file| stratum(&used[file])));
    for (stratum, taken) in counts(used.iter().filter(|file| file.split == split).map(&stratum)) {
        room.entry(stratum).and_modify(|room| *room -= taken);
    }
    for unit in units {
        let trained_on = unit.iter().all(|&file| used[file].split == Split::Train);
        let needed = counts(unit.iter().map(|&file| stratum(&used[file])));
        if trained_on && needed.iter().all(|(stratum, count)| room.get(stratum).is_some_and(|room| room >= count)) {
            needed.into_iter().for_each(|(stratum, count)| *room.entry(stratum).or_default() -= count);
            unit.iter().for_each(|&file| used[file].split = split);
        }
    }
}

fn counts<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key).or_default() += 1);
    counts
}

#[cfg(test)]
mod tests {
    use artifacts::hash::Hash;

    use super::*;
    use crate::Config;
    use crate::select::{Candidate, select};

    /// `count` files of each of a real and two fake strata, the second half as large.
    fn selected(count: u32, config: &Config) -> Selection {
        let file = |index: u32| Candidate {
            index,
            key: Hash::of(format!("file {index}").as_bytes()),
            label: if index.is_multiple_of(2) { Label::Real } else { Label::Fake },
            split: None,
            generator: [0, 1, 0, 2, 0, 1][index as usize % 6],
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
    fn files_for_themselves_are_drawn_as_before() {
        for limit in [None, Some(20)] {
            let mut selection = selected(300, &Config { limit, ..config() });
            let before = selection.used.clone();
            assert!(!recut(&mut selection, Vec::new(), 0));
            let had: Vec<usize> = places(&selection.used, Split::Test);
            had.iter().for_each(|&file| selection.used[file].split = Split::Train);
            let mut units = units(&selection.used, Vec::new());
            units.sort_by_cached_key(|unit| draw(0, Split::Test.name(), selection.used[unit[0]].key));
            fill(&mut selection.used, &units, Split::Test, &had, |file| (file.label, file.generator));
            assert_eq!(selection.used, before);
        }
    }

    #[test]
    fn groups_stay_together_and_the_splits_as_large_as_they_were() {
        let mut selection = selected(300, &config());
        let before = strata(&selection);
        // Pairs of real images, and pairs of both classes.
        let pairs = (0..100).map(|i| [6 * i, 6 * i + 2]).chain((0..30).map(|i| [6 * i + 1, 6 * i + 4]));
        let groups: Vec<Vec<u32>> = pairs.map(Vec::from).collect();
        let divided = |selection: &Selection| {
            groups.iter().filter(|group| split_of(selection, group[0]) != split_of(selection, group[1])).count()
        };
        assert!(divided(&selection) > 20);
        assert!(recut(&mut selection, groups.clone(), 0));
        assert_eq!(divided(&selection), 0);
        assert_eq!(strata(&selection), before);
        assert!(selection.used.is_sorted_by_key(|file| (file.split, file.index)));
        // What is whole is not cut again.
        assert!(!recut(&mut selection, groups, 0));
    }

    #[test]
    fn a_split_of_the_source_stays_as_it_is() {
        let file = |index: u32| Candidate {
            index,
            key: Hash::of(&index.to_le_bytes()),
            label: Label::Real,
            split: Some(if index < 10 { Split::Test } else { Split::Train }),
            generator: 0,
        };
        let mut selection = select((0..110).map(file).collect(), &config());
        let before = selection.used.clone();
        // Each test image beside a training image: nothing can be done about that here.
        assert!(!recut(&mut selection, (0..10).map(|i| vec![i, 10 + i]).collect(), 0));
        assert_eq!(selection.used, before);
        assert!(recut(&mut selection, (0..50).map(|i| vec![10 + 2 * i, 11 + 2 * i]).collect(), 0));
        assert_eq!(places(&selection.used, Split::Val).len(), 10);
        assert!((0..110).all(|index| (split_of(&selection, index) == Split::Test) == (index < 10)));
    }

    #[test]
    fn many_small_generators_of_pairs_give_their_share() {
        // 60 generators of two pairs each: a tenth is one file of some, and no pair of any.
        let file = |index: u32| Candidate {
            index,
            key: Hash::of(&index.to_le_bytes()),
            label: Label::Fake,
            split: None,
            generator: index / 4,
        };
        let mut selection = select((0..240).map(file).collect(), &Config { test_fraction: 0.0, ..config() });
        assert!(recut(&mut selection, (0..120).map(|i| vec![2 * i, 2 * i + 1]).collect(), 0));
        assert_eq!(places(&selection.used, Split::Val).len(), 24);
        assert!((0..120).all(|i| split_of(&selection, 2 * i) == split_of(&selection, 2 * i + 1)));
    }

    #[test]
    fn a_group_that_is_too_large_is_trained_on() {
        let mut selection = selected(100, &config());
        let before = strata(&selection);
        assert!(recut(&mut selection, vec![(0..120).step_by(2).collect()], 0));
        assert!((0..120).step_by(2).all(|index| split_of(&selection, index) == Split::Train));
        assert_eq!(strata(&selection), before);
    }

    #[test]
    fn a_class_of_one_group_is_cut_through_it() {
        let mut selection = selected(100, &config());
        let before = strata(&selection);
        assert!(recut(&mut selection, vec![(0..200).step_by(2).collect()], 0));
        assert_eq!(strata(&selection), before);
    }

    #[test]
    fn the_order_of_the_source_changes_nothing() {
        let keys = |reversed: bool| {
            let mut selection = selected(200, &config());
            let mut groups: Vec<Vec<u32>> = (0..150).map(|i| vec![2 * i, 2 * i + 1]).collect();
            if reversed {
                groups.reverse();
                groups.iter_mut().flatten().for_each(|index| *index = 1000 - *index);
                selection.used.iter_mut().for_each(|file| file.index = 1000 - file.index);
                selection.used.sort_by_key(|file| (file.split, file.index));
            }
            assert!(recut(&mut selection, groups, 0));
            let validation = places(&selection.used, Split::Val).into_iter();
            let mut keys: Vec<_> = validation.map(|file| *selection.used[file].key.as_bytes()).collect();
            keys.sort_unstable();
            keys
        };
        assert_eq!(keys(false), keys(true));
    }
}
