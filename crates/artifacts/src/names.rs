//! Names of files and folders in a run.

/// The folder of all runs, relative to the working directory.
pub const RUNS: &str = "runs";
/// The resolved configuration of a run.
pub const RUN_TOML: &str = "run.toml";
/// The record of how an artifact was made, see [`crate::Manifest`].
pub const MANIFEST: &str = "manifest.json";
/// The ingest stage. The names of stages are used for their folders and for their sections in a pipeline file.
pub const INGEST: &str = "ingest";
/// The training stage.
pub const TRAIN: &str = "train";
/// The evaluation stage.
pub const EVALUATE: &str = "evaluate";
/// The reporting stage.
pub const REPORT: &str = "report";
/// All stages in the order they run.
pub const STAGES: [&str; 4] = [INGEST, TRAIN, EVALUATE, REPORT];
/// The section of a pipeline file that describes the detector.
pub const MODEL: &str = "model";
/// All sections of a pipeline file, with the stage whose configuration each belongs to. A section that is not named
/// after its stage is a key of the stage's configuration: `[model]` is `model` in the configuration of `train`.
pub const SECTIONS: [(&str, &str); 5] =
    [(INGEST, INGEST), (MODEL, TRAIN), (TRAIN, TRAIN), (EVALUATE, EVALUATE), (REPORT, REPORT)];

/// Returns the sections that are keys of the configuration of `stage`.
pub fn nested_sections(stage: &str) -> impl Iterator<Item = &'static str> {
    SECTIONS.into_iter().filter(move |(section, of)| *of == stage && *section != stage).map(|(section, _)| section)
}

/// Returns the stage that a section of a pipeline file belongs to, or `None` if there is no such section.
pub fn stage_of_section(section: &str) -> Option<&'static str> {
    SECTIONS.into_iter().find(|(name, _)| *name == section).map(|(_, stage)| stage)
}

/// The folder, inside a run, of other data sets that its model is evaluated on. Each data set has its own run folder
/// there.
pub const OTHER_DATA: &str = "data";
/// The folder of the parts of an ingest that is done in parts.
pub const INGEST_PARTS: &str = "ingest-parts";
/// The folder of stored features of frozen branches.
pub const FEATURES: &str = "features";
/// The page of a report.
pub const PAGE: &str = "index.html";
/// The list of files that ingest could not use: JSON Lines of [`crate::schema::Rejected`].
pub const REJECTED: &str = "rejected.jsonl";
/// The list of files of the source that are not images: JSON Lines of [`crate::schema::Rejected`].
pub const OTHER_FILES: &str = "other-files.jsonl";
/// The audit of the data.
pub const AUDIT: &str = "audit.json";
/// The training history: JSON Lines of [`crate::schema::Epoch`].
pub const HISTORY: &str = "metrics.jsonl";
/// Predictions of a training run for its own training images, each by a model that was trained without the image's
/// generator or folder.
pub const HELD_OUT: &str = "held-out.parquet";
/// Weights of a checkpoint, under torchvision's names.
pub const WEIGHTS: &str = "model.safetensors";
/// Architecture and labels of a checkpoint.
pub const MODEL_CONFIG: &str = "config.json";
/// Input size and normalisation of a checkpoint.
pub const PREPROCESSOR_CONFIG: &str = "preprocessor_config.json";
/// Optimiser moments and counters of a checkpoint.
pub const TRAINING_STATE: &str = "training_state.safetensors";
/// Scores of every evaluated sample.
pub const PREDICTIONS: &str = "predictions.parquet";
/// Metrics of an evaluation, see [`crate::schema::Metrics`].
pub const METRICS: &str = "metrics.json";
/// The folder of examples and heat maps.
pub const EXPLANATIONS: &str = "explanations";
/// The index of [`EXPLANATIONS`], see [`crate::schema::Explanations`].
pub const EXPLANATIONS_INDEX: &str = "index.json";
/// The beginning of the generator of pseudo-fakes, which are reconstructions of photographs (`ingest.align`). The name of
/// the decoder follows.
pub const RECONSTRUCTED: &str = "reconstructed-";

/// The ending of a training run that was set aside, as in `.run-0.aside`. Further ones have a number.
pub const ASIDE: &str = "aside";
