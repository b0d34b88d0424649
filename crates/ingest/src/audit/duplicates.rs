//! Near-duplicates: images that differ only in size, compression, a horizontal flip or a slight crop. Only about half
//! of the cropped images are found: 7 of 15 photographs with a centre crop of 95%, and 8 of 15 with a centre crop of
//! 90%.
//!
//! Candidates are pairs of images whose perceptual hashes differ in few bits. An index finds them without comparing all
//! pairs. Each candidate is then accepted or rejected by the correlation of the aligned thumbnails.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use artifacts::Label;
use rayon::prelude::*;

use super::observation::Observation;
use super::phash::{self, Grey, Window};
use super::thumbnail::COLOUR_SIDE;

/// Two near-duplicates, given by their indices in the list of images. The smaller index comes first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Index of the first image.
    pub first: usize,
    /// Index of the second image.
    pub second: usize,
    /// Whether the second image is a horizontal flip of the first.
    pub flipped: bool,
    /// Correlation of the grey thumbnails at the best alignment.
    pub similarity: f32,
}

/// The largest number of different bits in the hashes of candidates.
const MAX_BITS: u32 = 11;
/// The crops of an image that are looked up in the index besides the whole image: the share of each side that is kept,
/// and the horizontal and vertical position (0 is left or top, 1 is right or bottom).
const LOOKUP_CROPS: [[f32; 3]; 6] =
    [[0.95, 0.5, 0.5], [0.94, 0.0, 0.0], [0.94, 1.0, 0.0], [0.94, 0.0, 1.0], [0.94, 1.0, 1.0], [0.9, 0.5, 0.5]];
/// The smallest correlation of near-duplicates.
const MIN_SIMILARITY: f32 = 0.98;
/// The smallest share of a side that a crop keeps in an alignment.
const MIN_CROP: f32 = 0.88;
/// The smallest correlation without alignment at which alignments are tried.
const MIN_UNALIGNED: f32 = 0.5;
/// The largest difference between the mean colours of near-duplicates, in levels of 0 to 255.
const MAX_COLOUR_DISTANCE: f32 = 16.0;
/// The largest number of images with the same hash that an image is compared with.
const MAX_PER_HASH: usize = 8;

/// Finds near-duplicates among `images`. Returns the pairs, sorted.
pub fn near_duplicates(images: &[&Observation]) -> Vec<Pair> {
    let greys = |image: usize| phash::to_float(&images[image].grey);
    let hashes: Vec<u64> = (0..images.len()).into_par_iter().map(|image| phash::hash(&greys(image))).collect();
    let index = Index::new(&hashes);
    let mut candidates: Vec<Candidate> =
        (0..images.len()).into_par_iter().flat_map_iter(|image| index.candidates(image, &greys(image))).collect();
    candidates.par_sort_unstable();
    candidates.dedup();
    let mut pairs: Vec<Pair> = candidates.into_par_iter().filter_map(|candidate| verify(images, candidate)).collect();
    // A symmetric image matches both flipped and unflipped.
    pairs.dedup_by_key(|pair| (pair.first, pair.second));
    pairs
}

/// Indices of two images, the smaller first, and whether one of them is flipped.
type Candidate = (u32, u32, bool);

/// Multi-index hashing (M. Norouzi, A. Punjani, D. J. Fleet, "Fast search in Hamming space with multi-index hashing",
/// 2012). A hash is divided into four parts. If two hashes differ in at most [`MAX_BITS`] = 11 bits, at least one part
/// differs in at most 2 bits.
struct Index {
    /// Each distinct hash with its images, in ascending order.
    hashes: Vec<(u64, Vec<u32>)>,
    /// A table for each part, which groups the hashes by the value of the part.
    tables: [Table; PARTS],
}

const PARTS: usize = 4;
const PART_BITS: u32 = 16;

/// Indices in [`Index::hashes`], grouped by the value of one part.
struct Table {
    /// The start of each value's group in `hashes`, and the end of the last group.
    starts: Vec<u32>,
    hashes: Vec<u32>,
}

impl Index {
    fn new(hashes: &[u64]) -> Index {
        let mut groups: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for (image, &hash) in (0..).zip(hashes) {
            groups.entry(hash).or_default().push(image);
        }
        let hashes: Vec<(u64, Vec<u32>)> = groups.into_iter().collect();
        Index { tables: std::array::from_fn(|part| Table::new(&hashes, part)), hashes }
    }

