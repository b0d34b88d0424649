//! The section `[ingest]` of a pipeline file.

use std::collections::BTreeMap;

use artifacts::config::OutOfRange;
use artifacts::schema::Reencode;
use artifacts::shard::DEFAULT_ROWS;
use artifacts::{Label, Split, names};
use pixels::{Filter, Fit, Limits, Recipe};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sources::{SourceConfig, SourceList};

use crate::align::config::AlignConfig;

/// The configuration of ingest. Each field is a key of the section `[ingest]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The source of the images: a folder, a `.zip`, a `.csv` with the columns `path,label[,split][,generator]`, a
    /// `.parquet` with an image file in each row, a folder of such tables, `kaggle:owner/slug[@version]`,
    /// `hf:datasets/owner/name[/folder][@revision]`, or a simulated set such as
    /// `simulated:train=2000,test=400,size=64,seed=7`. Or a list of several, in which a table
    /// gives a source settings of its own (`label`, `labels`, `generator`, `label_column`, `split`, `splits`, `share`):
    /// `source = ["photos", { source = "sdxl.zip", label = "fake", generator = "sdxl", share = 0.5 }]`.
    #[schemars(
        extend("x-range" = "a folder, .zip, .csv, .parquet, kaggle:…, hf:datasets/…, or simulated:…; or a list"),
        example = &"simulated:train=200,test=40,size=64,seed=7"
    )]
    pub source: SourceList,
    /// Height and width of the stored images in pixels.
    #[schemars(range(min = 1, max = 4096))]
    pub size: u32,
    /// The resampling filter: nearest, box, bilinear, bicubic or lanczos.
    pub filter: Filter,
    /// How an image becomes square: squash (resize both sides), or crop (resize the shorter side and crop the centre).
    pub fit: Fit,
    /// Labels by the name of a folder or cell, e.g. `labels = { adm = "fake" }`. They take precedence over the built-in
    /// names. Case does not matter.
    #[schemars(extend("x-range" = "a table of real and fake"), extend("examples" = [{"adm": "fake"}]))]
    pub labels: BTreeMap<String, Label>,
    /// The generator of all fakes, for sources whose folders are named after subjects (`car`, `cat`), such as the
    /// folder of one generator in ForenSynths. The generator column of a CSV file or a table takes precedence.
    #[schemars(extend("x-range" = "a name"), example = &"stylegan2")]
    pub generator: Option<String>,
    /// The column of labels in parquet tables, e.g. `label_column = "is_ai"`. By default `label`, `labels`, `class` or
    /// `target`, or a column of truth values with a name such as `is_fake`. A column of other truth values needs
    /// `labels = { true = "fake", false = "real" }`.
    #[schemars(extend("x-range" = "the name of a column"), example = &"is_ai")]
    pub label_column: Option<String>,
    /// The column of a CSV list or table whose equal cells mark images that belong together, such as those of one
    /// person, scene or prompt, e.g. `group_column = "person"`. The splits that ingest makes do not divide them.
    #[schemars(extend("x-range" = "the name of a column"), example = &"person")]
    pub group_column: Option<String>,
    /// Columns of a CSV list or table by whose cells the report also groups the scores, such as the camera, the subject
    /// or the platform, e.g. `report_columns = ["camera"]`. The shards keep their cells.
    #[schemars(extend("x-range" = "names of columns"), extend("examples" = [["camera"]]))]
    pub report_columns: Vec<String>,
    /// Splits by the name of a folder or cell, e.g. `splits = { train2017 = "train" }`. Case does not matter.
    #[schemars(extend("x-range" = "a table of train, val and test"), extend("examples" = [{"train2017": "train"}]))]
    pub splits: BTreeMap<String, Split>,
    /// The split of all images, regardless of their folders: `"test"` to evaluate a model on a whole source.
    #[schemars(example = &"test")]
    pub split: Option<Split>,
    /// The number of images in each split of a data set, e.g.
    /// `{ dataset = "kaggle:owner/slug", train = 90409, test = 21776 }`. The plan uses it to estimate disk space and time
    /// before a download, and ingest warns if the number differs. It applies only to the source
    /// `dataset` and its versions.
    #[schemars(extend("examples" = [{"dataset": "kaggle:owner/slug", "train": 90409, "val": 1000, "test": 21776}]))]
    pub expected: Option<Expected>,
    /// The share of the training images that becomes the validation split, if the source has none. Near-duplicates stay
    /// in one split. If the first assignment divides them, the splits are assigned again and all images are decoded a
    /// second time.
    #[schemars(extend("x-range" = "at least 0 and less than 1"))]
    pub val_fraction: f64,
    /// The share of the training images that becomes the test split, if the source has none. It is taken before the
    /// validation split.
    #[schemars(extend("x-range" = "at least 0 and less than 1"))]
    pub test_fraction: f64,
    /// The largest number of images of each class in each split, chosen by content hash.
    #[schemars(range(min = 1), example = 1000)]
    pub limit: Option<u64>,
    /// The largest number of fakes of each generator in each split, chosen by content hash before `limit` applies.
    #[schemars(range(min = 1), example = 100)]
    pub limit_generator: Option<u64>,
    /// The largest acceptable share of unusable images. Ingest fails if more are unusable. Duplicates are not counted.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_rejected: f64,
    /// The largest number of pixels of an image; larger images are rejected before decoding.
    #[schemars(range(min = 1))]
    pub max_pixels: u64,
    /// The number of images in a shard.
    #[schemars(range(min = 1))]
    pub shard_rows: usize,
    /// Whether to look for shortcuts and near-duplicates, and write `audit.json`.
    pub audit: bool,
    /// Encodes and decodes every image again before it is resized, so that file format and quality do not reveal the
    /// class, e.g. `reencode = { format = "jpeg", quality = 90 }`.
    #[schemars(extend("examples" = [{"format": "jpeg", "quality": 90}]))]
    pub reencode: Option<Reencode>,
    /// Whether to use only the pixels of a file. Format, width, height and file size are then not stored in the shards,
    /// and the audit ignores EXIF and other metadata. Traces of compression and resizing remain in the pixels. To make
    /// them equal for both classes, use `reencode` and images of one size.
    pub strip: bool,
    /// Whether the shards keep the encoded file of each image beside its resized pixels, for detectors that read images
    /// at native resolution or metadata. With `reencode`, the kept file is the re-encoded one. With `strip`, files can
    /// only be kept together with `reencode`: the re-encoded file has no metadata, but still the size of the image.
    pub keep_files: bool,
    /// Whether to use only one image of each group of near-duplicates, preferably from the test split. No image of a
    /// group with both labels is used. This takes an additional pass over the images.
    pub drop_near_duplicates: bool,
    /// Adds a pseudo-fake to each photograph: a reconstruction that shows the same, is saved in the same way, and has the
    /// traces of a decoder. Pseudo-fakes are additional to `limit`. The table may be empty, e.g. `align = {}`.
    #[schemars(extend("examples" = [crate::AlignConfig::example()]))]
    pub align: Option<AlignConfig>,
    /// The seed for choosing the images of new splits and of `limit`, and for pseudo-fakes. The choice depends on the
    /// seed and on the content of the images.
    #[schemars(extend("x-range" = "at least 0"))]
    pub seed: u64,
}

