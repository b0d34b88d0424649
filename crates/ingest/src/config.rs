//! The section `[ingest]` of a pipeline file.

use std::collections::BTreeMap;

use artifacts::config::OutOfRange;
use artifacts::schema::Reencode;
use artifacts::shard::DEFAULT_ROWS;
use artifacts::{Label, Split, names};
use pixels::{Filter, Fit, Limits};
use serde::{Deserialize, Serialize};

/// What to ingest, and how. Each field is a key of the section `[ingest]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the images are: a folder, a `.zip`, a `.csv` with the columns `path,label[,split][,generator]`, a `.parquet` or a
    /// folder of them with an image file in each row, `kaggle:owner/slug[@version]`, or `simulated:` with a list of parameters.
    pub source: String,
    /// Height and width of the stored pixels.
    pub size: u32,
    /// The resampling filter: nearest, box, bilinear, bicubic or lanczos.
    pub filter: Filter,
    /// How an image becomes square: squash, or crop (the shorter side is resized, and the middle cut out).
    pub fit: Fit,
    /// Classes of folders (or of cells of a CSV) whose names do not say it, e.g. `labels = { adm = "fake" }`. These go
    /// before the names that are known. Case does not matter.
    pub labels: BTreeMap<String, Label>,
    /// What made all fakes of the source, where its folders name subjects (`car`, `cat`) and no generators: one generator's
    /// folder of ForenSynths, for example. What a column of a CSV or a table says goes before it.
    pub generator: Option<String>,
    /// Splits of folders whose names do not say it, e.g. `splits = { train2017 = "train" }`. Case does not matter.
    pub splits: BTreeMap<String, Split>,
    /// Puts every image into one split, whatever its folder is called: `"test"` to judge a model on a whole source.
    pub split: Option<Split>,
    /// How many images each split of a data set has, e.g. `{ dataset = "kaggle:owner/slug", train = 90409, test = 21776 }`,
    /// where that is known beforehand: disk and time can then be said before a download starts, and a different number of
    /// images brings a warning. A source given with `--data` is not held to it.
    pub expected: Option<Expected>,
    /// The share of the training images that become the validation split, where the source has none. Images that are nearly
    /// the same stay on one side, for which all are decoded a second time where they did not by chance.
    pub val_fraction: f64,
    /// The share of the training images that become the test split, where the source has none; as with `val_fraction`.
    pub test_fraction: f64,
    /// At most this many images of each class in each split, chosen by content hash.
    pub limit: Option<u64>,
    /// The share of images that may be unusable before the run is stopped. Duplicates do not count.
    pub max_rejected: f64,
    /// The most pixels that an image may have before it is decoded.
    pub max_pixels: u64,
    /// Images in a shard.
    pub shard_rows: usize,
    /// Whether to look for shortcuts and near-duplicates, and write `audit.json`.
    pub audit: bool,
    /// Saves every image again in the same way before it is resized, so that formats and qualities tell nothing, e.g.
    /// `reencode = { format = "jpeg", quality = 90 }`.
    pub reencode: Option<Reencode>,
    /// Keeps nothing of a file but its pixels: the shards hold no format, size or length, so that no model can read them,
    /// and EXIF and what a file declares of itself go before the audit's classifiers see them. What compression and size
    /// have left in the pixels stays; against that there are `reencode` and images of one size.
    pub strip: bool,
    /// Leaves out images that are nearly the same as another: one of each group is used, in the test split if it has one
    /// there, and none where a group has both labels. Takes a pass over the images of its own.
    pub drop_near_duplicates: bool,
    /// What the choice of the splits and of `limit` depends on, besides the images' content.
    pub seed: u64,
}

/// How many images a data set has, as far as that is known beforehand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// How the source of that data set starts, e.g. "kaggle:ayushmandatta1/deepdetect-2025".
    pub dataset: String,
    /// Images of its training split.
    #[serde(default)]
    pub train: Option<u64>,
    /// Images of its validation split.
    #[serde(default)]
    pub val: Option<u64>,
    /// Images of its test split.
    #[serde(default)]
    pub test: Option<u64>,
}

impl Expected {
    /// The splits that it has.
    fn splits(&self) -> BTreeMap<Split, u64> {
        let counts = [(Split::Train, self.train), (Split::Val, self.val), (Split::Test, self.test)];
        counts.into_iter().filter_map(|(split, count)| Some((split, count?))).collect()
    }

    /// All its images.
    pub(crate) fn total(&self) -> u64 {
        self.splits().into_values().sum()
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            source: String::new(),
            size: 224,
            filter: Filter::default(),
            fit: Fit::default(),
            labels: BTreeMap::new(),
            generator: None,
            splits: BTreeMap::new(),
            split: None,
            expected: None,
            val_fraction: 0.1,
            test_fraction: 0.2,
            limit: None,
            max_rejected: 0.05,
            max_pixels: Limits::default().max_pixels,
            shard_rows: DEFAULT_ROWS,
            audit: true,
            reencode: None,
            strip: false,
            drop_near_duplicates: false,
            seed: 0,
        }
    }
}

