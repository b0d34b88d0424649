//! The cut of the training images once it is known which are nearly the same: of such images none is trained on while
//! another chooses the checkpoint or judges it.
//!
//! Files are drawn by content hashes, as in [`select`](crate::select), and without groups its cut would come out again.

use std::collections::BTreeMap;
use std::fmt;

use artifacts::{Label, Split};

use crate::Config;
use crate::select::{Selection, Used, draw, limit};

/// The share of a class in a split that may be lost to groups that do not fit before it is said.
const LOST: f64 = 0.2;

/// What a cut along groups could not give as the first one did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shortcoming {
    /// A split has far fewer files of a class than it had.
    Fewer { split: Split, label: Label, had: usize, has: usize },
    /// A split has files of a class whose group is divided between it and training.
    Divided { split: Split, label: Label },
}

impl fmt::Display for Shortcoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shortcoming::Fewer { split, label, had, has } => write!(
                f,
                "the {split} split has {has} {label} images instead of {had}: images that are nearly the same stay \
                 together, and their groups fit no better"
            ),
            Shortcoming::Divided { split, label } => write!(
                f,
                "every group of {label} images that are nearly the same is too large for the {split} split, which takes \
                 a part of one: it is not independent of the training images"
            ),
        }
    }
}

/// Cuts the training images again, whole groups at a time, if a group is on both sides of the cut; says what the new cut lacks,
/// and nothing if there is no need of one. `groups`: places in the source of images that are nearly the same.
///
/// Each split gets as many files of each generator as it had, as far as whole groups allow; then as many of each class; then
/// groups that overshoot, where that comes nearer to what it had than leaving them out. Only a class of which no whole group
/// will do is cut through its groups, because a split without it would be worth nothing.
pub(crate) fn recut(selection: &mut Selection, groups: Vec<Vec<u32>>, config: &Config) -> Option<Vec<Shortcoming>> {
    let Selection { used, cut, duplicates, .. } = selection;
    let groups = movable(used, cut, groups);
    if !groups.iter().any(|group| group.iter().any(|&file| used[file].split != used[group[0]].split)) {
        return None;
    }
    let had = counts(used.iter().map(|file| (file.split, file.label)));
    let mut to_cut: Vec<(Split, Vec<usize>)> = cut.iter().map(|&split| (split, places(used, split))).collect();
    to_cut.iter().flat_map(|(_, files)| files).for_each(|&file| used[file].split = Split::Train);
    let mut units = units(used, groups);
    let mut shortcomings = Vec::new();
    to_cut.reverse();
    while let Some((split, wanted)) = to_cut.pop() {
        units.sort_by_cached_key(|unit| draw(config.seed, split.name(), used[unit[0]].key));
        fill(used, &units, split, &wanted, |file| (file.label, file.generator));
        fill(used, &units, split, &wanted, |file| file.label);
        let to_come = counts(to_cut.iter().flat_map(|(_, files)| files).map(|&file| used[file].label));
        overshoot(used, &units, split, &wanted, &to_come);
        let has = |label: Label| used.iter().any(|file| (file.split, file.label) == (split, label));
        let wants = |label: Label| wanted.iter().any(|&file| used[file].label == label);
        let lacking: Vec<Label> = Label::ALL.into_iter().filter(|&label| wants(label) && !has(label)).collect();
        let files = units.iter().flatten().filter(|&&file| lacking.contains(&used[file].label));
        let single: Vec<Vec<usize>> = files.map(|&file| vec![file]).collect();
        fill(used, &single, split, &wanted, |file| file.label);
        shortcomings.extend(lacking.into_iter().map(|label| Shortcoming::Divided { split, label }));
    }
    limit(used, duplicates, config);
    let has = counts(used.iter().map(|file| (file.split, file.label)));
    shortcomings.extend(had.into_iter().filter_map(|((split, label), had)| {
        let has = has.get(&(split, label)).copied().unwrap_or(0);
        let too_few = (has as f64) < (1.0 - LOST) * had as f64;
        too_few.then_some(Shortcoming::Fewer { split, label, had, has })
    }));
    Some(shortcomings)
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

/// Moves units from training to `split` that hold more than it lacks, as long as that brings it nearer to the size of
/// `wanted`: each time the one that comes nearest, and of several the first. No class that is complete gets more, and training
/// keeps of each class what the splits `to_come` want, and something for itself.
fn overshoot(
    used: &mut [Used],
    units: &[Vec<usize>],
    split: Split,
    wanted: &[usize],
    to_come: &BTreeMap<Label, usize>,
) {
    let wanted = counts(wanted.iter().map(|&file| used[file].label));
    loop {
        let of = |split: Split| counts(used.iter().filter(|file| file.split == split).map(|file| file.label));
        let (has, train) = (of(split), of(Split::Train));
        let at = |counts: &BTreeMap<Label, usize>, label: Label| counts.get(&label).copied().unwrap_or(0);
        let distance = |more: &BTreeMap<Label, usize>| -> usize {
            let of_label = |label| at(&wanted, label).abs_diff(at(&has, label) + at(more, label));
            Label::ALL.into_iter().map(of_label).sum()
        };
        let may_be_taken = |taken: &BTreeMap<Label, usize>| {
            taken.iter().all(|(&label, &count)| {
                at(&has, label) < at(&wanted, label) && at(&train, label) > count + at(to_come, label)
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
            assert_eq!(recut(&mut selection, Vec::new(), &config()), None);
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
        assert_eq!(recut(&mut selection, groups.clone(), &config()), Some(Vec::new()));
        assert_eq!(divided(&selection), 0);
        assert_eq!(strata(&selection), before);
        assert!(selection.used.is_sorted_by_key(|file| (file.split, file.index)));
        // What is whole is not cut again.
        assert_eq!(recut(&mut selection, groups, &config()), None);
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
        assert_eq!(recut(&mut selection, (0..10).map(|i| vec![i, 10 + i]).collect(), &config()), None);
        assert_eq!(selection.used, before);
        let pairs = (0..50).map(|i| vec![10 + 2 * i, 11 + 2 * i]).collect();
        assert_eq!(recut(&mut selection, pairs, &config()), Some(Vec::new()));
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
        let pairs = (0..120).map(|i| vec![2 * i, 2 * i + 1]).collect();
        assert_eq!(recut(&mut selection, pairs, &config()), Some(Vec::new()));
        assert_eq!(places(&selection.used, Split::Val).len(), 24);
        assert!((0..120).all(|i| split_of(&selection, 2 * i) == split_of(&selection, 2 * i + 1)));
    }

    #[test]
    fn a_group_that_is_too_large_is_trained_on() {
        let mut selection = selected(100, &config());
        let before = strata(&selection);
        assert_eq!(recut(&mut selection, vec![(0..120).step_by(2).collect()], &config()), Some(Vec::new()));
        assert!((0..120).step_by(2).all(|index| split_of(&selection, index) == Split::Train));
        assert_eq!(strata(&selection), before);
    }

    #[test]
    fn a_class_of_one_group_is_cut_through_it() {
        let mut selection = selected(100, &config());
        let before = strata(&selection);
        let divided = |split| Shortcoming::Divided { split, label: Label::Real };
        assert_eq!(
            recut(&mut selection, vec![(0..200).step_by(2).collect()], &config()),
            Some(vec![divided(Split::Test), divided(Split::Val)])
        );
        assert_eq!(strata(&selection), before);
    }

    /// Real files in groups of some sizes, and as many fakes of which no two are alike; with the groups.
    fn grouped(sizes: &[u32], config: &Config) -> (Selection, Vec<Vec<u32>>) {
        let reals: u32 = sizes.iter().sum();
        let file = |index: u32| Candidate {
            index,
            key: Hash::of(&index.to_le_bytes()),
            label: if index < reals { Label::Real } else { Label::Fake },
            split: None,
            generator: 0,
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
    fn a_group_that_is_a_little_too_large_is_taken_where_a_split_would_shrink_to_the_strays() {
        let config = Config { test_fraction: 0.0, ..config() };
        // Nine films of 110 frames and ten strays: a tenth is 100.
        let (mut selection, groups) = grouped(&[[110; 9].as_slice(), &[1; 10]].concat(), &config);
        assert_eq!(reals(&selection, Split::Val), 100);
        assert_eq!(recut(&mut selection, groups.clone(), &config), Some(Vec::new()));
        assert_eq!(reals(&selection, Split::Val), 120);
        let whole = |group: &Vec<u32>| group.iter().all(|&i| split_of(&selection, i) == split_of(&selection, group[0]));
        assert!(groups.iter().all(whole));
    }

    #[test]
    fn a_split_that_shrinks_because_no_group_fits_is_said() {
        let config = Config { test_fraction: 0.0, ..config() };
        let (mut selection, groups) = grouped(&[[330; 3].as_slice(), &[1; 10]].concat(), &config);
        let fewer = Shortcoming::Fewer { split: Split::Val, label: Label::Real, had: 100, has: 10 };
        assert!(fewer.to_string().starts_with("the val split has 10 real images instead of 100:"), "{fewer}");
        assert_eq!(recut(&mut selection, groups, &config), Some(vec![fewer]));
    }

    #[test]
    fn training_is_not_emptied_into_the_splits_that_are_cut_from_it() {
        let config = Config { val_fraction: 0.6, test_fraction: 0.0, ..config() };
        let (mut selection, groups) = grouped(&[10], &config);
        let divided = Shortcoming::Divided { split: Split::Val, label: Label::Real };
        assert_eq!(recut(&mut selection, groups, &config), Some(vec![divided]));
        assert_eq!((reals(&selection, Split::Train), reals(&selection, Split::Val)), (4, 6));
    }

    #[test]
    fn a_limit_holds_after_a_new_cut() {
        let config = Config { limit: Some(100), val_fraction: 0.4, test_fraction: 0.4, ..config() };
        let (mut selection, groups) = grouped(&[[120].as_slice(), &[1; 380]].concat(), &config);
        assert_eq!(Split::ALL.map(|split| reals(&selection, split)), [100; 3]);
        assert!(recut(&mut selection, groups, &config).is_some());
        assert!(Split::ALL.iter().all(|&split| reals(&selection, split) <= 100), "{:?}", strata(&selection));
        assert!(selection.used.is_sorted_by_key(|file| (file.split, file.index)));
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
            assert!(recut(&mut selection, groups, &config()).is_some());
            let validation = places(&selection.used, Split::Val).into_iter();
            let mut keys: Vec<_> = validation.map(|file| *selection.used[file].key.as_bytes()).collect();
            keys.sort_unstable();
            keys
        };
        assert_eq!(keys(false), keys(true));
    }
}