/// The number of images in each split of a data set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// `ingest.source` for this data set, e.g. "kaggle:ayushmandatta1/deepdetect-2025". The source may also have a
    /// version (`@3`).
    #[schemars(extend("x-range" = "a source without its version"))]
    pub dataset: String,
    /// Images in the training split.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub train: Option<u64>,
    /// Images in the validation split.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub val: Option<u64>,
    /// Images in the test split.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub test: Option<u64>,
}

impl Expected {
    /// The number of images by split.
    fn splits(&self) -> BTreeMap<Split, u64> {
        let counts = [(Split::Train, self.train), (Split::Val, self.val), (Split::Test, self.test)];
        counts.into_iter().filter_map(|(split, count)| Some((split, count?))).collect()
    }

    /// The number of images in all splits.
    pub(crate) fn total(&self) -> u64 {
        self.splits().into_values().sum()
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            source: SourceList::default(),
            size: 224,
            filter: Filter::default(),
            fit: Fit::default(),
            labels: BTreeMap::new(),
            generator: None,
            label_column: None,
            group_column: None,
            report_columns: Vec::new(),
            splits: BTreeMap::new(),
            split: None,
            expected: None,
            val_fraction: 0.1,
            test_fraction: 0.2,
            limit: None,
            limit_generator: None,
            max_rejected: 0.05,
            max_pixels: Limits::default().max_pixels,
            shard_rows: DEFAULT_ROWS,
            audit: true,
            reencode: None,
            strip: false,
            keep_files: false,
            drop_near_duplicates: false,
            align: None,
            seed: 0,
        }
    }
}

