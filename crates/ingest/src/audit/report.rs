//! What `audit.json` holds besides the verdict.

use artifacts::Split;
use artifacts::schema::Audit;
use serde::Serialize;

use super::association::Association;
use super::duplicates::Pair;
use super::features::Feature;
use super::observation::Observation;
use super::probe::{self, cross_validate};

/// The audit of a data set, as `audit.json` has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The verdict and the shortcuts, strongest first.
    #[serde(flatten)]
    pub audit: Audit,
    /// Number of images that were looked at.
    pub images: usize,
    /// Number of images that the probes and associations rest on.
    pub sampled: usize,
    /// Association of the class with each feature of the files, strongest first.
    pub associations: Vec<Association>,
    /// Classifiers that see no trace.
    pub probes: Probes,
    /// Pictures that are nearly the same.
    pub near_duplicates: NearDuplicates,
}

/// Classifiers that see no trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Probes {
    /// Sees all that a file tells without its pixels.
    pub metadata: Probe,
    /// Sees a histogram of 4 x 4 x 4 colours.
    pub colour_histogram: Probe,
    /// Sees 8 x 8 pixels.
    pub thumbnail: Probe,
}

/// One classifier that sees no trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Probe {
    /// ROC-AUC, mean over the folds of a cross-validation; null where a class has too few images.
    pub roc_auc: Option<f64>,
    /// Folds of the cross-validation.
    pub folds: usize,
    /// The features that carry it, with their shares of what it gained in fitting, largest first.
    pub carried_by: Vec<Share>,
}

/// What one feature adds to a probe.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// The feature.
    pub feature: String,
    /// Its share of all gains, 0 to 1.
    pub share: f64,
}

impl Probe {
    /// Cross-validates a classifier on `features`. `fake`: the class of each image.
    pub(super) fn of(features: &[Feature], fake: &[bool]) -> Probe {
        const LISTED: usize = 5;
        let found = cross_validate(&features.iter().collect::<Vec<_>>(), fake);
        let share = |(feature, share): (&Feature, f64)| Share { feature: feature.name.clone(), share };
        let shares = features.iter().zip(found.shares).map(share);
        let mut carried_by: Vec<Share> = shares.filter(|share| share.share > 0.0).collect();
        carried_by.sort_by(|a, b| b.share.total_cmp(&a.share));
        carried_by.truncate(LISTED);
        Probe { roc_auc: found.roc_auc, folds: probe::FOLDS, carried_by }
    }
}

/// Pictures that are nearly the same, counted by where they stand. A pair with both labels may also be across splits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NearDuplicates {
    /// Pairs within one split.
    pub within_a_split: usize,
    /// Pairs across two splits.
    pub across_splits: usize,
    /// Pairs with both labels.
    pub across_labels: usize,
    /// Number of test images with a near-duplicate in training or validation.
    pub leaked_test_images: usize,
    /// The first pairs; across labels first, then across splits, then the others.
    pub pairs: Vec<ListedPair>,
}

/// One pair of near-duplicates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListedPair {
    /// Paths in the source.
    pub paths: [String; 2],
    /// Splits, in the same order.
    pub splits: [Split; 2],
    /// Whether one is the other mirrored left to right.
    pub flipped: bool,
    /// Correlation of the thumbnails.
    pub similarity: f32,
    /// Whether the labels differ.
    pub labels_differ: bool,
}

impl NearDuplicates {
    /// Counts and lists `pairs`. `path`: the path of a picture by its place.
    pub(super) fn new(images: &[&Observation], pairs: &[Pair], path: impl Fn(usize) -> String) -> NearDuplicates {
        const LISTED: usize = 1000;
        let labels_differ = |pair: &Pair| images[pair.first].label != images[pair.second].label;
        let splits = |pair: &Pair| [images[pair.first].split, images[pair.second].split];
        let splits_differ = |pair: &Pair| splits(pair)[0] != splits(pair)[1];
        let count = |is: &dyn Fn(&Pair) -> bool| pairs.iter().filter(|pair| is(pair)).count();
        let mut leaked: Vec<usize> = pairs
            .iter()
            .filter(|pair| splits_differ(pair))
            .flat_map(|pair| [pair.first, pair.second])
            .filter(|&image| images[image].split == Split::Test)
            .collect();
        leaked.sort_unstable();
        leaked.dedup();
        let mut listed: Vec<&Pair> = pairs.iter().collect();
        listed.sort_by_key(|pair| (!labels_differ(pair), !splits_differ(pair), pair.first, pair.second));
        let entry = |pair: &Pair| ListedPair {
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
            leaked_test_images: leaked.len(),
            pairs: listed.into_iter().take(LISTED).map(entry).collect(),
        }
    }
}
