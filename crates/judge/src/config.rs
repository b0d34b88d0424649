//! The settings of a judgement, as its manifest records them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use artifacts::schema::ScoreKind;
use artifacts::{Label, RunDir, Split, names};
use evaluate::bootstrap::DEFAULT_RESAMPLES;
use evaluate::calibration::BandLimits;
use serde::{Deserialize, Serialize};
use sources::SourceConfig;

/// The settings of a judgement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name of the detector.
    pub model: String,
    /// The images: a source, a folder of shards or a run. `None`: the rows of the files.
    pub data: Option<String>,
    /// The evaluated split.
    pub split: Split,
    /// What the scores are; `None`: found from the columns and their values.
    pub scores: Option<ScoreKind>,
    /// The class that a higher score stands for.
    pub higher_is: Label,
    /// The score from which an image is called fake, in units of the file.
    pub threshold: Option<f64>,
    /// Whose labels count if the files and the source have labels.
    pub labels: LabelPolicy,
    /// Largest share of images without a prediction, and of rows without an image.
    pub max_missing: f64,
    /// Names of columns by role.
    pub columns: BTreeMap<String, String>,
    /// Columns by whose cells the report groups the scores.
    pub report_columns: Vec<String>,
    /// Starts of paths that are replaced, in this order.
    pub replace_prefix: Vec<(String, String)>,
    /// Labels by the name of a folder of the source.
    pub source_labels: BTreeMap<String, Label>,
    /// The generator of all fakes of the source.
    pub generator: Option<String>,
    /// Whether the fakes of a generator are compared with the real images that name this generator, in place of all
    /// real images. A real image may name several, with `;` between them.
    pub own_reals: bool,
    /// Number of bootstrap resamples.
    pub resamples: u32,
    /// Seed of the bootstrap.
    pub seed: u64,
    /// Number of examples of each kind and class in the report.
    pub examples: usize,
    /// Highest error rates of verdicts on validation, which determine the inconclusive band.
    pub band: BandLimits,
}

impl Config {
    /// The folder of shards that `data` names, itself or as that of a run. `None` if `data` is a source.
    pub(crate) fn shards(&self) -> Option<PathBuf> {
        let data = Path::new(self.data.as_ref()?);
        let folders = [data.to_owned(), RunDir::new(data).ingest()];
        folders.into_iter().find(|dir| dir.join(names::MANIFEST).exists())
    }

    /// The source `data`.
    pub(crate) fn source(&self, data: &str) -> SourceConfig {
        SourceConfig {
            source: data.into(),
            labels: self.source_labels.clone(),
            generator: self.generator.clone(),
            ..SourceConfig::default()
        }
    }
}

/// Whose labels count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelPolicy {
    /// Labels of files and source must agree.
    #[default]
    Agree,
    /// The labels of the files.
    File,
    /// The labels of the source.
    Source,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            model: String::new(),
            data: None,
            split: Split::Test,
            scores: None,
            higher_is: Label::Fake,
            threshold: None,
            labels: LabelPolicy::Agree,
            max_missing: 0.01,
            columns: BTreeMap::new(),
            report_columns: Vec::new(),
            replace_prefix: Vec::new(),
            source_labels: BTreeMap::new(),
            generator: None,
            own_reals: false,
            resamples: DEFAULT_RESAMPLES,
            seed: 0,
            examples: 8,
            band: BandLimits::default(),
        }
    }
}
