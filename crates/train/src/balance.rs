//! Compensates for unequal numbers of training images of the classes and generators.

use std::collections::BTreeMap;

use artifacts::random;
use artifacts::shard::Sample;
use artifacts::{Label, shard::Shards};
use branches::group;
use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What compensates for unequal numbers of images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClassBalance {
    /// Nothing: each image counts once.
    #[default]
    None,
    /// Weights in the loss.
    Weights,
    /// Each epoch has the same number of images of each group.
    Sampling,
}

/// The groups that are balanced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BalanceBy {
    /// The two classes.
    #[default]
    Class,
    /// The two classes, and within each the generators, or the folders of images without a generator.
    Generator,
}

/// How the images of a split are balanced.
#[derive(Clone, Debug, Default)]
pub struct Balance {
    /// The weight of each row of the shards in the loss. Empty: all images have weight 1.
    pub(crate) weights: Vec<f32>,
    /// The rows of each group, by class. Empty: each epoch has each image once.
    groups: Vec<Vec<Vec<usize>>>,
}

impl Balance {
    /// Balances the images `rows` of `shards`.
    pub(crate) fn new(shards: &Shards, rows: &[usize], balance: ClassBalance, by: BalanceBy) -> Balance {
        let groups = || groups(shards.samples(), rows, by);
        match balance {
            ClassBalance::None => Balance::default(),
            ClassBalance::Weights => Balance { weights: weights(&groups(), shards.len()), groups: Vec::new() },
            ClassBalance::Sampling => Balance { weights: Vec::new(), groups: groups() },
        }
    }

    /// Whether epochs have the same number of images of each group.
    pub(crate) fn samples(&self) -> bool {
        !self.groups.is_empty()
    }

    /// Draws `images` images for an epoch: the same number of each class, and within a class of each group. Returns their
    /// rows in random order, each with the number of times that it was drawn before in this epoch. Within a group, each
    /// image is drawn once before any is drawn again. The draws depend only on `seed` and `epoch`.
    pub(crate) fn sample(&self, images: usize, seed: u64, epoch: usize) -> Vec<(usize, usize)> {
        let mut queues: Vec<Vec<Queue<'_>>> = Vec::new();
        for (class, groups) in self.groups.iter().enumerate() {
            let queue = |(group, rows)| Queue { rows, key: [class, group, epoch], rounds: 0, left: Vec::new() };
            queues.push(groups.iter().map(Vec::as_slice).enumerate().map(queue).collect());
        }
        let mut drawn = Vec::with_capacity(images);
        for slot in 0..images {
            let (round, class) = (slot / queues.len(), slot % queues.len());
            let groups = &mut queues[class];
            let group = round % groups.len();
            drawn.push(groups[group].next(seed));
        }
        drawn.shuffle(&mut random::stream(seed, "shuffle", &[epoch as u64]));
        drawn
    }
}

/// The images of a group that are left to be drawn.
struct Queue<'a> {
    rows: &'a [usize],
    /// Class, group and epoch.
    key: [usize; 3],
    /// The number of times that the queue was filled.
    rounds: usize,
    left: Vec<usize>,
}

impl Queue<'_> {
    fn next(&mut self, seed: u64) -> (usize, usize) {
        loop {
            if let Some(row) = self.left.pop() {
                return (row, self.rounds - 1);
            }
            let key = [self.key.as_slice(), &[self.rounds]].concat();
            let key: Vec<u64> = key.into_iter().map(|part| part as u64).collect();
            self.left = self.rows.to_vec();
            self.left.shuffle(&mut random::stream(seed, "balanced sampling", &key));
            self.rounds += 1;
        }
    }
}

/// Returns the rows of each group, by class. No group is empty.
fn groups(samples: &[Sample], rows: &[usize], by: BalanceBy) -> Vec<Vec<Vec<usize>>> {
    let mut groups: BTreeMap<Label, BTreeMap<&str, Vec<usize>>> = BTreeMap::new();
    for &row in rows {
        let (label, name) = match by {
            BalanceBy::Class => (samples[row].label, ""),
            BalanceBy::Generator => group(&samples[row]),
        };
        groups.entry(label).or_default().entry(name).or_default().push(row);
    }
    groups.into_values().map(|groups| groups.into_values().collect()).collect()
}