    /// Returns the candidates that contain `image`. `grey` is the thumbnail of the image.
    fn candidates(&self, image: usize, grey: &Grey) -> Vec<Candidate> {
        let mirrored = phash::flipped(grey);
        let mut found = Vec::new();
        for (grey, flipped) in [(grey, false), (&mirrored, true)] {
            let windows = LOOKUP_CROPS.map(|[side, across, down]| Window::new(side, across, down));
            let mut views = vec![phash::hash(grey)];
            views.extend(windows.map(|window| phash::hash(&phash::cropped(grey, window))));
            for view in views {
                self.near(view, |group| {
                    let image = image as u32;
                    // If thousands of images have the same hash, comparing all pairs would take too long.
                    let others = match group.binary_search(&image) {
                        Ok(own) => &group[own.saturating_sub(MAX_PER_HASH)..own],
                        Err(_) => &group[..group.len().min(MAX_PER_HASH)],
                    };
                    found.extend(
                        others
                            .iter()
                            .filter(|&&other| other != image)
                            .map(|&other| (image.min(other), image.max(other), flipped)),
                    );
                });
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Calls `found` with the images of each hash that differs from `hash` in at most [`MAX_BITS`].
    fn near(&self, hash: u64, mut found: impl FnMut(&[u32])) {
        for (part, table) in self.tables.iter().enumerate() {
            for value in within_two_bits(part_of(hash, part)) {
                for &at in table.group(value) {
                    let (other, images) = &self.hashes[at as usize];
                    if (hash ^ other).count_ones() <= MAX_BITS {
                        found(images);
                    }
                }
            }
        }
    }
}

impl Table {
    fn new(hashes: &[(u64, Vec<u32>)], part: usize) -> Table {
        let mut sorted: Vec<u32> = (0..hashes.len() as u32).collect();
        let value = |at: u32| part_of(hashes[at as usize].0, part);
        sorted.sort_by_key(|&at| value(at));
        let start = |first: u32| sorted.partition_point(|&at| u32::from(value(at)) < first) as u32;
        Table { starts: (0..=1 << PART_BITS).map(start).collect(), hashes: sorted }
    }

    fn group(&self, value: u16) -> &[u32] {
        let value = usize::from(value);
        &self.hashes[self.starts[value] as usize..self.starts[value + 1] as usize]
    }
}

fn part_of(hash: u64, part: usize) -> u16 {
    (hash >> (part as u32 * PART_BITS)) as u16
}

/// Returns all values that differ from `value` in at most two bits.
fn within_two_bits(value: u16) -> impl Iterator<Item = u16> {
    let pairs = (0..PART_BITS).flat_map(|high| (0..=high).map(move |low| (1_u16 << high) | (1 << low)));
    std::iter::once(0).chain(pairs).map(move |mask| value ^ mask)
}

/// Returns the pair of a candidate, or `None` if the images are not near-duplicates.
fn verify(images: &[&Observation], (first, second, flipped): Candidate) -> Option<Pair> {
    let (a, b) = (images[first as usize], images[second as usize]);
    if colour_distance(a, b) > MAX_COLOUR_DISTANCE {
        return None;
    }
    let (grey_a, grey_b) = (phash::to_float(&a.grey), phash::to_float(&b.grey));
    let grey_b = if flipped { phash::flipped(&grey_b) } else { grey_b };
    let similarity = aligned_correlation(&grey_a, &grey_b);
    (similarity >= MIN_SIMILARITY).then_some(Pair {
        first: first as usize,
        second: second as usize,
        flipped,
        similarity,
    })
}

/// Returns the best correlation of two thumbnails without a crop or with a slight crop of either.
fn aligned_correlation(a: &Grey, b: &Grey) -> f32 {
    let plain = phash::correlation(a, b);
    if !(MIN_UNALIGNED..MIN_SIMILARITY).contains(&plain) {
        return plain;
    }
    plain.max(best_crop(a, b)).max(best_crop(b, a))
}

/// Returns the best correlation of a crop of `a` with `b`, found by a coarse grid search followed by hill climbing.
fn best_crop(a: &Grey, b: &Grey) -> f32 {
    let score =
        |[side, across, down]: [f32; 3]| phash::correlation(&phash::cropped(a, Window::new(side, across, down)), b);
    let grid = [0.97, 0.94, 0.91].into_iter().flat_map(|side| {
        [0.0, 0.5, 1.0].into_iter().flat_map(move |across| [0.0, 0.5, 1.0].map(move |down| [side, across, down]))
    });
    let mut best = ([1.0, 0.0, 0.0], f32::MIN);
    for crop in grid {
        best = better(best, crop, score(crop));
    }
    for step in [[0.015, 0.25, 0.25], [0.008, 0.12, 0.12], [0.004, 0.06, 0.06]] {
        for (dimension, sign) in (0..3).flat_map(|dimension| [(dimension, 1.0), (dimension, -1.0)]) {
            let mut crop = best.0;
            let range = if dimension == 0 { MIN_CROP..1.0 } else { 0.0..1.0 };
            crop[dimension] = (crop[dimension] + sign * step[dimension]).clamp(range.start, range.end);
            best = better(best, crop, score(crop));
        }
    }
    best.1
}

fn better(best: ([f32; 3], f32), crop: [f32; 3], score: f32) -> ([f32; 3], f32) {
    if score > best.1 { (crop, score) } else { best }
}

/// Returns the difference between the mean colours in the channel where it is largest, in levels of 0 to 255.
fn colour_distance(a: &Observation, b: &Observation) -> f32 {
    let mean = |image: &Observation, channel: usize| {
        let sum: u32 = image.colour.iter().skip(channel).step_by(3).map(|&value| u32::from(value)).sum();
        sum as f32 / (COLOUR_SIDE * COLOUR_SIDE) as f32
    };
    (0..3).map(|channel| (mean(a, channel) - mean(b, channel)).abs()).fold(0.0, f32::max)
}

/// Returns the indices of the images to drop so that no pair remains, in ascending order. One image of each group is
/// kept: from the test split if possible, else from validation, else from training. No image of a group with both
/// labels is kept, because the right label is unknown.
pub fn to_drop(images: &[&Observation], pairs: &[Pair]) -> Vec<usize> {
    let mut dropped = Vec::new();
    for mut group in groups(pairs) {
        group.sort_unstable_by_key(|&image| (Reverse(images[image].split), image));
        let has = |label: Label| group.iter().any(|&image| images[image].label == label);
        let kept = usize::from(!(has(Label::Real) && has(Label::Fake)));
        dropped.extend(&group[kept..]);
    }
    dropped.sort_unstable();
    dropped
}

/// Joins pairs into groups, which are the connected components of the graph of pairs. The indices in each group are
/// ascending.
pub fn groups(pairs: &[Pair]) -> Vec<Vec<usize>> {
    connected(pairs.iter().map(|pair| (pair.first, pair.second)))
}

/// Joins groups that have an image in common. The images in each group are ascending.
pub(crate) fn join(groups: impl Iterator<Item = Vec<u32>>) -> Vec<Vec<u32>> {
    let neighbours = |group: Vec<u32>| -> Vec<(usize, usize)> {
        group.windows(2).map(|pair| (pair[0] as usize, pair[1] as usize)).collect()
    };
    let joined = connected(groups.flat_map(neighbours));
    joined.into_iter().map(|group| group.into_iter().map(|image| image as u32).collect()).collect()
}

/// Returns the connected components of a graph that have at least two nodes.
fn connected(edges: impl Iterator<Item = (usize, usize)>) -> Vec<Vec<usize>> {
    let mut parents: Vec<usize> = Vec::new();
    for (first, second) in edges {
        parents.extend(parents.len()..=first.max(second));
        let (a, b) = (root(&mut parents, first), root(&mut parents, second));
        parents[a.max(b)] = a.min(b);
    }
    let end = parents.len();
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for image in 0..end {
        groups.entry(root(&mut parents, image)).or_default().push(image);
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}

/// Finds the smallest index in the group of an image (union-find with path halving).
fn root(parents: &mut [usize], mut image: usize) -> usize {
    while parents[image] != image {
        parents[image] = parents[parents[image]];
        image = parents[image];
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_groups_with_a_common_image() {
        let groups = [vec![7, 2], vec![9], vec![4, 5], vec![3, 7, 1], vec![8, 6]];
        assert_eq!(join(groups.into_iter()), [vec![1, 2, 3, 7], vec![4, 5], vec![6, 8]]);
    }

    #[test]
    fn lists_all_values_within_two_bits_once() {
        let mut values: Vec<u16> = within_two_bits(0xa5a5).collect();
        assert!(values.iter().all(|value| (value ^ 0xa5a5_u16).count_ones() <= 2));
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), 1 + 16 + 120);
    }

    #[test]
    fn joins_connected_pairs_into_groups() {
        let pair = |first, second| Pair { first, second, flipped: false, similarity: 1.0 };
        assert_eq!(groups(&[pair(0, 4), pair(1, 2), pair(3, 4)]), [vec![0, 3, 4], vec![1, 2]]);
        assert!(groups(&[]).is_empty());
    }

    #[test]
    fn index_finds_all_hashes_within_eleven_bits() {
        use rand::RngExt;
        let mut stream = artifacts::random::stream(1, "index test", &[]);
        // Each hash differs from 0 in few bits, so that many pairs are near.
        let hashes: Vec<u64> =
            (0..300).map(|_| (0..8).fold(0, |hash, _| hash ^ (1_u64 << stream.random_range(0..64_u32)))).collect();
        let index = Index::new(&hashes);
        for &hash in &hashes {
            let mut found = Vec::new();
            index.near(hash, |images| found.extend_from_slice(images));
            found.sort_unstable();
            found.dedup();
            let expected: Vec<u32> =
                (0..300_u32).filter(|&other| (hashes[other as usize] ^ hash).count_ones() <= MAX_BITS).collect();
            assert_eq!(found, expected);
        }
    }
}