impl Config {
    /// Checks the ranges of all values.
    ///
    /// # Errors
    /// The first value that is out of range.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        let error = |key, value: &dyn std::fmt::Display, range| Err(OutOfRange::new(names::INGEST, key, value, range));
        self.source.validate()?;
        if let Some(column) = self.report_columns.iter().find(|column| column.trim().is_empty()) {
            return error("report_columns", column, "a list of names of columns");
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
            ("limit_generator", self.limit_generator.unwrap_or(1)),
        ] {
            if count == 0 {
                return error(key, &count, "at least 1");
            }
        }
        if self.keep_files && self.strip && self.reencode.is_none() {
            let range = "false with ingest.strip unless ingest.reencode is set, because original files have metadata";
            return error("keep_files", &true, range);
        }
        if let Some(align) = &self.align {
            align.validate()?;
        }
        match self.reencode {
            Some(Reencode { quality, .. }) if !(1..=100).contains(&quality) => {
                error("reencode.quality", &quality, "1 to 100")
            }
            _ => Ok(()),
        }
    }

    /// Returns `ingest.expected` if it applies to the source.
    pub(crate) fn expected(&self) -> Option<&Expected> {
        let of_source = |expected: &&Expected| {
            let rest = self.source.single().and_then(|source| source.strip_prefix(&expected.dataset));
            !expected.dataset.is_empty()
                && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
                && expected.total() > 0
        };
        self.expected.as_ref().filter(of_source)
    }

    /// Returns the expected splits and an upper bound for the number of images in each, after applying `split`, the
    /// fractions and `limit`. `None` if `ingest.expected` does not apply to the source.
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

    /// Returns the keys that select the source.
    pub fn source_config(&self) -> SourceConfig {
        SourceConfig {
            source: self.source.clone(),
            labels: self.labels.clone(),
            generator: self.generator.clone(),
            label_column: self.label_column.clone(),
            group_column: self.group_column.clone(),
            report_columns: self.report_columns.clone(),
            splits: self.splits.clone(),
            max_pixels: self.max_pixels,
            ..SourceConfig::default()
        }
    }

    /// Returns the keys that determine how files become pixels.
    pub fn recipe(&self) -> Recipe {
        let &Config { size, filter, fit, reencode, max_pixels, .. } = self;
        Recipe { size, filter, fit, reencode, max_pixels }
    }
}

#[cfg(test)]
mod tests {
    use artifacts::schema::ReencodeFormat;

    use super::*;

    #[test]
    fn all_keys_but_the_source_have_defaults() {
        let config = Config::default();
        assert!(config.validate().unwrap_err().to_string().contains("ingest.source must be a folder"));
        assert_eq!(Config { source: "x".into(), ..config }.validate(), Ok(()));
    }

    #[test]
    fn expected_splits_respect_limit_split_and_fractions() {
        use Split::{Test, Train, Val};
        let expected = Expected { dataset: "kaggle:a/b".to_owned(), train: Some(1000), test: Some(300), val: None };
        let config = Config { source: "kaggle:a/b@2".into(), expected: Some(expected), ..Config::default() };
        let of = |config: Config| config.expected_splits().unwrap();
        assert_eq!(of(config.clone()), BTreeMap::from([(Train, 900), (Val, 100), (Test, 300)]));
        let limited = Config { limit: Some(120), ..config.clone() };
        assert_eq!(of(limited), BTreeMap::from([(Train, 240), (Val, 100), (Test, 240)]));
        let whole = Config { split: Some(Test), limit: Some(7), ..config.clone() };
        assert_eq!(of(whole), BTreeMap::from([(Test, 14)]));
        // A fifth of the training images becomes the test split, and a tenth of the rest the validation split.
        let expected = Expected { test: None, ..config.expected.clone().unwrap() };
        let cut = Config { expected: Some(expected), ..config.clone() };
        assert_eq!(of(cut), BTreeMap::from([(Train, 720), (Val, 80), (Test, 200)]));
    }

    #[test]
    fn expected_applies_only_to_its_own_data_set() {
        let expected = Some(Expected { dataset: "kaggle:a/b".to_owned(), train: Some(10), ..Expected::default() });
        let config = |source: &str| Config { source: source.into(), expected: expected.clone(), ..Config::default() };
        assert_eq!(config("kaggle:a/b").expected().map(Expected::total), Some(10));
        assert_eq!(config("kaggle:a/b@4").expected().map(Expected::total), Some(10));
        assert_eq!(config("kaggle:a/bc").expected(), None);
        assert_eq!(config("photos").expected(), None);
        assert_eq!(config("photos").expected_splits(), None);
    }

    #[test]
    fn validation_names_the_key_out_of_range() {
        let base = Config { source: "x".into(), ..Config::default() };
        let message = |config: Config| config.validate().unwrap_err().to_string();
        assert_eq!(message(Config { size: 0, ..base.clone() }), "ingest.size must be 1 to 4096, but is 0");
        assert!(message(Config { val_fraction: 1.0, ..base.clone() }).contains("val_fraction"));
        assert!(message(Config { max_rejected: f64::NAN, ..base.clone() }).contains("max_rejected"));
        assert!(message(Config { limit: Some(0), ..base.clone() }).contains("limit"));
        let reencode = Some(Reencode { format: ReencodeFormat::Jpeg, quality: 0 });
        assert!(message(Config { reencode, ..base.clone() }).contains("reencode.quality"));
        let stripped = Config { keep_files: true, strip: true, ..base };
        assert!(message(stripped.clone()).starts_with("ingest.keep_files must be false with ingest.strip"));
        let reencode = Some(Reencode { format: ReencodeFormat::Jpeg, quality: 90 });
        assert_eq!(Config { reencode, ..stripped }.validate(), Ok(()));
    }
}
