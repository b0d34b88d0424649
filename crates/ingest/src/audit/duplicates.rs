//! Near-duplicates: pictures that are the same but for size, compression, a flip or a slight crop. Crops are found in part:
//! of 15 photographs cut down to their middle by 5% 7 were found, by 10% 8.
//!
//! Candidates are pictures whose perceptual hashes differ in few bits, found through an index and never by comparing all
//! pairs; each candidate is then verified by laying the thumbnails over each other.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use artifacts::Label;
use rayon::prelude::*;

use super::observation::Observation;
use super::phash::{self, Grey, Window};
use super::thumbnail::COLOUR_SIDE;

/// Two pictures that are nearly the same, by their places in the list, the smaller first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Place of the first picture.
    pub first: usize,
    /// Place of the second picture.
    pub second: usize,
    /// Whether the second is the first mirrored left to right.
    pub flipped: bool,
    /// Correlation of the grey thumbnails, as well as they can be laid over each other.
    pub similarity: f32,
}

/// Hashes that differ in more bits are not looked at.
const MOST_BITS: u32 = 11;
/// The crops by which a picture is looked up, besides the whole: side, and where the slack goes across and down.
const LOOKUP_CROPS: [[f32; 3]; 6] =
    [[0.95, 0.5, 0.5], [0.94, 0.0, 0.0], [0.94, 1.0, 0.0], [0.94, 0.0, 1.0], [0.94, 1.0, 1.0], [0.9, 0.5, 0.5]];
/// From this correlation on, two pictures are the same.
const SAME: f32 = 0.98;
/// Crops below this side are not slight.
const SMALLEST_CROP: f32 = 0.88;
/// Below this correlation without any alignment, none is tried.
const HOPELESS: f32 = 0.5;
/// The most by which the means of the colours of two equal pictures differ, in levels.
const SAME_COLOUR: f32 = 16.0;
/// Pictures with the very same hash are compared with this many of those before them.
const COMPARED_BEFORE: usize = 8;

/// All near-duplicates among `images`, sorted.
pub fn near_duplicates(images: &[&Observation]) -> Vec<Pair> {
    let greys = |image: usize| phash::to_float(&images[image].grey);
    let hashes: Vec<u64> = (0..images.len()).into_par_iter().map(|image| phash::hash(&greys(image))).collect();
    let index = Index::new(&hashes);
    let mut candidates: Vec<Candidate> =
        (0..images.len()).into_par_iter().flat_map_iter(|image| index.candidates(image, &greys(image))).collect();
    candidates.par_sort_unstable();
    candidates.dedup();
    let mut pairs: Vec<Pair> = candidates.into_par_iter().filter_map(|candidate| verify(images, candidate)).collect();
    // A picture that is its own mirror image comes both ways.
    pairs.dedup_by_key(|pair| (pair.first, pair.second));
    pairs
}

/// Two places, the smaller first, and whether one is looked at in the mirror.
type Candidate = (u32, u32, bool);

/// Multi-index hashing (M. Norouzi, A. Punjani, D. J. Fleet, "Fast search in Hamming space with multi-index hashing",
/// 2012): where two hashes of four parts differ in at most [`MOST_BITS`] = 11 bits, some part differs in at most 2.
struct Index {
    /// Each hash that occurs, once, in ascending order, and the pictures that have it.
    hashes: Vec<(u64, Vec<u32>)>,
    /// For each part and each of its values: places in `hashes`, from the first number to the second.
    tables: [Table; PARTS],
}

const PARTS: usize = 4;
const PART_BITS: u32 = 16;

/// Places in groups of equal part.
struct Table {
    /// Where the group of each value starts in `places`; one more at the end.
    starts: Vec<u32>,
    places: Vec<u32>,
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

    /// Pictures that one picture may be the same as.
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
                    // All of a group are too many where thousands of pictures are alike.
                    let others = match group.binary_search(&image) {
                        Ok(own) => &group[own.saturating_sub(COMPARED_BEFORE)..own],
                        Err(_) => &group[..group.len().min(COMPARED_BEFORE)],
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

    /// Calls `found` with the pictures of each hash within [`MOST_BITS`].
    fn near(&self, hash: u64, mut found: impl FnMut(&[u32])) {
        for (part, table) in self.tables.iter().enumerate() {
            for value in within_two_bits(part_of(hash, part)) {
                for &place in table.group(value) {
                    let (other, images) = &self.hashes[place as usize];
                    if (hash ^ other).count_ones() <= MOST_BITS {
                        found(images);
                    }
                }
            }
        }
    }
}

impl Table {
    fn new(hashes: &[(u64, Vec<u32>)], part: usize) -> Table {
        let mut places: Vec<u32> = (0..hashes.len() as u32).collect();
        let value = |place: u32| part_of(hashes[place as usize].0, part);
        places.sort_by_key(|&place| value(place));
        let start = |first: u32| places.partition_point(|&place| u32::from(value(place)) < first) as u32;
        Table { starts: (0..=1 << PART_BITS).map(start).collect(), places }
    }

