//! Selection of the files to use, and assignment of splits.
//!
//! The selection depends on content hashes, and not on the order of the files or the number of threads:
//! - Files with the same bytes but different labels are not used.
//! - One of several files with the same bytes and the same label is used: from the test split if possible, else from
//!   validation, else from training. The test split of the source thus stays unchanged, and no copy of a test image is
//!   used for training.
//! - If the source has no test or no validation split, a part of the training images of each class becomes it, in
//!   proportion to the sizes of the generators. Near-duplicates are found only later. Then
//!   [`keep_groups_together`](crate::resplit::keep_groups_together) moves them into one split.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use artifacts::hash::{Digest, Hash};
use artifacts::{Label, Split};

use crate::Config;
use crate::audit::join;

/// A readable file with a label.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Index in the source.
    pub(crate) index: u32,
    /// The content key, equal for equal bytes.
    pub(crate) key: Hash,
    pub(crate) label: Label,
    /// The split that the source assigns.
    pub(crate) split: Option<Split>,
    /// An arbitrary number that identifies the generator.
    pub(crate) generator: u32,
    /// The index of its source, if there are several.
    pub(crate) part: usize,
}

impl Candidate {
    fn split(&self) -> Split {
        self.split.unwrap_or(Split::Train)
    }

    fn duplicate_of(&self, other: &Candidate) -> Duplicate {
        let &Candidate { index, key, .. } = self;
        Duplicate { index, key, other: other.index, splits: [self.split(), other.split()] }
    }
}

/// The result of [`select`].
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// The files to use, sorted by split and index.
    pub(crate) used: Vec<Used>,
    /// The splits that were made from training images, in the order in which they were made.
    pub(crate) made_splits: Vec<Split>,
    /// Files that are not used because another file with the same bytes is used.
    pub(crate) duplicates: Vec<Duplicate>,
    /// Files that are not used because another file with the same bytes has the other label.
    pub(crate) conflicts: Vec<Duplicate>,
}

/// A file with the same bytes as another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Duplicate {
    /// Index in the source.
    pub(crate) index: u32,
    pub(crate) key: Hash,
    /// Index of the other file in the source.
    pub(crate) other: u32,
    /// The split of the file, and the split of the other file. Files without a split count as training.
    pub(crate) splits: [Split; 2],
}

/// A file to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    /// Index in the source.
    pub(crate) index: u32,
    pub(crate) key: Hash,
    pub(crate) label: Label,
    pub(crate) split: Split,
    /// An arbitrary number that identifies the generator.
    pub(crate) generator: u32,
}

impl Selection {
    /// Replaces each file of the groups by the used file with the same bytes, and joins the groups that then have a file
    /// in common.
    pub(crate) fn groups(&self, groups: Vec<Vec<u32>>) -> Vec<Vec<u32>> {
        let used: BTreeMap<u32, u32> = self.duplicates.iter().map(|file| (file.index, file.other)).collect();
        let replaced = |group: Vec<u32>| group.iter().map(|index| *used.get(index).unwrap_or(index)).collect();
        join(groups.into_iter().map(replaced))
    }
}

/// Selects the files to use and assigns their splits.
pub(crate) fn select(mut candidates: Vec<Candidate>, config: &Config) -> Selection {
    if config.split.is_some() {
        candidates.iter_mut().for_each(|candidate| candidate.split = config.split);
    }
    keep_shares(&mut candidates, config);
    let mut selection = Selection::default();
    let unique = remove_duplicates(candidates, &mut selection);
    (selection.used, selection.made_splits) = assign_splits(&unique, config);
    apply_limit(&mut selection.used, &mut selection.duplicates, config);
    selection.duplicates.sort_unstable_by_key(|duplicate| duplicate.index);
    selection.conflicts.sort_unstable_by_key(|duplicate| duplicate.index);
    selection
}

/// Keeps the share of each source that the configuration sets, in proportion to its classes.
fn keep_shares(candidates: &mut Vec<Candidate>, config: &Config) {
    for (at, part) in config.source.parts().iter().enumerate() {
        let Some(share) = part.share else { continue };
        for label in Label::ALL {
            let of_class = candidates.iter().filter(|file| (file.part, file.label) == (at, label));
            let mut files: Vec<(Hash, u32)> = of_class.map(|file| (file.key, file.index)).collect();
            files.sort_by_cached_key(|(key, index)| (shuffle_key(config.seed, "share", *key), *index));
            let kept = (files.len() as f64 * share).round() as usize;
            let left_out: BTreeSet<u32> = files.drain(kept..).map(|(_, index)| index).collect();
            candidates.retain(|file| !left_out.contains(&file.index));
        }
    }
}

