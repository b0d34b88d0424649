//! Which files are used, and in which split.
//!
//! Everything here is decided by content hashes, so neither the order of the files nor the number of threads changes it:
//! - Bytes that stand under both labels are used under neither.
//! - Of files with the same bytes one is used, in the split that judges hardest: test before validation before training. The
//!   test split so stays what its author made it, and no copy of a test image is ever trained on.
//! - Where the source has no test or no validation split, a part of each class in the training split becomes it, shared among
//!   the class's generators as their sizes are. Which pictures are nearly the same is not known yet; once it is,
//!   [`recut`](crate::recut) keeps them together.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use artifacts::hash::{Digest, Hash};
use artifacts::{Label, Split};

use crate::Config;

/// One file that could be read and has a label.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Its place in the source.
    pub(crate) index: u32,
    /// Equal for equal bytes.
    pub(crate) key: Hash,
    pub(crate) label: Label,
    /// As the source says.
    pub(crate) split: Option<Split>,
    /// Number of the generator; any numbering will do.
    pub(crate) generator: u32,
}

impl Candidate {
    fn split(&self) -> Split {
        self.split.unwrap_or(Split::Train)
    }

    fn twin_of(&self, other: &Candidate) -> Twin {
        let &Candidate { index, key, .. } = self;
        Twin { index, key, other: other.index, splits: [self.split(), other.split()] }
    }
}

/// What becomes of the candidates.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// Files to use: by split, and in the source's order within one.
    pub(crate) used: Vec<Used>,
    /// The splits that were cut from the training images, in the order of cutting.
    pub(crate) cut: Vec<Split>,
    /// Files whose bytes another file has, which is taken in their place.
    pub(crate) duplicates: Vec<Twin>,
    /// Files whose bytes a file of the other class has.
    pub(crate) conflicts: Vec<Twin>,
}

/// One file whose bytes another has too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Twin {
    pub(crate) index: u32,
    pub(crate) key: Hash,
    /// The other's place in the source.
    pub(crate) other: u32,
    /// Its own split and the other's, as the source says: a file of none counts as training.
    pub(crate) splits: [Split; 2],
}

/// One file to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) index: u32,
    pub(crate) key: Hash,
    pub(crate) label: Label,
    pub(crate) split: Split,
    /// Number of the generator; any numbering will do.
    pub(crate) generator: u32,
}

/// Decides on all candidates.
pub(crate) fn select(mut candidates: Vec<Candidate>, config: &Config) -> Selection {
    if config.split.is_some() {
        candidates.iter_mut().for_each(|candidate| candidate.split = config.split);
    }
    let mut selection = Selection::default();
    let unique = without_copies(candidates, &mut selection);
    (selection.used, selection.cut) = place(&unique, config);
    limit(&mut selection.used, &mut selection.duplicates, config);
    selection.duplicates.sort_unstable_by_key(|twin| twin.index);
    selection.conflicts.sort_unstable_by_key(|twin| twin.index);
    selection
}

/// Keeps one of each set of equal files, and none of those whose labels differ.
fn without_copies(mut candidates: Vec<Candidate>, selection: &mut Selection) -> Vec<Candidate> {
    candidates.sort_by_key(|candidate| (*candidate.key.as_bytes(), Reverse(candidate.split()), candidate.index));
    let mut unique = Vec::with_capacity(candidates.len());
    for copies in candidates.chunk_by(|a, b| a.key == b.key) {
        let first = &copies[0];
        match copies.iter().find(|copy| copy.label != first.label) {
            None => {
                selection.duplicates.extend(copies[1..].iter().map(|copy| copy.twin_of(first)));
                unique.push(first.clone());
            }
            Some(other) => selection
                .conflicts
                .extend(copies.iter().map(|copy| copy.twin_of(if copy.label == first.label { other } else { first }))),
        }
    }
    unique
}