impl Config {
    /// Checks what types cannot express.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        let error = |key, value: &dyn std::fmt::Display, range| Err(OutOfRange::new(names::INGEST, key, value, range));
        if self.source.trim().is_empty() {
            let range = "a folder, a .zip, a .csv, a .parquet, kaggle:owner/slug or simulated:";
            return error("source", &"empty", range);
        }
        if !(1..=4096).contains(&self.size) {
            return error("size", &self.size, "1 to 4096");
        }
        for (key, share) in [("val_fraction", self.val_fraction), ("test_fraction", self.test_fraction)] {
            if !(0.0..1.0).contains(&share) {
                return error(key, &share, "at least 0 and less than 1");
            }
        }
        if !(0.0..=1.0).contains(&self.max_rejected) {
            return error("max_rejected", &self.max_rejected, "0 to 1");
        }
        for (key, count) in [
            ("max_pixels", self.max_pixels),
            ("shard_rows", self.shard_rows as u64),
            ("limit", self.limit.unwrap_or(1)),
        ] {
            if count == 0 {
                return error(key, &count, "at least 1");
            }
        }
        match self.reencode {
            Some(Reencode { quality, .. }) if !(1..=100).contains(&quality) => {
                error("reencode.quality", &quality, "1 to 100")
            }
            _ => Ok(()),
        }
    }

    /// What is expected of the source, if it is of the data set that this was written for.
    pub(crate) fn expected(&self) -> Option<&Expected> {
        let of_source = |expected: &&Expected| {
            !expected.dataset.is_empty() && self.source.starts_with(&expected.dataset) && expected.total() > 0
        };
        self.expected.as_ref().filter(of_source)
    }

    /// The splits that the result will have, and how many images at most, where the source is expected to have so many.
    pub(crate) fn expected_splits(&self) -> Option<BTreeMap<Split, u64>> {
        let most = self.limit.map_or(u64::MAX, |limit| limit.saturating_mul(Label::ALL.len() as u64));
        let mut splits = self.expected()?.splits();
        if let Some(split) = self.split {
            splits = BTreeMap::from([(split, splits.values().sum())]);
        } else if let Some(mut train) = splits.remove(&Split::Train) {
            for (split, fraction) in [(Split::Test, self.test_fraction), (Split::Val, self.val_fraction)] {
                splits.entry(split).or_insert_with(|| {
                    let part = (train as f64 * fraction).round() as u64;
                    train -= part.min(train);
                    part
                });
            }
            splits.insert(Split::Train, train);
        }
        let splits = splits.into_iter().map(|(split, images)| (split, images.min(most)));
        Some(splits.filter(|(_, images)| *images > 0).collect())
    }

    /// What a file may cost.
    pub(crate) fn limits(&self) -> Limits {
        Limits { max_pixels: self.max_pixels }
    }
}

#[cfg(test)]
mod tests {
    use artifacts::schema::ReencodeFormat;

    use super::*;

    #[test]
    fn only_the_source_has_no_default() {
        let config = Config::default();
        assert!(config.validate().unwrap_err().to_string().contains("ingest.source must be a folder"));
        assert_eq!(Config { source: "x".to_owned(), ..config }.validate(), Ok(()));
    }

    #[test]
    fn no_more_images_are_expected_than_the_limit_lets_through() {
        use Split::{Test, Train, Val};
        let expected = Expected { dataset: "kaggle:a/b".to_owned(), train: Some(1000), test: Some(300), val: None };
        let config = Config { source: "kaggle:a/b@2".to_owned(), expected: Some(expected), ..Config::default() };
        let of = |config: Config| config.expected_splits().unwrap();
        assert_eq!(of(config.clone()), BTreeMap::from([(Train, 900), (Val, 100), (Test, 300)]));
        let limited = Config { limit: Some(120), ..config.clone() };
        assert_eq!(of(limited), BTreeMap::from([(Train, 240), (Val, 100), (Test, 240)]));
        let whole = Config { split: Some(Test), limit: Some(7), ..config.clone() };
        assert_eq!(of(whole), BTreeMap::from([(Test, 14)]));
        // A fifth of the training images becomes the test split, and a tenth of what remains the validation split.
        let expected = Expected { test: None, ..config.expected.clone().unwrap() };
        let cut = Config { expected: Some(expected), ..config.clone() };
        assert_eq!(of(cut), BTreeMap::from([(Train, 720), (Val, 80), (Test, 200)]));
    }

    #[test]
    fn another_source_is_not_held_to_what_is_expected_of_a_data_set() {
        let expected = Some(Expected { dataset: "kaggle:a/b".to_owned(), train: Some(10), ..Expected::default() });
        let config =
            |source: &str| Config { source: source.to_owned(), expected: expected.clone(), ..Config::default() };
        assert_eq!(config("kaggle:a/b").expected().map(Expected::total), Some(10));
        assert_eq!(config("photos").expected(), None);
        assert_eq!(config("photos").expected_splits(), None);
    }

    #[test]
    fn values_out_of_range_are_named() {
        let base = Config { source: "x".to_owned(), ..Config::default() };
        let message = |config: Config| config.validate().unwrap_err().to_string();
        assert_eq!(message(Config { size: 0, ..base.clone() }), "ingest.size must be 1 to 4096, but is 0");
        assert!(message(Config { val_fraction: 1.0, ..base.clone() }).contains("val_fraction"));
        assert!(message(Config { max_rejected: f64::NAN, ..base.clone() }).contains("max_rejected"));
        assert!(message(Config { limit: Some(0), ..base.clone() }).contains("limit"));
        let reencode = Some(Reencode { format: ReencodeFormat::Jpeg, quality: 0 });
        assert!(message(Config { reencode, ..base }).contains("reencode.quality"));
    }
}