/// Returns one of each set of files with the same bytes, or none if their labels differ. Adds the others to
/// `selection`.
fn remove_duplicates(mut candidates: Vec<Candidate>, selection: &mut Selection) -> Vec<Candidate> {
    candidates.sort_by_key(|candidate| (*candidate.key.as_bytes(), Reverse(candidate.split()), candidate.index));
    let mut unique = Vec::with_capacity(candidates.len());
    for equal in candidates.chunk_by(|a, b| a.key == b.key) {
        let first = &equal[0];
        match equal.iter().find(|other| other.label != first.label) {
            None => {
                selection.duplicates.extend(equal[1..].iter().map(|file| file.duplicate_of(first)));
                unique.push(first.clone());
            }
            Some(other) => selection.conflicts.extend(
                equal.iter().map(|file| file.duplicate_of(if file.label == first.label { other } else { first })),
            ),
        }
    }
    unique
}

/// Assigns a split to each candidate. Files without a split count as training. Makes the test and validation splits
/// that the source does not have, and also returns their names.
fn assign_splits(candidates: &[Candidate], config: &Config) -> (Vec<Used>, Vec<Split>) {
    let has = |split| candidates.iter().any(|candidate| candidate.split == Some(split));
    let fractions = [(Split::Test, config.test_fraction), (Split::Val, config.val_fraction)];
    let missing: Vec<_> = fractions.into_iter().filter(|(split, _)| config.split.is_none() && !has(*split)).collect();
    let as_used = |candidate: &Candidate| {
        let &Candidate { index, key, label, generator, .. } = candidate;
        Used { index, key, label, split: candidate.split(), generator }
    };
    let mut used: Vec<Used> = candidates.iter().map(as_used).collect();
    for &(split, fraction) in &missing {
        for label in Label::ALL {
            let of_class = used.iter_mut().filter(|file| file.split == Split::Train && file.label == label);
            let mut class: Vec<_> = of_class.collect();
            class.sort_by_cached_key(|file| shuffle_key(config.seed, split.name(), file.key));
            let mut strata: BTreeMap<u32, Vec<_>> = BTreeMap::new();
            for file in class {
                strata.entry(file.generator).or_default().push(file);
            }
            let mut strata: Vec<_> = strata.into_values().collect();
            // Generators are numbered in the order of the source. The result must not depend on that order.
            strata.sort_by_cached_key(|stratum| shuffle_key(config.seed, split.name(), stratum[0].key));
            let sizes: Vec<usize> = strata.iter().map(Vec::len).collect();
            for (stratum, part) in strata.into_iter().zip(apportion(&sizes, fraction)) {
                stratum.into_iter().take(part).for_each(|file| file.split = split);
            }
        }
    }
    (used, missing.into_iter().filter(|(_, fraction)| *fraction > 0.0).map(|(split, _)| split).collect())
}

/// Returns the number of files that a split gets from each stratum of a class, by the largest-remainder method. Only
/// the total is rounded, so that the shares of many small generators are not all rounded to 0. If the class has at
/// least two files and `fraction` is positive, the split and the rest get at least one file each.
fn apportion(sizes: &[usize], fraction: f64) -> Vec<usize> {
    let count: usize = sizes.iter().sum();
    let total = (count as f64 * fraction).round() as usize;
    let total = if fraction > 0.0 && count >= 2 { total.clamp(1, count - 1) } else { total };
    // total * size / count in integers, so that rounding errors do not affect the order of the remainders.
    let share = |size: usize| total as u128 * size as u128;
    let mut parts: Vec<usize> = sizes.iter().map(|&size| (share(size) / count.max(1) as u128) as usize).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&stratum| Reverse(share(sizes[stratum]) % count.max(1) as u128));
    let left = total - parts.iter().sum::<usize>();
    order.into_iter().take(left).for_each(|stratum| parts[stratum] += 1);
    parts
}

/// Keeps at most `config.limit_generator` fakes of each generator and then at most `config.limit` files of each class in
/// each split, and the duplicates of the kept files. Sorts the used files by split and index.
pub(crate) fn apply_limit(used: &mut Vec<Used>, duplicates: &mut Vec<Duplicate>, config: &Config) {
    if config.limit.is_some() || config.limit_generator.is_some() {
        used.sort_by_cached_key(|file| shuffle_key(config.seed, "limit", file.key));
        let (mut of_generator, mut of_class) = (BTreeMap::new(), BTreeMap::new());
        used.retain(|file| {
            let generator = config.limit_generator.filter(|_| file.label == Label::Fake);
            has_room(&mut of_generator, (file.split, file.generator), generator)
                && has_room(&mut of_class, (file.split, file.label), config.limit)
        });
        let kept: BTreeSet<u32> = used.iter().map(|file| file.index).collect();
        duplicates.retain(|duplicate| kept.contains(&duplicate.other));
    }
    used.sort_by_key(|file| (file.split, file.index));
}