/// Gives each candidate a split, and says which splits were cut for that. A file of none counts as training.
fn place(candidates: &[Candidate], config: &Config) -> (Vec<Used>, Vec<Split>) {
    let has = |split| candidates.iter().any(|candidate| candidate.split == Some(split));
    let cuts = [(Split::Test, config.test_fraction), (Split::Val, config.val_fraction)];
    let cuts: Vec<_> = cuts.into_iter().filter(|(split, _)| config.split.is_none() && !has(*split)).collect();
    let place = |candidate: &Candidate| {
        let &Candidate { index, key, label, generator, .. } = candidate;
        Used { index, key, label, split: candidate.split(), generator }
    };
    let mut placed: Vec<Used> = candidates.iter().map(place).collect();
    for &(split, fraction) in &cuts {
        for label in Label::ALL {
            let of_class = placed.iter_mut().filter(|file| file.split == Split::Train && file.label == label);
            let mut class: Vec<_> = of_class.collect();
            class.sort_by_cached_key(|file| draw(config.seed, split.name(), file.key));
            let mut strata: BTreeMap<u32, Vec<_>> = BTreeMap::new();
            for file in class {
                strata.entry(file.generator).or_default().push(file);
            }
            let mut strata: Vec<_> = strata.into_values().collect();
            // The numbers of the generators follow the source's order, which must decide nothing.
            strata.sort_by_cached_key(|stratum| draw(config.seed, split.name(), stratum[0].key));
            let sizes: Vec<usize> = strata.iter().map(Vec::len).collect();
            for (stratum, part) in strata.into_iter().zip(parts(&sizes, fraction)) {
                stratum.into_iter().take(part).for_each(|file| file.split = split);
            }
        }
    }
    (placed, cuts.into_iter().filter(|(_, fraction)| *fraction > 0.0).map(|(split, _)| split).collect())
}

/// How many files of each stratum of one class a split gets: the whole is rounded once, so that many small generators do not
/// each round to none, and what is left after rounding down goes to the largest remainders. Neither the split nor what
/// remains stays without the class, where it has two files.
fn parts(sizes: &[usize], fraction: f64) -> Vec<usize> {
    let count: usize = sizes.iter().sum();
    let total = (count as f64 * fraction).round() as usize;
    let total = if fraction > 0.0 && count >= 2 { total.clamp(1, count - 1) } else { total };
    // total * size / count in whole numbers: no rounding decides who comes first.
    let share = |size: usize| total as u128 * size as u128;
    let mut parts: Vec<usize> = sizes.iter().map(|&size| (share(size) / count.max(1) as u128) as usize).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&stratum| Reverse(share(sizes[stratum]) % count.max(1) as u128));
    let left = total - parts.iter().sum::<usize>();
    order.into_iter().take(left).for_each(|stratum| parts[stratum] += 1);
    parts
}

/// Keeps at most `config.limit` files of each class in each split, with the copies that they stand for, and puts them in the
/// order in which they are used.
pub(crate) fn limit(used: &mut Vec<Used>, duplicates: &mut Vec<Twin>, config: &Config) {
    if let Some(limit) = config.limit {
        used.sort_by_cached_key(|file| draw(config.seed, "limit", file.key));
        let mut counts: BTreeMap<(Split, Label), u64> = BTreeMap::new();
        used.retain(|file| {
            let count = counts.entry((file.split, file.label)).or_default();
            *count += 1;
            *count <= limit
        });
        let kept: BTreeSet<u32> = used.iter().map(|file| file.index).collect();
        duplicates.retain(|twin| kept.contains(&twin.other));
    }
    used.sort_by_key(|file| (file.split, file.index));
}

