//! The tables of `audit.json`.

use std::collections::BTreeSet;

use artifacts::Split;
use artifacts::schema::{NearDuplicate, NearDuplicates, Probe, ProbeShare};

use super::duplicates::Pair;
use super::features::Feature;
use super::observation::Observation;
use super::probe::{self, cross_validate};

/// Makes the table of a probe on `features`. `fake[i]` is whether image `i` is a fake.
pub(super) fn probe(features: &[Feature], fake: &[bool]) -> Probe {
    const LISTED: usize = 5;
    let found = cross_validate(&features.iter().collect::<Vec<_>>(), fake);
    let share = |(feature, share): (&Feature, f64)| ProbeShare { feature: feature.name.clone(), share };
    let shares = features.iter().zip(found.shares).map(share);
    let mut carried_by: Vec<ProbeShare> = shares.filter(|share| share.share > 0.0).collect();
    carried_by.sort_by(|a, b| b.share.total_cmp(&a.share));
    carried_by.truncate(LISTED);
    Probe { roc_auc: found.roc_auc, folds: probe::FOLDS as u64, carried_by }
}

/// Counts and lists `pairs`. `path` returns the path of an image by its index.
pub(super) fn near_duplicates(
    images: &[&Observation],
    pairs: &[Pair],
    path: impl Fn(usize) -> String,
) -> NearDuplicates {
    const LISTED: usize = 1000;
    let labels_differ = |pair: &Pair| images[pair.first].label != images[pair.second].label;
    let splits = |pair: &Pair| [images[pair.first].split, images[pair.second].split];
    let splits_differ = |pair: &Pair| splits(pair)[0] != splits(pair)[1];
    let count = |is: &dyn Fn(&Pair) -> bool| pairs.iter().filter(|pair| is(pair)).count() as u64;
    // The number of images of `split` that have a near-duplicate in one of the splits `seen`.
    let leaked = |split: Split, seen: &[Split]| {
        let both = pairs.iter().flat_map(|pair| [(pair.first, pair.second), (pair.second, pair.first)]);
        let leaks = both.filter(|&(a, b)| images[a].split == split && seen.contains(&images[b].split));
        leaks.map(|(image, _)| image).collect::<BTreeSet<usize>>().len() as u64
    };
    let mut listed: Vec<&Pair> = pairs.iter().collect();
    listed.sort_by_key(|pair| (!labels_differ(pair), !splits_differ(pair), pair.first, pair.second));
    let entry = |pair: &Pair| NearDuplicate {
        paths: [path(pair.first), path(pair.second)],
        splits: splits(pair),
        flipped: pair.flipped,
        similarity: pair.similarity,
        labels_differ: labels_differ(pair),
    };
    NearDuplicates {
        within_a_split: count(&|pair| !splits_differ(pair)),
        across_splits: count(&splits_differ),
        across_labels: count(&labels_differ),
        leaked_test_images: leaked(Split::Test, &[Split::Train, Split::Val]),
        leaked_val_images: Some(leaked(Split::Val, &[Split::Train])),
        pairs: listed.into_iter().take(LISTED).map(entry).collect(),
    }
}