/// Counts a file of a stratum, and returns whether the stratum has at most `limit` files with it.
fn has_room<K: Ord>(counts: &mut BTreeMap<K, u64>, stratum: K, limit: Option<u64>) -> bool {
    let count = counts.entry(stratum).or_default();
    *count += 1;
    limit.is_none_or(|limit| *count <= limit)
}

/// Returns a sort key that puts files in a pseudo-random order. It depends only on the seed, the purpose and the
/// content.
pub(crate) fn shuffle_key(seed: u64, purpose: &str, key: Hash) -> [u8; 32] {
    *Digest::default().part(purpose, &seed.to_le_bytes()).part("file", key.as_bytes()).finish().as_bytes()
}

#[cfg(test)]
mod tests {
    use sources::SourcePart;

    use super::*;

    fn candidate(index: u32, content: &str, label: Label, split: Option<Split>) -> Candidate {
        Candidate { index, key: Hash::of(content.as_bytes()), label, split, generator: 0, part: 0 }
    }

    fn many(count: u32, split: Option<Split>) -> Vec<Candidate> {
        let label = |i: u32| if i.is_multiple_of(4) { Label::Real } else { Label::Fake };
        let generator = |i: u32| if i.is_multiple_of(4) { 0 } else { 1 + i % 2 };
        (0..count)
            .map(|i| Candidate { generator: generator(i), ..candidate(i, &format!("file {i}"), label(i), split) })
            .collect()
    }

    fn indices(duplicates: &[Duplicate]) -> Vec<(u32, u32)> {
        duplicates.iter().map(|duplicate| (duplicate.index, duplicate.other)).collect()
    }

    fn count(selection: &Selection, split: Split) -> usize {
        selection.used.iter().filter(|used| used.split == split).count()
    }

    #[test]
    fn prefers_the_duplicate_in_the_test_split() {
        let files = vec![
            candidate(0, "a", Label::Real, Some(Split::Train)),
            candidate(1, "a", Label::Real, Some(Split::Test)),
            candidate(2, "a", Label::Real, Some(Split::Val)),
            candidate(3, "b", Label::Fake, Some(Split::Train)),
        ];
        let selection = select(files, &Config::default());
        let used: Vec<_> = selection.used.iter().map(|used| (used.index, used.split)).collect();
        assert_eq!(used, [(3, Split::Train), (1, Split::Test)]);
        assert_eq!(indices(&selection.duplicates), [(0, 1), (2, 1)]);
        assert_eq!(selection.duplicates[0].splits, [Split::Train, Split::Test]);
    }

    #[test]
    fn rejects_equal_bytes_with_different_labels() {
        let files = vec![
            candidate(0, "a", Label::Real, None),
            candidate(1, "a", Label::Fake, None),
            candidate(2, "a", Label::Real, None),
            candidate(3, "b", Label::Real, None),
        ];
        let selection = select(files, &Config::default());
        assert_eq!(indices(&selection.conflicts), [(0, 1), (1, 0), (2, 1)]);
        assert_eq!(selection.used.len(), 1);
        assert!(selection.duplicates.is_empty());
    }

    #[test]
    fn missing_splits_take_a_share_of_each_class_and_generator() {
        let config = Config { val_fraction: 0.25, test_fraction: 0.2, ..Config::default() };
        let files = many(400, None);
        let selection = select(files.clone(), &config);
        // Three strata of 100, 100 and 200 files: a fifth of each, and a quarter of the rest.
        assert_eq!(count(&selection, Split::Test), 20 + 20 + 40);
        assert_eq!(count(&selection, Split::Val), 20 + 20 + 40);
        let reals = |split| {
            let real = |used: &&Used| used.split == split && files[used.index as usize].label == Label::Real;
            selection.used.iter().filter(real).count()
        };
        assert_eq!((reals(Split::Test), reals(Split::Val)), (20, 20));
    }

    #[test]
    fn keeps_the_splits_of_the_source() {
        let mut files = many(100, Some(Split::Train));
        files[3].split = Some(Split::Test);
        let selection = select(files, &Config::default());
        assert_eq!(count(&selection, Split::Test), 1);
        // A tenth of 25 and of 74, rounded.
        assert_eq!(count(&selection, Split::Val), 3 + 7);
        let selection = select(many(100, None), &Config { split: Some(Split::Test), ..Config::default() });
        assert_eq!(count(&selection, Split::Test), 100);
    }