/// A file's place in an order that is random but for the seed, the purpose and the content.
pub(crate) fn draw(seed: u64, purpose: &str, key: Hash) -> [u8; 32] {
    *Digest::default().part(purpose, &seed.to_le_bytes()).part("file", key.as_bytes()).finish().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(index: u32, content: &str, label: Label, split: Option<Split>) -> Candidate {
        Candidate { index, key: Hash::of(content.as_bytes()), label, split, generator: 0 }
    }

    fn many(count: u32, split: Option<Split>) -> Vec<Candidate> {
        let label = |i: u32| if i.is_multiple_of(4) { Label::Real } else { Label::Fake };
        let generator = |i: u32| if i.is_multiple_of(4) { 0 } else { 1 + i % 2 };
        (0..count)
            .map(|i| Candidate { generator: generator(i), ..candidate(i, &format!("file {i}"), label(i), split) })
            .collect()
    }

    fn twins(twins: &[Twin]) -> Vec<(u32, u32)> {
        twins.iter().map(|twin| (twin.index, twin.other)).collect()
    }

    fn count(selection: &Selection, split: Split) -> usize {
        selection.used.iter().filter(|used| used.split == split).count()
    }

    #[test]
    fn a_copy_in_the_test_split_is_the_one_that_is_used() {
        let files = vec![
            candidate(0, "a", Label::Real, Some(Split::Train)),
            candidate(1, "a", Label::Real, Some(Split::Test)),
            candidate(2, "a", Label::Real, Some(Split::Val)),
            candidate(3, "b", Label::Fake, Some(Split::Train)),
        ];
        let selection = select(files, &Config::default());
        let used: Vec<_> = selection.used.iter().map(|used| (used.index, used.split)).collect();
        assert_eq!(used, [(3, Split::Train), (1, Split::Test)]);
        assert_eq!(twins(&selection.duplicates), [(0, 1), (2, 1)]);
        assert_eq!(selection.duplicates[0].splits, [Split::Train, Split::Test]);
    }

    #[test]
    fn bytes_under_both_labels_are_used_under_neither() {
        let files = vec![
            candidate(0, "a", Label::Real, None),
            candidate(1, "a", Label::Fake, None),
            candidate(2, "a", Label::Real, None),
            candidate(3, "b", Label::Real, None),
        ];
        let selection = select(files, &Config::default());
        assert_eq!(twins(&selection.conflicts), [(0, 1), (1, 0), (2, 1)]);
        assert_eq!(selection.used.len(), 1);
        assert!(selection.duplicates.is_empty());
    }

    #[test]
    fn missing_splits_are_cut_from_each_class_and_generator() {
        let config = Config { val_fraction: 0.25, test_fraction: 0.2, ..Config::default() };
        let files = many(400, None);
        let selection = select(files.clone(), &config);
        // Three strata of 100, 100 and 200: a fifth of each, and a quarter of the rest.
        assert_eq!(count(&selection, Split::Test), 20 + 20 + 40);
        assert_eq!(count(&selection, Split::Val), 20 + 20 + 40);
        let reals = |split| {
            let real = |used: &&Used| used.split == split && files[used.index as usize].label == Label::Real;
            selection.used.iter().filter(real).count()
        };
        assert_eq!((reals(Split::Test), reals(Split::Val)), (20, 20));
    }

    #[test]
    fn a_split_that_is_there_is_left_alone() {
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
    fn many_small_generators_together_give_their_share() {
        // 60 generators of 4 images: a tenth of each is none, of all of them 24.
        let fakes = (0..240).map(|i| candidate(i, &format!("fake {i}"), Label::Fake, Some(Split::Train)));
        let mut files: Vec<_> = fakes.map(|file| Candidate { generator: file.index / 4, ..file }).collect();
        files.extend((240..243).map(|i| candidate(i, &format!("real {i}"), Label::Real, Some(Split::Train))));
        files.push(candidate(243, "test", Label::Real, Some(Split::Test)));
        let selection = select(files, &Config::default());
        let of = |label| selection.used.iter().filter(|u| u.split == Split::Val && u.label == label).count();
        assert_eq!((of(Label::Fake), of(Label::Real)), (24, 1));
    }

    #[test]
    fn parts_add_up_and_leave_no_side_empty() {
        assert_eq!(parts(&[100, 100, 200], 0.2), [20, 20, 40]);
        // Quotas of 0.3 three times and 9.1: the tenth file goes to the first of the larger remainders.
        assert_eq!(parts(&[3, 3, 3, 91], 0.1), [1, 0, 0, 9]);
        assert_eq!(parts(&[2], 0.9), [1]);
        assert_eq!(parts(&[1, 1], 0.01).iter().sum::<usize>(), 1);
        assert_eq!(parts(&[1], 0.4), [0]);
        assert_eq!(parts(&[50], 0.0), [0]);
        assert!(parts(&[], 0.5).is_empty());
    }

    #[test]
    fn the_split_depends_on_content_and_seed_but_not_on_order() {
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
    fn a_limit_holds_for_each_class_in_each_split() {
        let config = Config { limit: Some(5), ..Config::default() };
        let mut files = many(400, None);
        files.extend(many(400, None).into_iter().map(|file| Candidate { index: file.index + 400, ..file }));
        let selection = select(files, &config);
        for split in Split::ALL {
            assert_eq!(count(&selection, split), 10, "{split}");
        }
        // Of what is not used nobody need know that it has copies.
        assert_eq!(selection.duplicates.len(), 30);
    }
}
