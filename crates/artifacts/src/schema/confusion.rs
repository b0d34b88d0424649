//! The confusion matrix and proportions of its counts.

use serde::{Deserialize, Serialize};

use crate::statistics::ratio;

/// A confusion matrix. Fake is the positive class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Real images that are called real.
    pub true_negative: u64,
    /// Real images that are called fake.
    pub false_positive: u64,
    /// Fake images that are called real.
    pub false_negative: u64,
    /// Fake images that are called fake.
    pub true_positive: u64,
}

impl Confusion {
    /// Builds the matrix from the number of images of each class and how many of them are called fake.
    ///
    /// `true_positive` must not exceed `fakes`, nor `false_positive` exceed `reals`.
    pub fn from_positives(true_positive: u64, false_positive: u64, fakes: u64, reals: u64) -> Confusion {
        Confusion {
            true_negative: reals - false_positive,
            false_positive,
            false_negative: fakes - true_positive,
            true_positive,
        }
    }

    /// The number of images.
    pub fn total(&self) -> u64 {
        self.reals() + self.fakes()
    }

    /// The number of real images.
    pub fn reals(&self) -> u64 {
        self.true_negative + self.false_positive
    }

    /// The number of fake images.
    pub fn fakes(&self) -> u64 {
        self.true_positive + self.false_negative
    }

    /// Whether there are images of both classes.
    pub fn has_both_classes(&self) -> bool {
        self.reals() > 0 && self.fakes() > 0
    }

    /// The share of images that are classified correctly.
    pub fn accuracy(&self) -> Proportion {
        Proportion { hits: self.true_positive + self.true_negative, n: self.total() }
    }

    /// The share of real images that are called real: the specificity.
    pub fn real_accuracy(&self) -> Proportion {
        Proportion { hits: self.true_negative, n: self.reals() }
    }

    /// The share of fakes that are called fake: the recall.
    pub fn fake_accuracy(&self) -> Proportion {
        Proportion { hits: self.true_positive, n: self.fakes() }
    }

    /// The share of fakes among the images that are called fake.
    pub fn precision(&self) -> Proportion {
        Proportion { hits: self.true_positive, n: self.true_positive + self.false_positive }
    }

    /// The mean of the accuracies on real and on fake images; `None` without images of both classes.
    pub fn balanced_accuracy(&self) -> Option<f64> {
        Some((self.real_accuracy().value()? + self.fake_accuracy().value()?) / 2.0)
    }

    /// The harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN); `None` if that is 0 / 0.
    pub fn f1(&self) -> Option<f64> {
        let doubled = 2.0 * self.true_positive as f64;
        ratio(doubled, doubled + self.false_positive as f64 + self.false_negative as f64)
    }
}

/// A proportion of images: `hits` out of `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proportion {
    /// Number of images with the property in question.
    pub hits: u64,
    /// Number of all images considered.
    pub n: u64,
}

impl Proportion {
    /// `hits / n`; `None` if `n` is 0.
    pub fn value(self) -> Option<f64> {
        ratio(self.hits as f64, self.n as f64)
    }
}