/// Returns a weight for each of `len` rows: 0 for those in no group. The others have mean weight 1, the classes have the
/// same total weight, and so have the groups of a class.
fn weights(groups: &[Vec<Vec<usize>>], len: usize) -> Vec<f32> {
    let images: usize = groups.iter().flatten().map(Vec::len).sum();
    let mut weights = vec![0.0; len];
    for class in groups {
        for rows in class {
            let weight = images as f64 / (groups.len() * class.len() * rows.len()) as f64;
            rows.iter().for_each(|&row| weights[row] = weight as f32);
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use artifacts::Split;
    use artifacts::hash::Hash;

    use super::*;

    /// 12 photographs, 3 fakes of generator `a` and 1 of `b`.
    fn samples() -> Vec<Sample> {
        let sample = |i: usize| {
            let (label, generator) = match i {
                0..12 => (Label::Real, ""),
                12..15 => (Label::Fake, "a"),
                _ => (Label::Fake, "b"),
            };
            Sample {
                id: Hash::of(&[i as u8]),
                path: format!("{label}/{i}.png"),
                label,
                split: Split::Train,
                generator: generator.to_owned(),
                width: 1,
                height: 1,
                format: "png".to_owned(),
                file_bytes: 1,
                columns: BTreeMap::new(),
            }
        };
        (0..16).map(sample).collect()
    }

    fn counts(by: BalanceBy, images: usize, epoch: usize) -> Vec<usize> {
        let rows: Vec<usize> = (0..16).collect();
        let balance = Balance { groups: groups(&samples(), &rows, by), ..Balance::default() };
        let mut counts = vec![0; 16];
        for (row, times) in balance.sample(images, 5, epoch) {
            assert!(times <= counts.len());
            counts[row] += 1;
        }
        counts
    }

    #[test]
    fn samples_classes_equally() {
        let counts = counts(BalanceBy::Class, 16, 1);
        let total = |rows: std::ops::Range<usize>| counts[rows].iter().sum::<usize>();
        assert_eq!((total(0..12), total(12..16)), (8, 8));
        assert!(counts[..12].iter().all(|&count| count <= 1) && counts[12..] == [2; 4]);
    }

    #[test]
    fn samples_generators_equally() {
        let counts = counts(BalanceBy::Generator, 16, 1);
        assert_eq!((counts[12..15].iter().sum::<usize>(), counts[15]), (4, 4));
    }

    #[test]
    fn draws_differ_between_epochs_and_repeat_for_the_same_epoch() {
        assert_eq!(counts(BalanceBy::Class, 16, 1), counts(BalanceBy::Class, 16, 1));
        assert_ne!(counts(BalanceBy::Class, 16, 1), counts(BalanceBy::Class, 16, 2));
    }

    #[test]
    fn repeated_images_are_numbered() {
        let rows: Vec<usize> = (0..16).collect();
        let balance = Balance { groups: groups(&samples(), &rows, BalanceBy::Generator), ..Balance::default() };
        let mut times: Vec<usize> =
            balance.sample(16, 5, 1).into_iter().filter(|&(row, _)| row == 15).map(|(_, times)| times).collect();
        times.sort_unstable();
        assert_eq!(times, [0, 1, 2, 3]);
    }

    #[test]
    fn weights_agree_with_those_of_the_fusion() {
        let rows: Vec<usize> = (0..16).collect();
        let by_generator = weights(&groups(&samples(), &rows, BalanceBy::Generator), 16);
        assert_eq!(by_generator, branches::balanced_weights(&samples(), &rows));
        let by_class = weights(&groups(&samples(), &rows, BalanceBy::Class), 16);
        assert_eq!(by_class[..2], [16.0 / 24.0, 16.0 / 24.0]);
        assert_eq!(by_class[12..], [2.0; 4]);
    }
}