    #[test]
    fn total_of_many_small_generators_is_the_fraction() {
        // 60 generators of 4 images: a tenth of each rounds to 0, a tenth of all is 24.
        let fakes = (0..240).map(|i| candidate(i, &format!("fake {i}"), Label::Fake, Some(Split::Train)));
        let mut files: Vec<_> = fakes.map(|file| Candidate { generator: file.index / 4, ..file }).collect();
        files.extend((240..243).map(|i| candidate(i, &format!("real {i}"), Label::Real, Some(Split::Train))));
        files.push(candidate(243, "test", Label::Real, Some(Split::Test)));
        let selection = select(files, &Config::default());
        let of = |label| selection.used.iter().filter(|u| u.split == Split::Val && u.label == label).count();
        assert_eq!((of(Label::Fake), of(Label::Real)), (24, 1));
    }

    #[test]
    fn apportioned_parts_add_up_and_leave_no_side_empty() {
        assert_eq!(apportion(&[100, 100, 200], 0.2), [20, 20, 40]);
        // Quotas of 0.3, 0.3, 0.3 and 9.1: the tenth file goes to the first stratum with the largest remainder.
        assert_eq!(apportion(&[3, 3, 3, 91], 0.1), [1, 0, 0, 9]);
        assert_eq!(apportion(&[2], 0.9), [1]);
        assert_eq!(apportion(&[1, 1], 0.01).iter().sum::<usize>(), 1);
        assert_eq!(apportion(&[1], 0.4), [0]);
        assert_eq!(apportion(&[50], 0.0), [0]);
        assert!(apportion(&[], 0.5).is_empty());
    }

    #[test]
    fn splits_depend_on_content_and_seed_but_not_on_order() {
        let config = Config::default();
        let validation = |files: Vec<Candidate>, config: &Config| {
            let mut keys: Vec<_> = select(files, config)
                .used
                .iter()
                .filter(|used| used.split == Split::Val)
                .map(|used| *used.key.as_bytes())
                .collect();
            keys.sort_unstable();
            keys
        };
        let forward = many(200, None);
        let backward: Vec<_> =
            forward.iter().rev().enumerate().map(|(i, file)| Candidate { index: i as u32, ..file.clone() }).collect();
        assert_eq!(validation(forward.clone(), &config), validation(backward, &config));
        assert_ne!(validation(forward.clone(), &config), validation(forward, &Config { seed: 1, ..config }));
    }

    #[test]
    fn limit_of_generators_keeps_all_real_images() {
        let config = Config { limit_generator: Some(5), ..Config::default() };
        let selection = select(many(400, Some(Split::Train)), &config);
        let in_training = |generator: u32| {
            let found = |used: &&Used| used.split == Split::Train && used.generator == generator;
            selection.used.iter().filter(found).count()
        };
        assert_eq!((in_training(0), in_training(1), in_training(2)), (72, 5, 5));
    }

    #[test]
    fn share_of_a_source_is_taken_from_each_class() {
        let part = |share: f64| SourcePart { source: "a".to_owned(), share: Some(share), ..SourcePart::default() };
        let config = Config { source: vec![part(1.0), part(0.25)].into(), ..Config::default() };
        let mut files = many(400, Some(Split::Test));
        files.iter_mut().for_each(|file| file.part = (file.index >= 200) as usize);
        let selection = select(files, &config);
        let kept = |label: Label, part: std::ops::Range<u32>| {
            selection.used.iter().filter(|used| used.label == label && part.contains(&used.index)).count()
        };
        assert_eq!((kept(Label::Real, 0..200), kept(Label::Fake, 0..200)), (50, 150));
        // A quarter of 50, rounded, and of 150.
        assert_eq!((kept(Label::Real, 200..400), kept(Label::Fake, 200..400)), (13, 38));
    }

    #[test]
    fn groups_follow_the_used_one_of_equal_files() {
        let real = |index: u32, content: &str| candidate(index, content, Label::Real, None);
        let selection = select(vec![real(0, "a"), real(1, "b"), real(2, "b"), real(3, "c")], &Config::default());
        // Files 1 and 2 have the same bytes, so that both groups belong together.
        assert_eq!(selection.groups(vec![vec![0, 1], vec![2, 3]]), [vec![0, 1, 3]]);
    }

    #[test]
    fn limit_applies_to_each_class_in_each_split() {
        let config = Config { limit: Some(5), ..Config::default() };
        let mut files = many(400, None);
        files.extend(many(400, None).into_iter().map(|file| Candidate { index: file.index + 400, ..file }));
        let selection = select(files, &config);
        for split in Split::ALL {
            assert_eq!(count(&selection, split), 10, "{split}");
        }
        // Duplicates of files beyond the limit are dropped too.
        assert_eq!(selection.duplicates.len(), 30);
    }
}