    fn group(&self, value: u16) -> &[u32] {
        let value = usize::from(value);
        &self.places[self.starts[value] as usize..self.starts[value + 1] as usize]
    }
}

fn part_of(hash: u64, part: usize) -> u16 {
    (hash >> (part as u32 * PART_BITS)) as u16
}

/// The value, and all that differ from it in one bit or two.
fn within_two_bits(value: u16) -> impl Iterator<Item = u16> {
    let pairs = (0..PART_BITS).flat_map(|high| (0..=high).map(move |low| (1_u16 << high) | (1 << low)));
    std::iter::once(0).chain(pairs).map(move |mask| value ^ mask)
}

/// Lays two pictures over each other.
fn verify(images: &[&Observation], (first, second, flipped): Candidate) -> Option<Pair> {
    let (a, b) = (images[first as usize], images[second as usize]);
    if colour_distance(a, b) > SAME_COLOUR {
        return None;
    }
    let (grey_a, grey_b) = (phash::to_float(&a.grey), phash::to_float(&b.grey));
    let grey_b = if flipped { phash::flipped(&grey_b) } else { grey_b };
    let similarity = aligned_correlation(&grey_a, &grey_b);
    (similarity >= SAME).then_some(Pair { first: first as usize, second: second as usize, flipped, similarity })
}

/// The best correlation between two thumbnails when either is cropped a little.
fn aligned_correlation(a: &Grey, b: &Grey) -> f32 {
    let plain = phash::correlation(a, b);
    if !(HOPELESS..SAME).contains(&plain) {
        return plain;
    }
    plain.max(best_crop(a, b)).max(best_crop(b, a))
}

/// The best correlation of a crop of `a` with `b`: the best of a coarse grid, and uphill from there.
fn best_crop(a: &Grey, b: &Grey) -> f32 {
    let score =
        |[side, across, down]: [f32; 3]| phash::correlation(&phash::cropped(a, Window::new(side, across, down)), b);
    let grid = [0.97, 0.94, 0.91].into_iter().flat_map(|side| {
        [0.0, 0.5, 1.0].into_iter().flat_map(move |across| [0.0, 0.5, 1.0].map(move |down| [side, across, down]))
    });
    let mut best = ([1.0, 0.0, 0.0], f32::MIN);
    for place in grid {
        best = better(best, place, score(place));
    }
    for step in [[0.015, 0.25, 0.25], [0.008, 0.12, 0.12], [0.004, 0.06, 0.06]] {
        for (dimension, sign) in (0..3).flat_map(|dimension| [(dimension, 1.0), (dimension, -1.0)]) {
            let mut place = best.0;
            let most = if dimension == 0 { SMALLEST_CROP..1.0 } else { 0.0..1.0 };
            place[dimension] = (place[dimension] + sign * step[dimension]).clamp(most.start, most.end);
            best = better(best, place, score(place));
        }
    }
    best.1
}

fn better(best: ([f32; 3], f32), place: [f32; 3], score: f32) -> ([f32; 3], f32) {
    if score > best.1 { (place, score) } else { best }
}

/// The largest difference between the mean colours, in levels.
fn colour_distance(a: &Observation, b: &Observation) -> f32 {
    let mean = |image: &Observation, channel: usize| {
        let sum: u32 = image.colour.iter().skip(channel).step_by(3).map(|&value| u32::from(value)).sum();
        sum as f32 / (COLOUR_SIDE * COLOUR_SIDE) as f32
    };
    (0..3).map(|channel| (mean(a, channel) - mean(b, channel)).abs()).fold(0.0, f32::max)
}

/// The pictures to leave out so that none of the `pairs` is left, by their places, ascending. Of pictures that hang
/// together one stays, in the split that judges hardest: test before validation before training. Where they have both
/// labels, none stays: nobody knows which is right.
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

/// The pictures that hang together by `pairs`, by their places, ascending in each group.
pub fn groups(pairs: &[Pair]) -> Vec<Vec<usize>> {
    let end = pairs.iter().map(|pair| pair.second + 1).max().unwrap_or(0);
    let mut parents: Vec<usize> = (0..end).collect();
    for pair in pairs {
        let (a, b) = (root(&mut parents, pair.first), root(&mut parents, pair.second));
        parents[a.max(b)] = a.min(b);
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for image in 0..end {
        groups.entry(root(&mut parents, image)).or_default().push(image);
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}

/// The smallest member that an image hangs together with; shortens the way there for the next time.
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
    fn all_within_two_bits_are_listed_once() {
        let mut values: Vec<u16> = within_two_bits(0xa5a5).collect();
        assert!(values.iter().all(|value| (value ^ 0xa5a5_u16).count_ones() <= 2));
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), 1 + 16 + 120);
    }

    #[test]
    fn pictures_that_hang_together_are_one_group() {
        let pair = |first, second| Pair { first, second, flipped: false, similarity: 1.0 };
        assert_eq!(groups(&[pair(0, 4), pair(1, 2), pair(3, 4)]), [vec![0, 3, 4], vec![1, 2]]);
        assert!(groups(&[]).is_empty());
    }

    #[test]
    fn the_index_finds_all_within_eleven_bits() {
        use rand::RngExt;
        let mut stream = artifacts::random::stream(1, "index test", &[]);
        // Each hash differs from a common one in few bits, so that many pairs are near.
        let hashes: Vec<u64> =
            (0..300).map(|_| (0..8).fold(0, |hash, _| hash ^ (1_u64 << stream.random_range(0..64_u32)))).collect();
        let index = Index::new(&hashes);
        for &hash in &hashes {
            let mut found = Vec::new();
            index.near(hash, |images| found.extend_from_slice(images));
            found.sort_unstable();
            found.dedup();
            let expected: Vec<u32> =
                (0..300_u32).filter(|&other| (hashes[other as usize] ^ hash).count_ones() <= MOST_BITS).collect();
            assert_eq!(found, expected);
        }
    }
}
